"""Chooses negatives from candidates. NegLabel's rule: those least similar to the ID labels, per part of speech.

Jiang et al., ICLR 2024 (NegMining): a candidate's similarity is a high quantile of its cosines to the ID
labels, so that one close ID label does not exclude it. The trap in that: exact ID names survive; see id_names.py.
CSP (Chen et al., NeurIPS 2024) mines by the same rule, and leaves out what is near to any one ID label.
The choice is by exact cosines, so it is the same on every machine that has the same vectors; the sieve only saves the
cosines of candidates that cannot be chosen. Another rule is another function of this shape and a line in MINERS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curator.banks.quantiles import exclude, mining_statistics
from curator.banks.sieve import sieved_statistics
from curator.banks.spec import MiningSpec
from curator.registry import Registry
from curator.types import Vectors

MINERS = Registry(
    "mining method",
    {
        "neglabel": "curator.banks.mining:mine_neglabel",
        "csp": "curator.banks.mining:mine_neglabel",  # the same rule with other defaults: see published.py
    },
)
SIEVE_CELLS = 1 << 22  # below so many cosines the sieve gains nothing


@dataclass(frozen=True, slots=True)
class Mined:
    """The chosen candidates in bank order: their indices (m,), and for each what it was chosen by (float64), the
    nearest ID label (index) and its cosine (float64)."""

    chosen: NDArray[np.intp]
    statistic: NDArray[np.float64]
    nearest_id: NDArray[np.intp]
    nearest_id_cosine: NDArray[np.float64]


class HasPart(Protocol):
    """A candidate, as far as mining looks at it. One without a part of speech counts as a noun."""

    @property
    def part_of_speech(self) -> str | None: ...


class Miner(Protocol):
    """candidates: n, their vectors (n, d), ID vectors (k, d), both of unit norm."""

    def __call__(
        self, candidates: Sequence[HasPart], candidate_vectors: Vectors, id_vectors: Vectors, rules: MiningSpec
    ) -> Mined: ...


def mine_neglabel(
    candidates: Sequence[HasPart], candidate_vectors: Vectors, id_vectors: Vectors, rules: MiningSpec
) -> Mined:
    """The lowest quantiles of each part of speech, ascending, one part after the other as `rules.order` says.

    What `rules.exclude_above` excludes counts in the size of its part of speech, as in CSP's code, and is never chosen,
    which holds in CSP's code only while less than 85 % are excluded.
    """
    parts = np.array([item.part_of_speech or "noun" for item in candidates])
    found = None
    if len(candidate_vectors) * len(id_vectors) >= SIEVE_CELLS:
        found = sieved_statistics(candidate_vectors, id_vectors, parts, wanted_of(parts, rules), rules)
    statistic, nearest, nearest_cosine = found or mining_statistics(candidate_vectors, id_vectors, rules)
    statistic, excluded = exclude(statistic, nearest_cosine, rules)
    chosen = choose_lowest(statistic, parts, rules)
    chosen = chosen[~excluded[chosen]]
    return Mined(chosen, statistic[chosen], nearest[chosen], nearest_cosine[chosen])


def choose_lowest(statistic: NDArray[np.float64], parts: NDArray[np.str_], rules: MiningSpec) -> NDArray[np.intp]:
    """Indices of the lowest of each part of speech, ascending; equal values stay in the order of the candidates."""
    chosen = {}
    for part, count in wanted_of(parts, rules).items():
        of_part = np.flatnonzero(parts == part)
        chosen[part] = of_part[np.argsort(statistic[of_part], kind="stable")[:count]]
    order = ("noun", "adjective") if rules.order == "nouns_first" else ("adjective", "noun")
    return np.concatenate([chosen[part] for part in order])


def wanted_of(parts: NDArray[np.str_], rules: MiningSpec) -> dict[str, int]:
    """How many of each part of speech are chosen."""
    return part_counts({part: int((parts == part).sum()) for part in ("noun", "adjective")}, rules)


def part_counts(available: dict[str, int], rules: MiningSpec) -> dict[str, int]:
    """How many to keep of each: floor(fraction * n), or of a limit M floor(M * share) adjectives and the rest nouns."""
    if rules.limit is None:
        return {part: math.floor(Fraction(repr(rules.fraction)) * count) for part, count in available.items()}
    total = sum(available.values())
    limit = min(rules.limit, total)
    adjectives = limit * available["adjective"] // total if total else 0
    nouns = min(limit - adjectives, available["noun"])
    return {"noun": nouns, "adjective": limit - nouns}
