"""MaxLogit and energy: the ID labels' logits as they stand, the largest and the sum. Neither needs negatives.

MaxLogit is the cosine of the nearest ID label: Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World
Settings, ICML 2022, on CLIP's logits. With negatives it is `eoe:variant=max_logit`.

Energy is temperature times the log-sum-exp over the ID labels, the negative free energy: Liu et al., Energy-based
Out-of-distribution Detection, NeurIPS 2020, as EOE applies it to CLIP: raw cosines, T = 0.01. With negatives it is
`eoe:variant=energy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from curator.methods.maths import Cosines, Scores
from curator.methods.spec import Factor, PlainMethod
from curator.methods.statistics import Needs, Statistics, exact_statistics


def max_logit_score(id_cosines: Cosines, negative_cosines: Cosines | None = None, *, scale: float = 1.0) -> Scores:
    """scale * max_i c_i, from id_cosines (n, C). Negatives are ignored."""
    method = MaxLogit(scale=scale)
    return method.log_odds(exact_statistics(id_cosines, None, method.needs))


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxLogit(PlainMethod):
    """`scale` multiplies the cosine and changes no ranking; 1, so that the score is the cosine."""

    name: ClassVar[str] = "max_logit"
    formula: ClassVar[Any] = staticmethod(max_logit_score)
    scale: Factor = 1.0

    def log_odds(self, statistics: Statistics) -> Scores:
        return self.scale * statistics.id_cosine


def energy_score(id_cosines: Cosines, negative_cosines: Cosines | None = None, *, temperature: float = 0.01) -> Scores:
    """T * log(sum_i exp(c_i / T)), from id_cosines (n, C). Negatives are ignored."""
    method = Energy(temperature=temperature)
    return method.log_odds(exact_statistics(id_cosines, None, method.needs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy(PlainMethod):
    """`temperature` divides raw cosines."""

    name: ClassVar[str] = "energy"
    formula: ClassVar[Any] = staticmethod(energy_score)
    temperature: Factor = 0.01

    @property
    def needs(self) -> Needs:
        return Needs(id_scales=frozenset({1 / self.temperature}))

    def log_odds(self, statistics: Statistics) -> Scores:
        return self.temperature * statistics.id_mass(1 / self.temperature)
