"""EOE: the largest ID probability less a share of the largest outlier probability, in one softmax over both.

Cao et al., Envisioning Outlier Exposure by Large Language Models for Out-of-Distribution Detection, ICML 2024.
Its negatives are outlier labels that a language model imagined; any bank's negatives will do. The variants are those
that the paper compares on the same labels:

    eoe        max p_ID - beta * max p_out, p = softmax([c_ID, c_out] / T)
    msp        max p_ID (beta = 0)
    max_logit  max c_ID - max c_out
    energy     T * log-sum-exp(c_ID / T) - T * log-sum-exp(c_out / T)
    max        1/C where an outlier label is nearest, else the largest probability over the ID labels alone
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from curator.errors import BankError, UsageError
from curator.methods.grouping import ONE_GROUP
from curator.methods.maths import Cosines, Scores, log_sigmoid, sigmoid
from curator.methods.spec import DefaultRule, Factor, NamedMethod, Share, no_natural_threshold, require_negatives
from curator.methods.statistics import Needs, Statistics, exact_statistics
from curator.types import Bank

Variant: TypeAlias = Literal["eoe", "msp", "max_logit", "energy", "max"]
DEFAULT_TEMPERATURE: dict[str, float] = {"energy": 0.01}  # 1 for the others, as published


def eoe_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    variant: Variant = "eoe",
    beta: float = 0.25,
    temperature: float | None = None,
) -> Scores:
    """id_cosines: (n, C), negative_cosines: (n, M), M >= 1, raw. `temperature` None: as published for the variant.

    An added outlier label never raises a score, but for the variant eoe below 0: there a label that is not the nearest
    draws both probabilities, hence the score, towards 0. Raises UsageError without negatives, and for the variant max
    with one ID label.
    """
    if negative_cosines is None or negative_cosines.shape[1] == 0:
        raise UsageError("eoe needs negative labels")
    if variant == "max" and id_cosines.shape[1] < 2:
        raise UsageError("eoe: the variant max needs at least two ID labels")
    method = EOE.of(variant=variant, beta=beta, temperature=temperature)
    statistics = exact_statistics(id_cosines, negative_cosines, method.needs)
    return method.id_score(method.log_odds(statistics))


@dataclass(frozen=True, slots=True, kw_only=True)
class EOE(NamedMethod):
    """`variant`, `beta` in [0, 1] (variant eoe only), `temperature` of raw cosines (1, but 0.01 for energy)."""

    name: ClassVar[str] = "eoe"
    formula: ClassVar[Any] = staticmethod(eoe_score)
    variant: Variant = "eoe"
    beta: Share = 0.25
    temperature: Factor = 1.0

    @classmethod
    def of(cls, *, variant: Variant = "eoe", beta: float = 0.25, temperature: float | None = None) -> Self:
        given = DEFAULT_TEMPERATURE.get(variant, 1.0) if temperature is None else temperature
        return cls(variant=variant, beta=beta, temperature=given)

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        require_negatives("eoe", bank)
        if parameters.get("variant") == "max" and bank.id_count < 2:
            raise BankError(f"eoe: the variant max needs at least two ID labels, bank {bank.name} has one")
        return cls.of(**parameters)

    @property
    def needs(self) -> Needs:
        scale = 1 / self.temperature
        return Needs(frozenset({scale}), frozenset({(scale, ONE_GROUP)}))

    def log_odds(self, statistics: Statistics) -> Scores:
        """The score S itself for max_logit and energy; the logit of S for msp and max; log((S + beta) / (1 - S)).

        The last grows with S from -beta to 1. It does not saturate near 1; near -beta, where one outlier label holds
        all but 1e-14 (no matter at temperature 1), it goes on with the ID label's share alone.
        """
        scale = 1 / self.temperature
        top_id, top_out = scale * statistics.id_cosine, scale * statistics.negative_cosine
        if self.variant == "max_logit":
            return statistics.id_cosine - statistics.negative_cosine
        if self.variant == "energy":
            mass: Scores = statistics.id_mass(scale) - statistics.masses[scale, ONE_GROUP][:, 0]
            return self.temperature * mass
        if self.variant == "max":
            return np.where(top_out > top_id, -np.log(statistics.id_count - 1), top_id - statistics.id_rest[scale])
        others = np.logaddexp(statistics.id_rest[scale], statistics.masses[scale, ONE_GROUP][:, 0])
        if self.variant == "msp":
            return top_id - others
        with np.errstate(divide="ignore"):  # beta = 0, and an outlier label that holds all: log(0) is meant
            log_beta = np.log(self.beta)
            out = np.minimum(top_out - np.logaddexp(top_id, others), 0.0)
            kept = np.logaddexp(log_sigmoid(top_id - others), log_beta + np.log1p(-np.exp(out)))
        odds: Scores = kept - np.logaddexp(log_sigmoid(others - top_id), log_beta + out)
        return odds

    def id_score(self, log_odds: Scores) -> Scores:
        if self.variant in ("max_logit", "energy"):
            return log_odds
        if self.variant in ("msp", "max"):
            return sigmoid(log_odds)
        share = sigmoid(log_odds)
        score: Scores = share * (1 + self.beta) - self.beta
        return score

    def default_min_log_odds(self, even: Statistics, rule: DefaultRule) -> float:
        """max_logit: 0, where an ID and a negative label are equally near. The others have no natural threshold."""
        if self.variant != "max_logit":
            raise no_natural_threshold(self)
        return 0.0
