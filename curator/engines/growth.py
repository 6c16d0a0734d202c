"""How a night grows with the lake: the stages whose seconds do, as `python -m tests.bench growth` measured them in
lakes of two sizes, whose difference is what one more image in the lake costs each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Growth:
    """Two nights. images: in each lake; new: brought by the night; seconds: of each stage, in either lake."""

    machine: str
    images: tuple[int, int]
    new: int
    seconds: Mapping[str, tuple[float, float]]

    def of(self, stage: str, lake: float) -> float:
        """Seconds of a stage of such a night in a lake of so many images. One that does not grow costs what it does."""
        first, second = self.seconds[stage]
        small, large = self.images
        slope = max(0.0, (second - first) / (large - small))
        return max(first, second) if slope == 0 else max(0.0, first + slope * (lake - small))


# What each stage does with the whole lake, for people.
WHY = {
    "known": "ids of all contents, to decode none again",
    "near_duplicates": "cells of the partition that may hold near images",
    "count": "scored and flagged images, counted",
    "publish": "the snapshot is copied, unless the file system clones it",
    "copy": "facts of all images, summed to see what to copy as Parquet",
    "rest": "the ledger opened, checked and closed",
}
MEASURED = Growth(
    machine="2 cores of Intel Xeon with native bfloat16, 2026-11-30",
    images=(100_000, 1_000_000),
    new=10_000,
    seconds={
        "known": (0.04, 0.3),
        "near_duplicates": (0.89, 0.91),
        "count": (0.08, 0.31),
        "publish": (0.11, 0.31),
        "copy": (1.18, 1.83),
        "rest": (1.48, 1.41),
    },
)
