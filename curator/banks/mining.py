"""Chooses negatives from candidates. NegLabel's rule: those least similar to the ID labels, per part of speech.

Jiang et al., ICLR 2024 (NegMining): a candidate's similarity is a high quantile of its cosines to the ID
labels, so that one close ID label does not exclude it. The trap in that: exact ID names survive; see id_names.py.
Cosines are exact, so the choice is the same on every machine that has the same vectors, and only a block of the
(candidates, ID labels) matrix exists at a time. Another rule is another function of this shape and a line in MINERS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curator.banks.spec import MiningSpec, Statistic
from curator.banks.wordnet.lexicon import Candidate
from curator.methods.cosines import exact_cosines, on_grid
from curator.registry import Registry
from curator.types import Vectors

MINERS = Registry("mining method", {"neglabel": "curator.banks.mining:mine_neglabel"})
BLOCK_CELLS = 1 << 23  # 64 MiB of float64 cosines


@dataclass(frozen=True, slots=True)
class Mined:
    """The chosen candidates in bank order: their indices (m,), and for each what it was chosen by (float64), the
    nearest ID label (index) and its cosine (float64)."""

    chosen: NDArray[np.intp]
    statistic: NDArray[np.float64]
    nearest_id: NDArray[np.intp]
    nearest_id_cosine: NDArray[np.float64]


class Miner(Protocol):
    """candidate_vectors: (n, d) in the order of candidates; id_vectors: (C, d); both unit norm."""

    def __call__(
        self, candidates: Sequence[Candidate], candidate_vectors: Vectors, id_vectors: Vectors, rules: MiningSpec
    ) -> Mined: ...


def mine_neglabel(
    candidates: Sequence[Candidate], candidate_vectors: Vectors, id_vectors: Vectors, rules: MiningSpec
) -> Mined:
    """The lowest quantiles of each part of speech, ascending, one part after the other as `rules.order` says."""
    id_grid = on_grid(id_vectors)
    rows = max(1, BLOCK_CELLS // len(id_grid))
    statistics, nearest, nearest_cosines = [], [], []
    for start in range(0, len(candidate_vectors), rows):
        cosines = exact_cosines(on_grid(candidate_vectors[start : start + rows]), id_grid)
        nearest.append(cosines.argmax(axis=1))
        nearest_cosines.append(cosines.max(axis=1))
        statistics.append(order_statistic(cosines, rules.quantile, rules.statistic))
    statistic = np.concatenate(statistics)
    chosen = choose_lowest(statistic, np.array([candidate.part_of_speech for candidate in candidates]), rules)
    return Mined(chosen, statistic[chosen], np.concatenate(nearest)[chosen], np.concatenate(nearest_cosines)[chosen])


def order_statistic(cosines: NDArray[np.float64], quantile: float, statistic: Statistic) -> NDArray[np.float64]:
    """The quantile of each row: (n, C) to (n,). Reorders the rows of `cosines`.

    linear: between the two values around quantile * (C - 1), as NegLabel's code. order: the ascending value at index
    floor(quantile * C), no interpolation, as the later benchmark code.
    """
    count = cosines.shape[1]
    exact = Fraction(repr(quantile))  # 0.95 as written: floor(0.95 * 20) is 19, whatever the binary rounding
    position = exact * (count - 1) if statistic == "linear" else Fraction(math.floor(exact * count))
    low = min(math.floor(position), count - 1)
    high = min(low + 1, count - 1)
    cosines.partition((low, high), axis=1)
    value: NDArray[np.float64] = cosines[:, low] + float(position - low) * (cosines[:, high] - cosines[:, low])
    return value if statistic == "linear" else cosines[:, low].copy()


def choose_lowest(statistic: NDArray[np.float64], parts: NDArray[np.str_], rules: MiningSpec) -> NDArray[np.intp]:
    """Indices of the lowest of each part of speech, ascending; equal values stay in the order of the candidates."""
    wanted = part_counts({part: int((parts == part).sum()) for part in ("noun", "adjective")}, rules)
    chosen = {}
    for part, count in wanted.items():
        of_part = np.flatnonzero(parts == part)
        chosen[part] = of_part[np.argsort(statistic[of_part], kind="stable")[:count]]
    order = ("noun", "adjective") if rules.order == "nouns_first" else ("adjective", "noun")
    return np.concatenate([chosen[part] for part in order])


def part_counts(available: dict[str, int], rules: MiningSpec) -> dict[str, int]:
    """How many to keep of each: floor(fraction * n), or of a limit M floor(M * share) adjectives and the rest nouns."""
    if rules.limit is None:
        return {part: math.floor(Fraction(repr(rules.fraction)) * count) for part, count in available.items()}
    total = sum(available.values())
    limit = min(rules.limit, total)
    adjectives = limit * available["adjective"] // total if total else 0
    nouns = min(limit - adjectives, available["noun"])
    return {"noun": nouns, "adjective": limit - nouns}
