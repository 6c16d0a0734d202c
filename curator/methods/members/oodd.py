"""OODD: a base score, less the nearness to images that are suspected of being OOD.

    S = b - cos_(K)(v, dictionary),    the K-th largest cosine with the held images

Yang et al., OODD: Test-time Out-of-Distribution Detection with Dynamic Dictionary, CVPR 2025, arXiv 2503.10468 (known
to us from its code and notes on the paper). Here the dictionary is learnt and frozen, so that an image's score depends
on itself alone, and one that is held does not count for itself. The published form, in which the dictionary follows
the stream, is in curator.systems.oodd. With `base=mcm`, of raw cosines, b hardly leaves 1/C, and the score is in effect
the nearness alone; with `neglabel` both count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias

from curator.errors import UsageError
from curator.methods.grouping import DEFAULT_GROUP_COUNT, Permutation
from curator.methods.kernels.dictionary import Dictionary, Own, kth_cosines
from curator.methods.layers import DICTIONARY, require_parameters
from curator.methods.maths import Cosines, Scores
from curator.methods.members.mcm import MCM, mcm_score
from curator.methods.members.neglabel import NegLabel, neglabel_score
from curator.methods.spec import Count, Factor, Natural, PlainMethod, bank_scale, require_negatives
from curator.methods.statistics import Needs, Statistics
from curator.types import Bank

Base: TypeAlias = Literal["neglabel", "mcm"]
NEAREST = 5


def oodd_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    dictionary_cosines: Cosines,
    scale: float,
    base: Base = "neglabel",
    k: int = NEAREST,
    group_count: int = DEFAULT_GROUP_COUNT,
    permutation: Permutation | None = None,
) -> Scores:
    """b - cos_(K), (n,) in [-1, 2]. dictionary_cosines: (n, L), those with the held images, -inf for one that does not
    count; negative_cosines for neglabel only."""
    if base == "mcm":
        likely = mcm_score(id_cosines, scale=scale)
    else:
        likely = neglabel_score(
            id_cosines, negative_cosines, scale=scale, group_count=group_count, permutation=permutation
        )
    scores: Scores = likely - kth_cosines(dictionary_cosines, k)
    return scores


@dataclass(frozen=True, slots=True, kw_only=True)
class OODD(PlainMethod):
    """`base` neglabel or mcm, whose `scale` is the bank's logit scale or 1; `k` of the nearest held images, `own`
    whether one that is held counts for itself. `group_count` groups of NegLabel are drawn by `seed`."""

    name: ClassVar[str] = "oodd"
    formula: ClassVar[Any] = staticmethod(oodd_score)
    scale: Factor
    base: Base = "neglabel"
    k: Count = NEAREST
    own: Own = "exclude"
    group_count: Count = DEFAULT_GROUP_COUNT
    seed: Natural = 0

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        require_parameters(bank, "oodd", DICTIONARY)
        learned = bank.spec.get("learned", {})
        given = {"base": learned.get("base", "neglabel"), "k": learned.get("k", NEAREST), **parameters}
        if given["base"] == "neglabel":
            require_negatives("oodd", bank)
        elif bank.id_count < 2:
            raise UsageError(f"oodd with base=mcm needs at least two ID labels, bank {bank.name} has {bank.id_count}")
        return cls(**{"scale": 1.0 if given["base"] == "mcm" else bank_scale(bank), **given})

    @property
    def measure(self) -> Dictionary:
        return Dictionary(self.k, self.own)

    @property
    def text(self) -> NegLabel | MCM:
        """The base score."""
        if self.base == "mcm":
            return MCM(scale=self.scale)
        return NegLabel(scale=self.scale, group_count=self.group_count, seed=self.seed)

    @property
    def needs(self) -> Needs:
        return self.text.needs | Needs(measures=frozenset({self.measure}))

    def log_odds(self, statistics: Statistics) -> Scores:
        return self.text.id_score(self.text.log_odds(statistics)) - statistics.measures[self.measure][:, 0]
