"""MM-OOD: EOE's score on outlier labels from two conversations, one about near OOD and one about far OOD.

MM-OOD, arXiv 2601.14052 (2026), known to us from summaries of it; there is no published code. The labels of both
branches are mixed half and half. Read most simply that is one softmax over as many labels of each (`mix` labels, which
the bank sees to); `mix` scores is the other reading, near_weight * S_near + (1 - near_weight) * S_far, each with its
own softmax. S is EOE's: max p_ID - beta * max p_out, at temperature 1 of raw cosines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from curator.errors import BankError, UsageError
from curator.methods.layers import Layer, negatives_from
from curator.methods.maths import Cosines, Scores, log_odds_of_mix
from curator.methods.members.eoe import EOE
from curator.methods.spec import DefaultRule, Factor, NamedMethod, Share, check_parameters, no_natural_threshold
from curator.methods.statistics import Needs, Statistics, exact_statistics
from curator.types import Bank

Mix = Literal["labels", "scores"]
NEAR, FAR = Layer(negatives=("mmood:near",)), Layer(negatives=("mmood:far",))


def mmood_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    far_cosines: Cosines | None = None,
    mix: Mix = "labels",
    near_weight: float = 0.5,
    beta: float = 0.25,
    temperature: float = 1.0,
) -> Scores:
    """(n,) in [-beta, 1]. id_cosines: (n, C); mix labels: negative_cosines (n, M) holds both branches; mix scores:
    negative_cosines (n, N) is the near branch and far_cosines (n, F) the far one. Raises UsageError without them."""
    method = MMOOD(mix=mix, near_weight=near_weight if mix == "scores" else None, beta=beta, temperature=temperature)
    branches = (negative_cosines,) if mix == "labels" else (negative_cosines, far_cosines)
    if any(branch is None or not branch.shape[1] for branch in branches):
        raise UsageError(f"mmood: mixing {mix} needs negative labels{' of both branches' * (mix == 'scores')}")
    sides = [method.outliers.log_odds(exact_statistics(id_cosines, side, method.outliers.needs)) for side in branches]
    return method.id_score(method.mixed(sides))


@dataclass(frozen=True, slots=True, kw_only=True)
class MMOOD(NamedMethod):
    """`mix` as above (default: as the bank was learnt), `near_weight` in [0, 1] for scores only.

    `beta` in [0, 1] and `temperature` as in EOE.
    """

    name: ClassVar[str] = "mmood"
    formula: ClassVar[Any] = staticmethod(mmood_score)
    mix: Mix = "labels"
    near_weight: Share | None = None
    beta: Share = 0.25
    temperature: Factor = 1.0

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.mix == "labels" and self.near_weight is not None:
            raise UsageError("mmood: near_weight is for mix=scores; mixed labels are mixed in the bank")

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        learned = bank.spec.get("learned", {})
        mix = parameters.get("mix", learned.get("mix", "labels"))
        defaults = {"near_weight": float(learned.get("near_weight", 0.5))} if mix == "scores" else {}
        method = cls(**{"mix": mix, **defaults, **parameters})
        branches = [NEAR, FAR] if method.mix == "scores" else [Layer(negatives=("mmood:",))]
        for branch in branches:
            if not len(negatives_from(bank, branch.negatives)):
                raise BankError(
                    f"mmood needs negatives whose source begins {(branch.negatives or ('',))[0]}, "
                    f"bank {bank.name} has none",
                    hint="build a bank of imagined outliers, or use eoe: with mixed labels the formula is the same",
                )
        return method

    @property
    def outliers(self) -> EOE:
        """The score of either branch, or of both at once."""
        return EOE(beta=self.beta, temperature=self.temperature)

    @property
    def needs(self) -> Needs:
        return self.outliers.needs if self.mix == "labels" else Needs()

    @property
    def layer_needs(self) -> Mapping[Layer, Needs]:
        return {} if self.mix == "labels" else {NEAR: self.outliers.needs, FAR: self.outliers.needs}

    def log_odds(self, statistics: Statistics) -> Scores:
        """log((S + beta) / (1 - S)): the logit of (S + beta) / (1 + beta), which mixes as the scores do. See EOE."""
        if self.mix == "labels":
            return self.outliers.log_odds(statistics)
        return self.mixed([self.outliers.log_odds(statistics.layers[branch]) for branch in (NEAR, FAR)])

    def mixed(self, sides: list[Scores]) -> Scores:
        return sides[0] if self.near_weight is None else log_odds_of_mix(sides[0], sides[1], self.near_weight)

    def id_score(self, log_odds: Scores) -> Scores:
        return self.outliers.id_score(log_odds)

    def default_min_log_odds(self, even: Statistics, rule: DefaultRule) -> float:
        raise no_natural_threshold(self)
