"""NegLabel: how much probability the ID labels take from a large bank of negative labels, averaged over groups of them.

Jiang et al., Negative Label Guided OOD Detection with Pretrained Vision-Language Models, ICLR 2024.
Differences from the published code: the permutation comes from NumPy's generator (PyTorch's differs between CPU and
GPU, so it cannot be reproduced anyway); one group is the plain score (the published code returns the sum of ID logits
there); `remainder=join` and `group_size` are additions; with fewer negatives than groups there are as many groups as
negatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ClassVar, Self

import numpy as np

from curator.errors import UsageError
from curator.methods.grouping import DEFAULT_GROUP_COUNT, Grouping, Permutation, Remainder, checked_permutation
from curator.methods.maths import Cosines, Scores, log_odds_of_mean, sigmoid
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


def neglabel_log_odds(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    scale: float,
    temperature: float = 1.0,
    group_count: int | None = None,
    group_size: int | None = None,
    remainder: Remainder = "drop",
    permutation: Permutation | None = None,
) -> Scores:
    """logit of mean_g P / (P + N_g), P and N_g the sums of exp(scale * c / temperature) over ID labels and group g.

    id_cosines: (n, C), negative_cosines: (n, M), M >= 1. `permutation` orders the columns that are kept (new column k
    is kept column permutation[k]; None keeps the order); groups are then consecutive. See `group_sizes` for the rest.
    An added negative never raises the result with one group; with more it may, because it can move group borders.
    """
    if negative_cosines is None or negative_cosines.shape[1] == 0:
        raise UsageError("neglabel needs negative labels")
    method = NegLabel(
        scale=scale, temperature=temperature, group_count=group_count, group_size=group_size, remainder=remainder
    )
    kept = sum(method.grouping.sizes(negative_cosines.shape[1]))
    order = np.arange(kept) if permutation is None else checked_permutation(permutation, kept)
    return method.log_odds(exact_statistics(id_cosines, negative_cosines, method.needs, order=order))


@wraps(neglabel_log_odds, assigned=())
def neglabel_score(id_cosines: Cosines, negative_cosines: Cosines | None, **parameters: Any) -> Scores:
    """The probability that has the log-odds of `neglabel_log_odds`, with its parameters: (n,) in [0, 1]."""
    return sigmoid(neglabel_log_odds(id_cosines, negative_cosines, **parameters))


@dataclass(frozen=True, slots=True, kw_only=True)
class NegLabel(ProbabilityMethod):
    """`scale` multiplies cosines (default: the bank's logit scale), `temperature` divides, `seed` draws the grouping.

    Either `group_count` (default 100) or `group_size` is set. The default cut at even odds flags when the negatives of
    a group outweigh the ID labels, on average over groups. That depends on how many there are of each: with few ID
    labels, or few groups, it flags most ID images. Label for label it is about log(C / labels in a group).
    """

    name: ClassVar[str] = "neglabel"
    formula: ClassVar[Any] = staticmethod(neglabel_score)
    scale: Factor
    temperature: Factor = 1.0
    group_count: Count | None = None
    group_size: Count | None = None
    remainder: Remainder = "drop"
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_parameters(self)
        self.grouping.sizes(1)  # refuses what makes no groups

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        require_negatives(cls.name, bank)
        method = cls(**{"scale": bank_scale(bank), **parameters})
        return method if method.group_size else replace(method, group_count=method.group_count or DEFAULT_GROUP_COUNT)

    @property
    def grouping(self) -> Grouping:
        return Grouping(count=self.group_count, size=self.group_size, remainder=self.remainder, seed=self.seed)

    @property
    def needs(self) -> Needs:
        scale = self.scale / self.temperature
        return Needs(frozenset({scale}), frozenset({(scale, self.grouping)}))

    def log_odds(self, statistics: Statistics) -> Scores:
        """Log-odds of the mean over groups of P / (P + N_g)."""
        scale = self.scale / self.temperature
        by_group = statistics.id_mass(scale)[:, None] - statistics.masses[scale, self.grouping]
        return by_group[:, 0] if by_group.shape[1] == 1 else log_odds_of_mean(by_group)
