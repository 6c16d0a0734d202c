"""Contents that have a vector already, which a scan need not decode again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

IdTable: TypeAlias = NDArray[np.bytes_]  # (n,) S16, sorted
ID_BYTES = 16


def id_table(image_ids: Iterable[str]) -> IdTable:
    """Image ids (32 hex digits) as a sorted array of 16 bytes each; a Python set would take six times the memory."""
    return np.sort(np.frombuffer(bytes.fromhex("".join(image_ids)), "S16"))


@dataclass(slots=True)
class KnownContents:
    """The contents known before a run, which many may share, and those met since."""

    before: IdTable = field(default_factory=lambda: id_table(()))
    _met: set[bytes] = field(default_factory=set)

    def add(self, image_id: str) -> bool:
        """Note a content. Whether it was new."""
        return self.add_all([image_id])[0]

    def add_all(self, image_ids: Sequence[str]) -> list[bool]:
        """Note contents, in order. Which of them were new."""
        text = bytes.fromhex("".join(image_ids))
        keys = [text[start : start + ID_BYTES] for start in range(0, len(text), ID_BYTES)]
        new: list[bool] = []
        for key, was_before in zip(keys, self._were_before(np.frombuffer(text, "S16")), strict=True):
            new.append(not was_before and key not in self._met)
            if new[-1]:
                self._met.add(key)
        return new

    def _were_before(self, wanted: NDArray[np.bytes_]) -> list[bool]:
        if not len(self.before):
            return [False] * len(wanted)
        places = np.searchsorted(self.before, wanted).clip(max=len(self.before) - 1)
        # NumPy takes no notice of trailing zeros on either side, so equal here is equal.
        found: list[bool] = (self.before[places] == wanted).tolist()
        return found
