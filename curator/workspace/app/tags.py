"""Tags of images in the app: those of the frame, and over them what was given or taken off since it was read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from curator.workspace.app.frame import LakeFrame


class Tags:
    """Of all images, by number. Whoever calls it sees to it that one thread does at a time."""

    def __init__(self) -> None:
        self._said: dict[str, dict[int, tuple[bool, int]]] = {}  # by tag and number: given, and since which action

    def put(self, tag: str, numbers: Iterable[int], action: int, *, given: bool) -> None:
        self._said.setdefault(tag, {}).update(dict.fromkeys(numbers, (given, action)))

    def forget(self, settled: int) -> None:
        """So many actions are in the frame."""
        kept = {
            tag: {one: said for one, said in found.items() if said[1] > settled} for tag, found in self._said.items()
        }
        self._said = {tag: found for tag, found in kept.items() if found}

    def mask(self, frame: LakeFrame, tag: str) -> NDArray[np.bool_]:
        """Which images have it, by row."""
        found = np.zeros(len(frame), bool)
        found[frame.tags.get(tag, np.zeros(0, np.int64))] = True
        said = self._said.get(tag, {})
        rows = frame.rows[np.fromiter(said, np.int64, len(said))]
        given = np.fromiter((item[0] for item in said.values()), bool, len(said))
        found[rows[rows >= 0]] = given[rows >= 0]
        return found

    def counts(self, frame: LakeFrame) -> list[tuple[str, int]]:
        """Each tag with how many images have it, in the order of their names."""
        counted = [(tag, int(self.mask(frame, tag).sum())) for tag in sorted({*frame.tags, *self._said})]
        return [item for item in counted if item[1]]

    def of_rows(self, frame: LakeFrame, rows: NDArray[np.int64]) -> list[list[str]]:
        """The tags of some images, in order."""
        found: list[list[str]] = [[] for _ in rows]
        for tag in sorted({*frame.tags, *self._said}):
            for place in np.flatnonzero(self.mask(frame, tag)[rows]).tolist():
                found[place].append(tag)
        return found
