"""Methods whose scores follow the stream: ANTS, AdaNeg and TANL as published, one ordered stream of batches.

A stream is fed with batches in order; each is learnt from first and scored then (transductive). So a score depends on
the images before it and beside it, on their order, and on the share of OOD among them: such scores are comparable
within one stream only, and whoever keeps them must say which. `frozen()` gives what a bank version keeps of the state,
for the methods of the same names in curator.methods, whose scores depend on the image alone. Pure NumPy: no files, no
database.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

from curator.methods.maths import Scores
from curator.types import Vectors

BATCH_ROWS = 256  # as published
Rows = TypeVar("Rows", Vectors, Sequence[str])


class Stream(Protocol):
    """An order-dependent scorer."""

    def feed(self, vectors: Vectors, images: Sequence[Hashable] | None = None) -> Scores:
        """Learn from a batch (n, d) of unit vectors, then score it: (n,), higher is more ID. images: their ids."""


def score_stream(stream: Stream, vectors: Vectors, *, batch_rows: int = BATCH_ROWS) -> Scores:
    """The scores of all vectors (n, d) in their order, fed in batches."""
    return np.concatenate([np.zeros(0), *(stream.feed(batch) for batch in batches(vectors, batch_rows))])


def batches(rows: Rows, batch_rows: int = BATCH_ROWS) -> Iterator[Rows]:
    """Consecutive vectors or ids, the last batch may be smaller."""
    for start in range(0, len(rows), batch_rows):
        yield rows[start : start + batch_rows]
