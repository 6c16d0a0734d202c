"""TINS's balanced score: the share of probability that the ID labels take from negatives that weigh as much as they do.

    S = mean over groups g of P / (P + C mean_{j in g} exp(z_j)),    P = sum over the C ID labels of exp(z_i)

TINS (arXiv 2605.10756, known to us from its code), on negatives that InterNeg's rule chose against images of the ID
classes: Xu et al., CVPR 2026, arXiv 2603.02618 (curator.systems.interneg). It is NegLabel's score with log(|g| / C)
added to the log-odds of each group, so an image that is equally similar to all labels scores one half however many
negatives there are. `form=plain` is InterNeg's own score, NegLabel's in five groups.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from curator.errors import UsageError
from curator.methods.grouping import Grouping, Permutation, Remainder, checked_permutation
from curator.methods.maths import Cosines, Scores, log_odds_of_mean
from curator.methods.spec import (
    Count,
    Factor,
    Natural,
    ProbabilityMethod,
    bank_scale,
    check_parameters,
    require_negatives,
)
from curator.methods.statistics import Needs, Statistics, exact_statistics
from curator.types import Bank

GROUP_COUNT = 5


def interneg_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    scale: float,
    form: Literal["balanced", "plain"] = "balanced",
    group_count: int = GROUP_COUNT,
    remainder: Remainder = "drop",
    permutation: Permutation | None = None,
) -> Scores:
    """S, (n,) in [0, 1], from id_cosines (n, C) and negative_cosines (n, M), M >= 1; groups as in
    `neglabel_log_odds`."""
    if negative_cosines is None or not negative_cosines.shape[1]:
        raise UsageError("interneg needs negative labels")
    method = InterNeg(scale=scale, form=form, group_count=group_count, remainder=remainder)
    kept = sum(method.grouping.sizes(negative_cosines.shape[1]))
    order = np.arange(kept) if permutation is None else checked_permutation(permutation, kept)
    return method.id_score(method.log_odds(exact_statistics(id_cosines, negative_cosines, method.needs, order=order)))


@dataclass(frozen=True, slots=True, kw_only=True)
class InterNeg(ProbabilityMethod):
    """`scale` multiplies cosines (default: the bank's logit scale), `form` balanced or plain; `group_count` groups are
    drawn by `seed`. The natural cut is even odds."""

    name: ClassVar[str] = "interneg"
    formula: ClassVar[Any] = staticmethod(interneg_score)
    scale: Factor
    form: Literal["balanced", "plain"] = "balanced"
    group_count: Count = GROUP_COUNT
    remainder: Remainder = "drop"
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_parameters(self)
        self.grouping.sizes(1)  # refuses what makes no groups

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        require_negatives("interneg", bank)
        return cls(**{"scale": bank_scale(bank), **parameters})

    @property
    def grouping(self) -> Grouping:
        return Grouping(count=self.group_count, remainder=self.remainder, seed=self.seed)

    @property
    def needs(self) -> Needs:
        return Needs(frozenset({self.scale}), frozenset({(self.scale, self.grouping)}))

    def log_odds(self, statistics: Statistics) -> Scores:
        by_group = statistics.id_mass(self.scale)[:, None] - statistics.masses[self.scale, self.grouping]
        if self.form == "balanced":
            sizes = self.grouping.sizes(statistics.negative_count)
            by_group = by_group + np.array([math.log(size / statistics.id_count) for size in sizes])
        return by_group[:, 0] if by_group.shape[1] == 1 else log_odds_of_mean(by_group)
