"""Benjamini-Hochberg over the images of one night: flags of which at most the share q are false, on average.

Reject the k* smallest p-values, k* being the largest k with p_(k) <= q k / m (Benjamini and Hochberg, Journal of the
Royal Statistical Society B 57, 1995). Conformal p-values against one reference are not independent of each other, but
positively so (PRDS), which is enough: the expected share of ID images among the flagged ones of a night is at most q
times the share of ID images in it (Bates et al. 2023, theorem 2). It is an average over nights and references, not a
promise for each night; a night without discoveries flags nothing.

The smallest p-value that n references allow is 1 / (n + 1), so k images are rejected only where 1 / (n + 1) <= q k / m:
a night of m images flags nothing unless k >= m / (q (n + 1)) of them score below every reference. Few references make
the rule silent, however strange a few images are; for one image to be flagged alone there have to be m / q - 1. This
is Benjamini and Hochberg's condition with the smallest value of Bates et al.'s p-value put into it.

 With p-values taken within classes the same is
proved within each class; over all classes together it is what simulations show, not a theorem.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def discovery_limit(ranks: NDArray[np.integer], sizes: NDArray[np.integer], q: float) -> Fraction:
    """The largest p-value that Benjamini-Hochberg rejects at rate q; 0 where it rejects none.

    ranks, sizes: (m,) each; p = rank / (size + 1), kept as whole numbers so that no comparison is rounded. q is read as
    the decimal that was written.
    """
    m = ranks.size
    if not m:
        return Fraction(0)
    pairs, counts = np.unique(np.stack([ranks, sizes]), axis=1, return_counts=True)
    p = pairs[0] / (pairs[1] + 1)
    order = np.argsort(p, kind="stable")
    p, pairs, counts = p[order], pairs[:, order], np.cumsum(counts[order])
    last = np.flatnonzero(np.append(np.diff(p) > 0, True))  # of several ways to write one p-value
    rate = Fraction(repr(float(q)))
    for place in last[p[last] * m <= q * counts[last] * (1 + 1e-9)][::-1]:
        value = Fraction(int(pairs[0, place]), int(pairs[1, place]) + 1)
        if value * m <= rate * int(counts[place]):
            return value
    return Fraction(0)


def fewest_discoveries(night: int, references: int, q: float) -> int:
    """How many images of a night have to score below every reference before any is flagged: m / (q (n + 1))."""
    return math.ceil(night / (Fraction(repr(float(q))) * (references + 1)))


def references_for_one(night: int, q: float) -> int:
    """From how many references on one image of a night can be flagged alone."""
    return math.ceil(night / Fraction(repr(float(q)))) - 1


def rank_at(limit: Fraction, size: int) -> int:
    """The largest rank whose p-value against `size` references is at most the limit."""
    return int(limit * (size + 1))
