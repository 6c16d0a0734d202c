"""MCM, maximum concept matching: the largest softmax probability over the ID labels. Needs no negatives.

Ming et al., Delving into Out-of-Distribution Detection with Vision-Language Representations, NeurIPS 2022.
Two detectors go by this name. The official one takes the softmax of the raw cosines (`scale=1,temperature=1`), where
the score hardly leaves 1/C and is nearly linear in the largest cosine. Later benchmarks take it of the model's own
logits (`scale` = the model's, `temperature` 1 or more), a confident softmax. The default is the second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from curator.errors import BankError, UsageError
from curator.methods.maths import Cosines, Scores
from curator.methods.spec import DefaultRule, Factor, ProbabilityMethod, bank_scale, no_natural_threshold
from curator.methods.statistics import Needs, Statistics, exact_statistics
from curator.types import Bank

# The largest lead in cosine over the other labels that a cut may ask of an ID image: none leads by more in practice.
LARGEST_LEAD = 0.5


def mcm_score(
    id_cosines: Cosines, negative_cosines: Cosines | None = None, *, scale: float, temperature: float = 1.0
) -> Scores:
    """max_i softmax_i(scale * c / temperature), in [1/C, 1], from id_cosines (n, C), C >= 2. Negatives are ignored.

    Raises UsageError when C < 2.
    """
    if id_cosines.shape[1] < 2:
        raise UsageError("mcm compares ID labels with each other, so it needs at least two")
    method = MCM(scale=scale, temperature=temperature)
    return method.id_score(method.log_odds(exact_statistics(id_cosines, None, method.needs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MCM(ProbabilityMethod):
    """`scale` multiplies cosines (default: the bank's logit scale); `temperature` divides (default 1)."""

    name: ClassVar[str] = "mcm"
    formula: ClassVar[Any] = staticmethod(mcm_score)
    scale: Factor
    temperature: Factor = 1.0

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        if bank.id_count < 2:
            raise BankError(f"mcm needs at least two ID labels, bank {bank.name} has {bank.id_count}")
        return cls(**{"scale": bank_scale(bank), **parameters})

    @property
    def needs(self) -> Needs:
        return Needs(id_scales=frozenset({self.scale / self.temperature}))

    def log_odds(self, statistics: Statistics) -> Scores:
        """z_top - log(sum of exp(z) over the other labels), at least -log(C - 1)."""
        scale = self.scale / self.temperature
        return scale * statistics.id_cosine - statistics.id_rest[scale]

    def default_min_log_odds(self, even: Statistics, rule: DefaultRule) -> float:
        """0, by either rule, as there are no negatives: the best ID label must outweigh all the others together.

        A rough cut: it flags more ID images the more ID labels are alike. UsageError for two labels, which always meet
        it, and for scales so small that no image can, the official form among them.
        """
        needed_lead = math.log(even.id_count - 1) * self.temperature / self.scale
        if not 0 < needed_lead < LARGEST_LEAD:
            raise no_natural_threshold(self)
        return 0.0
