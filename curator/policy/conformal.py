"""Split-conformal p-values: where an image's score stands among the scores of reference images that are known to be ID.

    p = (1 + number of reference images whose log-odds are at most the image's) / (n + 1)

An image that is exchangeable with the n reference images (as if drawn with them from one population, in any order) has
P(p <= a) <= a for every a, whatever the encoder, the bank and the method are, and with equality at the multiples of 1 /
(n + 1) where no scores tie; ties count against the flag. So flagging p <= a flags at most the share a of such images.
Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; for finding outliers, and with the procedure
of Benjamini and Hochberg: Bates, Candès, Lei, Romano and Sesia, Testing for outliers with conformal p-values, Annals of
Statistics 51, 2023.

What it does not say. The promise is an average over references as well: with the one that was drawn, the share flagged
is itself random, distributed as Beta(k, n + 1 - k) with k = floor(a (n + 1)). It is one over all classes together, not
for each, unless the p-values are taken within classes (`classes`). It speaks of images like the reference, and says
nothing of how many OOD images are found, nor of ID images of another camera, season or class mix.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError

Scores = NDArray[np.float64]


def sorted_scores(log_odds: NDArray[np.floating]) -> Scores:
    """Reference scores in rising order. Raises UsageError when there are none, or one is no finite number."""
    values = np.sort(np.asarray(log_odds, dtype=np.float64))
    if values.ndim != 1 or values.size == 0:
        raise UsageError(
            "there are no reference scores to calibrate on", hint="give a source with images known to be ID"
        )
    if not np.isfinite(values).all():
        raise UsageError(f"{int((~np.isfinite(values)).sum())} of {values.size} reference scores are not finite")
    return values


def ranks(reference: Scores, log_odds: NDArray[np.floating]) -> NDArray[np.int64]:
    """1 + the number of reference scores at most each score: (m,), in 1..n+1. `reference`: (n,), sorted."""
    return np.searchsorted(reference, np.asarray(log_odds, dtype=np.float64), side="right") + 1


def p_values(reference: Scores, log_odds: NDArray[np.floating]) -> Scores:
    """(m,) in (0, 1]. `reference`: (n,), sorted; may be empty, then every p-value is 1."""
    found: Scores = ranks(reference, log_odds) / (reference.size + 1)
    return found


def rank_within(level: float, n: int) -> int:
    """The largest k with k / (n + 1) <= level, as doubles compare: which rank is still flagged. 0: none is."""
    k = min(math.floor(level * (n + 1)) + 1, n)
    while k / (n + 1) > level:
        k -= 1
    return k


def cut_of_rank(reference: Scores, k: int) -> float:
    """The cut with `log_odds < cut` exactly where the rank is at most k: the k-th smallest score; -inf for k = 0."""
    return float(reference[k - 1]) if k else -math.inf


def alpha_cut(reference: Scores, alpha: float) -> float:
    """The cut with `log_odds < cut` exactly where p <= alpha; -inf where so small a p-value cannot occur."""
    return cut_of_rank(reference, rank_within(alpha, reference.size))
