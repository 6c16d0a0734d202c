"""SynOOD: NegLabel's score after image vectors were moved and negatives tuned, with generated near-boundary images.

Li et al., Synthesizing Near-Boundary OOD Samples for Out-of-Distribution Detection, ICCV 2025.

    f_hat = norm(f + ReLU(LayerNorm(W f + b))),    S = P / (P + N) of f_hat, tuned rows in place of some negatives

The paper adds its residual to CLIP's image feature before that is divided by its norm (about 10 with ViT-B/16). Stored
vectors have norm 1, so here, and in training, the residual is added to the unit vector. What that loses is only each
image's norm: the published move turns vectors of small norm further than those of large norm. Grouping is not mentioned
for SynOOD, so there is one group unless asked. `projection` and `labels` are the cells of the paper's ablation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from curator.methods.grouping import Permutation, Remainder
from curator.methods.kernels.projection import NAMES, Projection
from curator.methods.layers import TUNED_LABELS, TUNED_VECTORS, Layer, layer_vectors, require_parameters
from curator.methods.maths import Cosines, Scores
from curator.methods.members.neglabel import NegLabel, neglabel_score
from curator.methods.spec import (
    Count,
    Factor,
    Natural,
    ProbabilityMethod,
    bank_scale,
    check_parameters,
    require_negatives,
)
from curator.methods.statistics import Needs, Statistics
from curator.types import Bank


def synood_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    scale: float,
    temperature: float = 1.0,
    group_count: int = 1,
    remainder: Remainder = "drop",
    permutation: Permutation | None = None,
) -> Scores:
    """NegLabel's score, (n,) in [0, 1], of cosines of projected images (see `projection.projected`) with the labels,
    the tuned among the negatives: id_cosines (n, C), negative_cosines (n, M), M >= 1."""
    return neglabel_score(
        id_cosines,
        negative_cosines,
        scale=scale,
        temperature=temperature,
        group_count=group_count,
        remainder=remainder,
        permutation=permutation,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SynOOD(ProbabilityMethod):
    """`projection` on or off, `labels` tuned or fixed; the rest as in NegLabel, with one group by default."""

    name: ClassVar[str] = "synood"
    formula: ClassVar[Any] = staticmethod(synood_score)
    scale: Factor
    temperature: Factor = 1.0
    projection: Literal["on", "off"] = "on"
    labels: Literal["tuned", "fixed"] = "tuned"
    group_count: Count = 1
    remainder: Remainder = "drop"
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_parameters(self)
        _ = self.text  # refuses a bad remainder

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        require_negatives("synood", bank)
        method = cls(**{"scale": bank_scale(bank), **parameters})
        wanted = (*(NAMES if method.projection == "on" else ()),)
        wanted += (TUNED_LABELS, TUNED_VECTORS) if method.labels == "tuned" else ()
        require_parameters(bank, "synood", *wanted)
        layer_vectors(bank, method.layer)
        if method.projection == "on":
            Projection.of(bank)
        return method

    @property
    def layer(self) -> Layer:
        return Layer(projection=self.projection == "on", tuned=self.labels == "tuned")

    @property
    def text(self) -> NegLabel:
        return NegLabel(
            scale=self.scale,
            temperature=self.temperature,
            group_count=self.group_count,
            remainder=self.remainder,
            seed=self.seed,
        )

    @property
    def layer_needs(self) -> Mapping[Layer, Needs]:
        return {self.layer: self.text.needs}

    def log_odds(self, statistics: Statistics) -> Scores:
        return self.text.log_odds(statistics.layers[self.layer])
