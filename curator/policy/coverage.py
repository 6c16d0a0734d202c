"""How often held-out ID images are flagged: the share with its exact interval, and whether chance explains it.

The interval is that of Clopper and Pearson (Biometrika 26, 1934): it holds the true share of the one cut that was used
with at least its confidence, for any share and any number of images. That true share is not the level itself: a cut at
rank k of n references has one drawn from Beta(k, n + 1 - k). So the number of flags among m held-out images is
beta-binomial, and `excess` is the probability of so many or more: small, and it is not chance, but the promise that
does not hold for these images. SciPy has both, but is not installed with the product (see metrics.py): tests hold ours
to SciPy's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
STEPS = 100  # of the bisection: more than a double has digits
Logs = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coverage:
    """`flagged` of `held_out` ID images, under a cut at rank `k` of `n` references; `excess` None for other cuts."""

    flagged: int
    held_out: int
    rate: float
    low: float
    high: float
    excess: float | None

    def holds(self, level: float) -> bool:
        """Whether the interval of the rate has the level in it."""
        return self.low <= level <= self.high


def coverage(flagged: int, held_out: int, *, k: int | None = None, n: int = 0) -> Coverage:
    """The share flagged; with rank k of n references, also how likely so many are by chance."""
    low, high = clopper_pearson(flagged, held_out)
    rate = flagged / held_out if held_out else math.nan
    return Coverage(flagged, held_out, rate, low, high, None if k is None else excess(flagged, held_out, k, n))


def clopper_pearson(part: int, whole: int) -> tuple[float, float]:
    """The exact interval of a share. (0, 1) for a share of nothing."""
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if part == 0 else _bisect(lambda share: binomial_tail(part, whole, share) < tail)
    high = 1.0 if part == whole else _bisect(lambda share: 1 - binomial_tail(part + 1, whole, share) >= tail)
    return low, high


def binomial_tail(part: int, whole: int, share: float) -> float:
    """P(X >= part) of `whole` trials, summed over the shorter side."""
    if part <= 0 or share >= 1:
        return 1.0
    if share <= 0 or part > whole:
        return 0.0
    upper = part > whole * share
    counts = np.arange(part, whole + 1) if upper else np.arange(part)
    factorials = log_factorials(whole)
    logs = factorials[whole] - factorials[counts] - factorials[whole - counts]
    logs += counts * math.log(share) + (whole - counts) * math.log1p(-share)
    mass = float(np.exp(logs).sum())
    return min(mass if upper else 1 - mass, 1.0)


def excess(flagged: int, held_out: int, k: int, n: int) -> float:
    """P(X >= flagged) for X beta-binomial: of m images exchangeable with n references, those of rank k or less.

    The same as counting: of the k-th smallest reference and the images below it, C(x + k - 1, x) orders have x images
    below, C(n - k + m - x, m - x) continue. For k = 0 nothing can be flagged.
    """
    if flagged == 0:
        return 1.0
    if k == 0:
        return 0.0
    x = np.arange(flagged, held_out + 1)
    f = log_factorials(n + held_out)
    logs = f[x + k - 1] - f[x] - f[k - 1] + f[n - k + held_out - x] - f[n - k] - f[held_out - x]
    logs -= f[n + held_out] - f[n] - f[held_out]
    return float(min(np.exp(logs).sum(), 1.0))


@lru_cache(maxsize=8)
def log_factorials(n: int) -> Logs:
    """log i! for i in 0..n."""
    found: Logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1, dtype=np.float64)))])
    return found


def _bisect(is_below: Callable[[float], bool]) -> float:
    """Where the condition, which holds from 0 on, ends."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2
