"""TANL: negatives in the order of how much OOD images activate them, and a score averaged over ever more of them.

    S_aa = mean over m in {step, 2 step, ..., M} of P / (P + sum_{j <= m} exp(z_j))

Zhang et al., Activation Matters: Test-time Activated Negative Labels for OOD Detection with Vision-Language Models,
arXiv 2603.25250 (known to us from the published code and notes on the paper). A bank whose negatives are in the order
of their activation has learnt it already, so an image's score depends on itself alone; curator.systems.tanl.stream has
the published form, in which the order follows the stream. The first negatives enter every term, so they weigh most.
`step` 1 is the paper's formula; 0 is the plain score, NegLabel's with one group. The published code loops on past the
end of a bank smaller than it expects, which weighs the full sum more; not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from curator.errors import UsageError
from curator.methods.grouping import ONE_GROUP, Chunks, Groups
from curator.methods.maths import Cosines, Scores, log_odds_of_mean, sigmoid
from curator.methods.spec import (
    Factor,
    Natural,
    ProbabilityMethod,
    bank_scale,
    require_negatives,
)
from curator.methods.statistics import Needs, Statistics, exact_statistics
from curator.types import Bank


def tanl_score(id_cosines: Cosines, negative_cosines: Cosines | None, *, scale: float, step: int = 1) -> Scores:
    """S_aa, (n,) in [0, 1], from id_cosines (n, C) and negative_cosines (n, M) in the order of activation, M >= 1."""
    return sigmoid(tanl_log_odds(id_cosines, negative_cosines, scale=scale, step=step))


def tanl_log_odds(id_cosines: Cosines, negative_cosines: Cosines | None, *, scale: float, step: int = 1) -> Scores:
    """logit of S_aa, see `tanl_score`."""
    if negative_cosines is None or not negative_cosines.shape[1]:
        raise UsageError("tanl needs negative labels")
    method = TANL(scale=scale, step=step)
    return method.log_odds(exact_statistics(id_cosines, negative_cosines, method.needs))


@dataclass(frozen=True, slots=True, kw_only=True)
class TANL(ProbabilityMethod):
    """`scale` multiplies cosines (default: the bank's logit scale); `step` negatives more for each term of the mean."""

    name: ClassVar[str] = "tanl"
    formula: ClassVar[Any] = staticmethod(tanl_score)
    scale: Factor
    step: Natural = 1

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        require_negatives("tanl", bank)
        return cls(**{"scale": bank_scale(bank), **parameters})

    @property
    def groups(self) -> Groups:
        return Chunks(self.step) if self.step else ONE_GROUP

    @property
    def needs(self) -> Needs:
        return Needs(frozenset({self.scale}), frozenset({(self.scale, self.groups)}))

    def log_odds(self, statistics: Statistics) -> Scores:
        """Of the mean over the sums of the first one, two, ... chunks of negatives."""
        sums = np.logaddexp.accumulate(statistics.masses[self.scale, self.groups], axis=1)
        return log_odds_of_mean(statistics.id_mass(self.scale)[:, None] - sums)
