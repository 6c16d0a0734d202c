"""What mining goes by: for each candidate a high quantile of its cosines to the ID labels, and the nearest of them.

Cosines are exact (see cosines.py), so these are the same on every machine that has the same vectors, and only a block
of the (candidates, ID labels) matrix exists at a time.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from curator.banks.spec import MiningSpec, Statistic
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.types import Vectors

BLOCK_CELLS = 1 << 23  # 64 MiB of float64 cosines


class Nearness(NamedTuple):
    """For each candidate (n,): its quantile over the ID labels, the nearest of them (index) and its cosine."""

    statistic: NDArray[np.float64]
    nearest: NDArray[np.intp]
    nearest_cosine: NDArray[np.float64]


def mining_statistics(candidate_vectors: Vectors, id_vectors: Vectors, rules: MiningSpec) -> Nearness:
    """candidate_vectors: (n, d), id_vectors: (k, d), unit norm, n and k above 0; `rules` say which quantile and how."""
    id_grid = on_grid(id_vectors)
    rows = max(1, BLOCK_CELLS // len(id_grid))
    statistics, nearest, nearest_cosines = [], [], []
    for start in range(0, len(candidate_vectors), rows):
        cosines = exact_cosines(on_grid(candidate_vectors[start : start + rows]), id_grid)
        nearest.append(cosines.argmax(axis=1))
        nearest_cosines.append(cosines.max(axis=1))
        statistics.append(order_statistic(cosines, rules.quantile, rules.statistic))
    return Nearness(np.concatenate(statistics), np.concatenate(nearest), np.concatenate(nearest_cosines))


def exclude(
    statistic: NDArray[np.float64], nearest_cosine: NDArray[np.float64], rules: MiningSpec
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """CSP's rule against exact ID names: a cosine above `rules.exclude_above` to any ID label makes the statistic 1.

    Returns the statistics (n,) and which of them were excluded (n,): none where the spec has no such rule.
    """
    excluded = nearest_cosine > (np.inf if rules.exclude_above is None else rules.exclude_above)
    return np.where(excluded, 1.0, statistic), excluded


def order_statistic(cosines: NDArray[np.float64], quantile: float, statistic: Statistic) -> NDArray[np.float64]:
    """The quantile of each row: (n, C) to (n,). Reorders the rows of `cosines`.

    linear: between the two values around quantile * (C - 1), as NegLabel's code. order: the ascending value at index
    floor(quantile * C), no interpolation, as the later benchmark code.
    """
    low, high, share = position_of(quantile, statistic, cosines.shape[1])
    cosines.partition((low, high), axis=1)
    return between(cosines[:, low], cosines[:, high], share)


def position_of(quantile: float, statistic: Statistic, count: int) -> tuple[int, int, float]:
    """The two ascending indices that the quantile of `count` values lies between, and its share of the way."""
    exact = Fraction(repr(quantile))  # 0.95 as written: floor(0.95 * 20) is 19, whatever the binary rounding
    position = exact * (count - 1) if statistic == "linear" else Fraction(math.floor(exact * count))
    low = min(math.floor(position), count - 1)
    return (low, min(low + 1, count - 1), float(position - low)) if statistic == "linear" else (low, low, 0.0)


def between(low: NDArray[np.float64], high: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """low + share * (high - low), for each row."""
    value: NDArray[np.float64] = low + share * (high - low)
    return value
