"""How many of some images are OOD at the least: the excess of small p-values over what ID images explain.

With reference images that are known to be ID, an ID image has p <= a with probability a (see conformal.py). If the
share s of a sample has p <= a, then at least

    (s - a) / (1 - a)

of it is OOD: as many as would all have to lie below the cut. OOD images above the cut are not seen by this, so the true
share is larger rather than smaller. That is the estimate of a mixture's weight by the lower tail of its p-values, as
Storey's of true nulls is by the upper one (A direct approach to false discovery rates, JRSS B 64, 2002).

The interval is exact, and the reference is finite in it. Under a cut at rank k of n references, the flags among the ID
images of a sample are beta-binomial with k and n + 1 - k, which holds both the chance of the sample and that of the
reference (see coverage.py). `fewest` is the smallest number of OOD images among the m with which so many flags are not
too many for the rest, `most` the largest with which they are not too few, each at 2.5 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from curator.policy.conformal import Scores, cut_of_rank, rank_within
from curator.policy.coverage import CONFIDENCE, excess

ALPHA = 0.05
CLEAR = 0.01  # as a share: a lower bound above it is a clear excess
TAIL = (1 - CONFIDENCE) / 2


@dataclass(frozen=True, slots=True)
class OodShare:
    """What `references` ID images say of `images` others.

    level: the p-value k / (n + 1) of the cut, at most the one asked for; 0 where the references are too few for any.
    below: images with p <= level. expected: how many that would be on average if all were ID. share: the estimate, not
    below 0. fewest, most: OOD images among them, by the interval; `known` of them were decided OOD by reviewers.
    """

    images: int
    references: int
    level: float
    cut: float
    below: int
    expected: float
    share: float
    fewest: int
    most: int
    known: int = 0

    @property
    def low(self) -> float:
        return self.fewest / self.images if self.images else 0.0

    @property
    def high(self) -> float:
        return self.most / self.images if self.images else 1.0

    def as_json(self) -> dict[str, object]:
        """All figures; no cut where the references are too few for one."""
        cut = self.cut if math.isfinite(self.cut) else None
        return asdict(self) | {"cut": cut, "low": self.low, "high": self.high}

    @property
    def clear(self) -> bool:
        """Whether there is something to learn from: more than one in a hundred is OOD, even by the lower bound."""
        return self.low > CLEAR


def ood_share(reference: Scores, log_odds: NDArray[np.floating], *, alpha: float = ALPHA, known: int = 0) -> OodShare:
    """reference: (n,), sorted, of known ID images; log_odds: (m,) of others. known: how many of these are OOD for sure.

    With too few references for a p-value of alpha, fewer than 1 / alpha - 1, nothing is below and `known` is all.
    """
    n, m = reference.size, len(log_odds)
    k = rank_within(alpha, n)
    cut, level = cut_of_rank(reference, k), k / (n + 1)
    below = int((log_odds < cut).sum())
    share = max(0.0, (below / m - level) / (1 - level)) if m else 0.0
    by_chance = _last(below, lambda flagged: excess(flagged, m - below + flagged, k, n) >= TAIL)
    most = _last(below, lambda ood: 1 - excess(below - ood + 1, m - ood, k, n) >= TAIL) if k else m
    return OodShare(m, n, level, cut, below, m * level, share, max(below - by_chance, known), max(most, known), known)


def _last(most: int, holds: Callable[[int], bool]) -> int:
    """The largest of 0..most of which something holds that holds up to there and not beyond; 0 where it never does."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
