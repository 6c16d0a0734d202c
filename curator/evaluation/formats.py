"""The format in which images are saved before both sides are measured alike: which shortest side, which JPEG quality.

Either one for all, or drawn from what the ID images have. Then an ID image keeps its own, and every other image has
that of an ID image, which the digits of its content choose: the same one in every run. No format is larger, or better,
than all but SMALL of each OOD set have: an enlarged image is blurred, and a blur tells the archive too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from curator.decode import SavedFormat
from curator.errors import UsageError

Form: TypeAlias = Literal["as_is", "same_format"]

DRAWN = "drawn"
SIDES = (16, 4096)
SMALL = 0.05  # of an OOD set: so many of its images may be smaller than what is asked of them
_FIXED = re.compile(r"(\d{1,5}),(\d{1,3})")


def fixed_format(asked: str) -> SavedFormat | None:
    """The one format that is asked for, as `size,quality`; None for `drawn`. Raises UsageError for anything else."""
    if asked == DRAWN:
        return None
    if (match := _FIXED.fullmatch(asked)) is not None:
        wanted = SavedFormat(int(match[1]), int(match[2]))
        if SIDES[0] <= wanted.side <= SIDES[1] and 1 <= wanted.quality <= 100:
            return wanted
    raise UsageError(
        f"{asked!r} is no shortest side of {SIDES[0]} to {SIDES[1]} pixels and JPEG quality of 1 to 100",
        hint="such as 128,75; without a value it is drawn from the ID images",
    )


@dataclass(frozen=True, slots=True)
class Formats:
    """What each image is saved as. own: of the ID images, by id. pool: what others draw from, in order; not empty."""

    own: Mapping[str, SavedFormat]
    pool: tuple[SavedFormat, ...]

    def of(self, image_id: str) -> SavedFormat:
        """image_id: hexadecimal digits of a content; equally spread, so every place of the pool is as likely."""
        return self.own.get(image_id) or self.pool[int(image_id, 16) * len(self.pool) >> 4 * len(image_id)]

    @classmethod
    def fixed(cls, wanted: SavedFormat) -> Formats:
        """One format for all."""
        return cls({}, (wanted,))

    @classmethod
    def drawn(cls, known: Mapping[str, SavedFormat], others: Iterable[Sequence[SavedFormat]]) -> Formats:
        """known: of the ID images as they are, by id, at least one. others: of the images of each OOD set."""
        limits = [
            (_small(item.side for item in part), _small(item.quality for item in part)) for part in others if part
        ]
        side, quality = (min(limit) for limit in zip(*limits, strict=True)) if limits else (SIDES[1], 100)
        side = max(side, SIDES[0])
        own = {name: SavedFormat(min(item.side, side), min(item.quality, quality)) for name, item in known.items()}
        return cls(own, tuple(sorted(own.values())))


def _small(values: Iterable[int]) -> int:
    """The largest value that no more than SMALL of them, or one of several, are below."""
    ranked = sorted(values)
    return ranked[max(int(SMALL * len(ranked)), min(1, len(ranked) - 1))]


@dataclass(frozen=True, slots=True)
class SameFormat:
    """How images were saved alike. asked: `drawn`, or `size,quality`.

    sides, qualities: the least, the median and the largest of what they were saved as. enlarged: how many images of
    each set, the ID set as `id`, had to be made larger. unsaved: a line for each
    image that could not be read or saved.
    """

    asked: str
    sides: tuple[int, int, int]
    qualities: tuple[int, int, int]
    enlarged: Mapping[str, int]
    unsaved: tuple[str, ...]


def spread(values: Iterable[int]) -> tuple[int, int, int]:
    """The least, the median and the largest."""
    low, middle, high = np.quantile(list(values), [0, 0.5, 1], method="lower")
    return int(low), int(middle), int(high)
