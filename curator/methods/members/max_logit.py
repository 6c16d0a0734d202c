"""MaxLogit: the cosine of the nearest ID label. Needs no negatives (with them it is `eoe:variant=max_logit`).

Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022, on CLIP's logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from curator.methods.maths import Cosines, Scores
from curator.methods.spec import Factor, PlainMethod
from curator.methods.statistics import Statistics, exact_statistics


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
