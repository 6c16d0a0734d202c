"""All scores that ANTS's stream has seen, as a histogram: its threshold in bounded memory.

The published code keeps a list of every score and reads it through at each batch.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from curator.methods.maths import Scores
from curator.methods.members.ants import EDGES, histogram_edge

COARSE = len(EDGES) - 1
FINE = 6554  # bins in each of the ten: 65,540 together, so that none straddles an edge


class ScoreHistory:
    """Counts of scores in [0, 1] in 10 bins of 0.1 and in 65,540 fine ones.

    A percentile read from the fine bins errs by half a bin, 8e-6.
    """

    def __init__(self) -> None:
        self._fine = np.zeros((COARSE, FINE), dtype=np.int64)

    def add(self, scores: Scores) -> None:
        bins = np.clip(np.searchsorted(EDGES, scores, side="right") - 1, 0, COARSE - 1)
        inside = ((scores - EDGES[bins]) / (EDGES[bins + 1] - EDGES[bins]) * FINE).astype(np.int64)
        np.add.at(self._fine, (bins, np.clip(inside, 0, FINE - 1)), 1)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(10,)"""
        counts: NDArray[np.int64] = self._fine.sum(axis=1)
        return counts

    def negative_threshold(self, eta: float) -> tuple[float, float]:
        """As `ants.negative_threshold` of all scores so far: the edge of the ID peak and the cut below it."""
        edge = histogram_edge(self.counts)
        below = self._below(edge)
        count = int(below.sum())
        if not count:
            return edge, edge
        place = (count - 1) * eta
        lower = int(place)
        first, second = (self._value(below, rank) for rank in (lower, min(lower + 1, count - 1)))
        return edge, first + (place - lower) * (second - first)

    def share_threshold(self, gamma: float, eta: float) -> float:
        """Below which the lowest share eta of all scores so far lies that are below gamma; gamma where none is."""
        below = self._below(gamma)
        count = int(below.sum())
        if not count:
            return gamma
        return min(gamma, self._value(below, math.ceil(eta * count) - 1, part=1.0))

    def _below(self, limit: float) -> NDArray[np.int64]:
        """The fine counts of the bins below a limit."""
        coarse = min(int(np.searchsorted(EDGES, limit, side="right")) - 1, COARSE - 1)
        inside = math.ceil((limit - EDGES[coarse]) / (EDGES[coarse + 1] - EDGES[coarse]) * FINE)
        return self._fine.ravel()[: coarse * FINE + min(inside, FINE)]

    def _value(self, fine: NDArray[np.int64], rank: int, part: float = 0.5) -> float:
        """About the score with this rank, from 0: the middle of its bin, or its end for a part of 1."""
        coarse, inside = divmod(int(np.searchsorted(np.cumsum(fine), rank, side="right")), FINE)
        return float(EDGES[coarse] + (inside + part) / FINE * (EDGES[coarse + 1] - EDGES[coarse]))
