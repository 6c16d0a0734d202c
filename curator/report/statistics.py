"""The figures by which a night is told from another: an interval for a share, and three tests of drift.

Wilson's interval for a share (Wilson 1927; recommended by Brown, Cai and DasGupta, Statistical Science 2001): it stays
in [0, 1] and means something for 0 of n too. The population stability index over the deciles of the baseline (Yurdakul
and Naranjo, Journal of Risk Model Validation 2020) and the two-sample Kolmogorov-Smirnov test speak of scores; the
maximum mean discrepancy with a Gaussian kernel (Gretton et al., JMLR 2012) of the vectors themselves. Small samples are
not silent: the index comes with what chance alone gives, the others with p-values.

SciPy, which has two of them, is not installed with the product (see metrics.py): tests hold ours to SciPy's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.types import Vectors

Values = NDArray[np.float64]
NORMAL_95 = 1.959963984540054
BINS = 10
PERMUTATIONS = 499
MMD_SAMPLE = 1000  # of each side: the kernel then has 4 million entries


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share with its 95 % interval; all three are NaN for a share of nothing."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tested:
    """A statistic and its p-value: how often chance alone gives as much."""

    statistic: float
    p_value: float


def wilson(part: int, whole: int) -> Proportion:
    """The share part/whole with Wilson's score interval."""
    if whole == 0:
        return Proportion(math.nan, math.nan, math.nan)
    z = NORMAL_95
    share, weight = part / whole, z * z / whole
    middle = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / whole + weight / (4 * whole)) / (1 + weight)
    low = 0.0 if part == 0 else max(middle - half, 0.0)
    high = 1.0 if part == whole else min(middle + half, 1.0)
    return Proportion(share, low, high)


def stability_index(baseline: Values, tonight: Values) -> tuple[float, float]:
    """The population stability index, and what it is on average when both come from one distribution.

    Bins are the deciles of the baseline, fewer where they coincide. Half an image is added to each bin, so that an
    empty one is no infinity. NaN where one side is empty.
    """
    if not len(baseline) or not len(tonight):
        return math.nan, math.nan
    edges = np.unique(np.quantile(baseline, np.arange(1, BINS) / BINS))
    counts = [
        np.bincount(np.searchsorted(edges, side, side="right"), minlength=len(edges) + 1) + 0.5
        for side in (baseline, tonight)
    ]
    expected, found = (count / count.sum() for count in counts)
    index = float(np.sum((found - expected) * np.log(found / expected)))
    return index, len(edges) * (1 / len(baseline) + 1 / len(tonight))


def kolmogorov_smirnov(first: Values, second: Values) -> Tested:
    """The largest distance of the two distribution functions, two-sided; the p-value by Kolmogorov's limit with
    Stephens' correction (1970), good to 0.03 from 8 values a side and to 0.01 from 700. NaN where one side is empty."""
    n, m = len(first), len(second)
    if not n or not m:
        return Tested(math.nan, math.nan)
    both = np.concatenate([first, second])
    below = [np.searchsorted(np.sort(side), both, side="right") / len(side) for side in (first, second)]
    distance = float(np.abs(below[0] - below[1]).max())
    effective = math.sqrt(n * m / (n + m))
    return Tested(distance, _kolmogorov_tail((effective + 0.12 + 0.11 / effective) * distance))


def _kolmogorov_tail(x: float) -> float:
    """P(K > x) for Kolmogorov's K, by the series that converges at once on each side of 1."""
    if x < 1e-3:
        return 1.0
    terms = np.arange(1, 101)
    if x < 1:
        body = np.exp(-((2 * terms - 1) ** 2) * math.pi**2 / (8 * x * x)).sum()
        return float(1 - math.sqrt(2 * math.pi) / x * body)
    return float(np.clip(2 * np.sum((-1.0) ** (terms - 1) * np.exp(-2 * terms**2 * x * x)), 0, 1))


def mean_discrepancy(first: Vectors, second: Vectors, generator: np.random.Generator) -> Tested:
    """The squared maximum mean discrepancy of two sets of vectors (n, d), (m, d), and its p-value by permutation.

    The kernel's width is the median distance. NaN where a side has fewer than two vectors. The least p-value is
    1 / (PERMUTATIONS + 1).
    """
    n, m = len(first), len(second)
    if min(n, m) < 2:
        return Tested(math.nan, math.nan)
    kernel = _gaussian_kernel(np.concatenate([first, second]).astype(np.float64))
    weights = np.full(n + m, -1 / m)
    weights[:n] = 1 / n
    found = float(weights @ kernel @ weights)
    shuffled = np.stack([generator.permutation(weights) for _ in range(PERMUTATIONS)], axis=1)  # (n + m, PERMUTATIONS)
    by_chance = np.einsum("ip,ip->p", shuffled, kernel @ shuffled)
    as_large = int(np.sum(by_chance >= found - 1e-12))
    return Tested(max(found, 0.0), (1 + as_large) / (1 + PERMUTATIONS))


def _gaussian_kernel(vectors: Values) -> Values:
    squares = np.einsum("ij,ij->i", vectors, vectors)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * vectors @ vectors.T, 0.0)
    median = float(np.median(distances[np.triu_indices(len(vectors), 1)]))
    kernel: Values = np.exp(-distances / (median or 1.0))
    return kernel
