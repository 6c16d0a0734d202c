"""The stored vectors of images, by id and in any order, read from their files as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from curator.errors import VectorFault
from curator.methods import BankScorer, ScoreTable
from curator.methods.kernels.scoring import join
from curator.types import Vectors
from curator.vectors import ImageCollection

ROWS = 8192  # vectors that are held at a time


class Rows(Protocol):
    """Vectors (n, d) that are read slice by slice: an array, or `StoredImages`."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> Vectors: ...


@dataclass(frozen=True, slots=True)
class StoredImages:
    """Images of a collection, in this order. Raises VectorFault for one that has no vector there."""

    collection: ImageCollection
    image_ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, rows: slice, /) -> Vectors:
        ids = self.image_ids[rows]
        places = self.collection.places_of(ids)
        if len(missing := np.flatnonzero(places < 0)):
            raise VectorFault(f"image {ids[missing[0]]} has no vector", hint="run `curator scan SOURCE` again")
        return self.collection.vectors_at(places)


def blocks(images: Rows) -> Iterator[Vectors]:
    """All vectors, so many at a time as are held at once; one empty block where there are none."""
    for start in range(0, max(len(images), 1), ROWS):
        yield images[start : start + ROWS]


def score_rows(scorer: BankScorer, images: Rows) -> ScoreTable:
    """The scores of the first method, of one block after the other."""
    return join([scorer.score(block)[0] for block in blocks(images)])
