"""What streams keep of the scores they have seen, in bounded memory.

`ScoreHistory` holds all of them as a histogram, for ANTS's threshold (the published code keeps a list of every score
and reads it through at each batch). `ScoreQueue` holds the newest, for TANL's threshold between two classes.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.methods.maths import Scores
from curator.methods.members.ants import EDGES, histogram_edge

COARSE = len(EDGES) - 1
FINE = 6554  # bins in each of the ten: 65,540 together, so that none straddles an edge
STEPS = np.arange(100) / 100  # thresholds that are tried between two classes
Ties: TypeAlias = Literal["first", "middle"]


class ScoreHistory:
    """Counts of scores in [0, 1] in 10 bins of 0.1 and in 65,540 fine ones, and their running sum.

    A percentile read from the fine bins errs by half a bin, 8e-6. `exact` keeps the scores themselves as well, for
    short streams.
    """

    def __init__(self, *, exact: bool = False) -> None:
        self._fine = np.zeros((COARSE, FINE), dtype=np.int64)
        self._kept: list[Scores] | None = [] if exact else None
        self.total = 0.0

    def add(self, scores: Scores) -> None:
        bins = np.clip(np.searchsorted(EDGES, scores, side="right") - 1, 0, COARSE - 1)
        inside = ((scores - EDGES[bins]) / (EDGES[bins + 1] - EDGES[bins]) * FINE).astype(np.int64)
        np.add.at(self._fine, (bins, np.clip(inside, 0, FINE - 1)), 1)
        self.total += float(np.sum(scores))
        if self._kept is not None:
            self._kept.append(np.array(scores, dtype=np.float64))

    @property
    def counts(self) -> NDArray[np.int64]:
        """(10,)"""
        counts: NDArray[np.int64] = self._fine.sum(axis=1)
        return counts

    def __len__(self) -> int:
        return int(self._fine.sum())

    def negative_threshold(self, eta: float) -> tuple[float, float]:
        """As `ants.negative_threshold` of all scores so far: the edge of the ID peak and the cut below it."""
        edge = histogram_edge(self.counts)
        below = self._fine[: int(np.flatnonzero(edge == EDGES)[0])].ravel()
        count = int(below.sum())
        if not count:
            return edge, edge
        if self._kept is not None:
            scores = np.concatenate(self._kept)
            return edge, float(np.percentile(scores[scores < edge], 100 * eta))
        place = (count - 1) * eta
        lower = int(place)
        first, second = (self._value(below, rank) for rank in (lower, min(lower + 1, count - 1)))
        return edge, first + (place - lower) * (second - first)

    def _value(self, fine: NDArray[np.int64], rank: int) -> float:
        """About the score with this rank, from 0: the middle of its bin."""
        coarse, inside = divmod(int(np.searchsorted(np.cumsum(fine), rank, side="right")), FINE)
        return float(EDGES[coarse] + (inside + 0.5) / FINE * (EDGES[coarse + 1] - EDGES[coarse]))


class ScoreQueue:
    """The newest `limit` scores, in [0, 1]."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._scores: Scores = np.zeros(0)

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, scores: Scores) -> None:
        self._scores = np.concatenate([self._scores, scores])[-self._limit :]

    def threshold(self, ties: Ties) -> float:
        return two_class_threshold(self._scores, ties)


def two_class_threshold(scores: Scores, ties: Ties = "middle") -> float:
    """Otsu's: of 0, 0.01, ..., 0.99 the one that leaves the least variance within the scores below it and not below it.

    Where several leave as little (no score lies between them), the `first` (ANTS) or the `middle` one (TANL). The
    median where all scores lie on one side of every threshold. By the counts, sums and sums of squares in 100 bins.
    """
    centred = scores - scores.mean()
    bins = np.clip(np.searchsorted(STEPS, scores, side="right") - 1, 0, len(STEPS) - 1)
    sums = [np.bincount(bins, weights, len(STEPS)) for weights in (np.ones(len(scores)), centred, centred * centred)]
    # Sums of all bins below each threshold, and of the others.
    below = [np.concatenate([[0.0], np.cumsum(values)[:-1]]) for values in sums]
    above = [values.sum() - part for values, part in zip(sums, below, strict=True)]
    valid = (below[0] > 0) & (above[0] > 0)
    if not valid.any():
        return float(np.median(scores))
    within = sum(
        (square - total * total / np.maximum(count, 1) for count, total, square in (below, above)), np.zeros(len(STEPS))
    )
    within[~valid] = np.inf
    best = np.flatnonzero(within == within.min())
    return float(STEPS[best[0] if ties == "first" else best[len(best) // 2]])
