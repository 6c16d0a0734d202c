"""AdaNeg: labels replaced by proxies that were learnt from confident images, beside the score of their texts.

Zhang and Zhang, AdaNeg: Adaptive Negative Proxy Guided OOD Detection with Vision-Language Models, NeurIPS 2024.

    S = S_ada + 0.1 S_nl,    both NegLabel's score, S_ada with proxies in place of the texts

`task`: one proxy for each label, the mean of its text and the images stored for it. `sample`: a proxy made anew for
each image, which weighs the stored images by their likeness to it (see memory.py). Here the memory is learnt and
frozen, so that an image's score depends on itself alone; curator.systems.adaneg.stream has the published form, in
which it follows the stream. The published code runs `beta` 5.5 as 5, by a cast; 5 is the default, and fractions are not
cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from curator.errors import UsageError
from curator.methods.grouping import Permutation, Remainder
from curator.methods.kernels.memory import SampleProxies
from curator.methods.layers import MEMORY_CLASSES, MEMORY_SLOTS, Layer, layer_vectors, require_parameters
from curator.methods.maths import Cosines, Scores, log_odds_of_mix, sigmoid
from curator.methods.members.neglabel import NegLabel, neglabel_log_odds
from curator.methods.spec import (
    Count,
    Factor,
    NamedMethod,
    Natural,
    Weight,
    bank_scale,
    check_parameters,
    require_negatives,
)
from curator.methods.statistics import Needs, Statistics
from curator.types import Bank

PROXIES = "proxies"
GROUP_COUNT = 5
STATIC_WEIGHT = 0.1
BETA = 5.0


def adaneg_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    adaptive_cosines: Cosines,
    scale: float,
    group_count: int = GROUP_COUNT,
    remainder: Remainder = "drop",
    static_weight: float = STATIC_WEIGHT,
    permutation: Permutation | None = None,
) -> Scores:
    """S_ada + static_weight * S_nl, (n,) in [0, 1 + static_weight].

    id_cosines: (n, C), negative_cosines: (n, M), adaptive_cosines: (n, C + M), those with the proxies, ID labels first.
    """
    ids = id_cosines.shape[1]
    pairs = (adaptive_cosines[:, :ids], adaptive_cosines[:, ids:]), (id_cosines, negative_cosines)
    adaptive, static = (
        neglabel_log_odds(
            inside, outside, scale=scale, group_count=group_count, remainder=remainder, permutation=permutation
        )
        for inside, outside in pairs
    )
    method = AdaNeg(scale=scale, group_count=group_count, remainder=remainder, static_weight=static_weight)
    return method.id_score(method.mixed(adaptive, static))


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaNeg(NamedMethod):
    """`mode` task or sample; `beta` is the sharpness of sample proxies, `static_weight` that of the texts' score.

    `scale` multiplies cosines; `group_count` groups are drawn by `seed`, the same for proxies and texts. Even odds are
    at half of the largest score.
    """

    name: ClassVar[str] = "adaneg"
    formula: ClassVar[Any] = staticmethod(adaneg_score)
    scale: Factor
    mode: Literal["task", "sample"] = "task"
    beta: Factor | None = None
    static_weight: Weight = STATIC_WEIGHT
    group_count: Count = GROUP_COUNT
    remainder: Remainder = "drop"
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.mode == "task" and self.beta is not None:
            raise UsageError("adaneg: beta is for the mode sample")

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        require_negatives("adaneg", bank)
        given = {"scale": bank_scale(bank), **parameters}
        if given.get("mode") == "sample":
            given.setdefault("beta", BETA)
        method = cls(**given)
        if method.mode == "sample":
            require_parameters(bank, "adaneg in the mode sample", MEMORY_SLOTS, MEMORY_CLASSES)
            SampleProxies.of(bank)
        else:
            require_parameters(bank, "adaneg in the mode task", PROXIES)
            layer_vectors(bank, method.layer)
        return method

    @property
    def layer(self) -> Layer:
        return Layer(vectors=PROXIES) if self.mode == "task" else Layer(memory=self.beta)

    @property
    def text(self) -> NegLabel:
        return NegLabel(scale=self.scale, group_count=self.group_count, remainder=self.remainder, seed=self.seed)

    @property
    def needs(self) -> Needs:
        return self.text.needs

    @property
    def layer_needs(self) -> Mapping[Layer, Needs]:
        return {self.layer: self.text.needs}

    def log_odds(self, statistics: Statistics) -> Scores:
        """logit of S / (1 + static_weight), a weighted mean of two probabilities. Does not saturate."""
        return self.mixed(self.text.log_odds(statistics.layers[self.layer]), self.text.log_odds(statistics))

    def mixed(self, adaptive: Scores, static: Scores) -> Scores:
        return log_odds_of_mix(adaptive, static, 1 / (1 + self.static_weight))

    def id_score(self, log_odds: Scores) -> Scores:
        score: Scores = (1 + self.static_weight) * sigmoid(log_odds)
        return score
