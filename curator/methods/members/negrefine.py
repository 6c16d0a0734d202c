"""NegRefine's score: NegLabel's, plus how much better a text of an ID label and a negative fits than the latter alone.

    S = S_nl + alpha S_mm,    S_mm = max over the nearest 5 ID labels i and 5 negatives j of e_ij
        e^{s e_ij} / (e^{s e_ij} + e^{s n_j}),    e_ij the cosine with the text "i and j", n_j with j alone

Ansari et al., NegRefine: Refining Negative Label-Based Zero-Shot OOD Detection, ICCV 2025, arXiv 2507.09795: an image
that shows an ID class beside something else is near both. Its filter of the negatives is in banks/refine.py. The
published code encodes 25 texts for each image; here a bank keeps the pairs that are met most often, and an image that
none of these fits has S_mm = 0. With `alpha` 0, the default of a bank without pairs, it is NegLabel's score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from curator.errors import UsageError
from curator.methods.grouping import DEFAULT_GROUP_COUNT, Permutation
from curator.methods.kernels.pairs import Pairs, nearest_places
from curator.methods.layers import PAIR_LABELS, PAIR_VECTORS, require_parameters
from curator.methods.maths import Cosines, Scores, log_odds_of_mix, sigmoid
from curator.methods.members.neglabel import NegLabel, neglabel_log_odds
from curator.methods.spec import Count, Factor, Natural, PlainMethod, Weight, bank_scale, require_negatives
from curator.methods.statistics import Needs, Statistics
from curator.types import Bank

ALPHA = 2.0
JOINED = 5


def negrefine_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    pair_cosines: Cosines | None = None,
    scale: float,
    alpha: float = ALPHA,
    joined: int = JOINED,
    group_count: int = DEFAULT_GROUP_COUNT,
    permutation: Permutation | None = None,
) -> Scores:
    """S, (n,) in [0, 1 + alpha]. id_cosines: (n, C), negative_cosines: (n, M), pair_cosines: (n, C, M), -inf for a pair
    that is not there; None only with alpha 0."""
    if negative_cosines is None or not negative_cosines.shape[1]:
        raise UsageError("negrefine needs negative labels")
    text = neglabel_log_odds(
        id_cosines, negative_cosines, scale=scale, group_count=group_count, permutation=permutation
    )
    method = NegRefine(scale=scale, alpha=alpha, joined=joined, group_count=group_count)
    if not alpha:
        return method.id_score(text)
    if pair_cosines is None:
        raise UsageError("negrefine needs the cosines of pairs, or alpha = 0")
    return method.id_score(method.mixed(text, best_pair(id_cosines, negative_cosines, pair_cosines, joined)))


def best_pair(id_cosines: Cosines, negative_cosines: Cosines, pair_cosines: Cosines, joined: int) -> Scores:
    """The largest e_ij - n_j over the pairs of the nearest labels of either role, (n,); -inf where there is none."""
    near, far = (nearest_places(np.asarray(side), joined) for side in (id_cosines, negative_cosines))
    rows = np.arange(len(near))[:, None, None]
    gains = pair_cosines[rows, near[:, :, None], far[:, None, :]] - negative_cosines[rows, far[:, None, :]]
    found: Scores = gains.max(axis=(1, 2))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NegRefine(PlainMethod):
    """`alpha` weighs the joined score (default 2 on a bank with pairs, else 0), that of the `joined` nearest labels of
    either role. `scale` multiplies cosines; `group_count` groups are drawn by `seed`."""

    name: ClassVar[str] = "negrefine"
    formula: ClassVar[Any] = staticmethod(negrefine_score)
    scale: Factor
    alpha: Weight = 0.0
    joined: Count = JOINED
    group_count: Count = DEFAULT_GROUP_COUNT
    seed: Natural = 0

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        require_negatives("negrefine", bank)
        given = {"scale": bank_scale(bank), "alpha": ALPHA if PAIR_LABELS in bank.parameters else 0.0, **parameters}
        if given["alpha"]:
            require_parameters(bank, "negrefine with an alpha", PAIR_LABELS, PAIR_VECTORS)
        return cls(**given)

    @property
    def measure(self) -> Pairs:
        return Pairs(self.joined)

    @property
    def text(self) -> NegLabel:
        return NegLabel(scale=self.scale, group_count=self.group_count, seed=self.seed)

    @property
    def needs(self) -> Needs:
        return self.text.needs | Needs(measures=frozenset({self.measure} if self.alpha else ()))

    def log_odds(self, statistics: Statistics) -> Scores:
        text = self.text.log_odds(statistics)
        return self.mixed(text, statistics.measures[self.measure][:, 0]) if self.alpha else text

    def mixed(self, text: Scores, gains: Scores) -> Scores:
        """The logit of S / (1 + alpha), a weighted mean of two probabilities. gains: the largest e_ij - n_j."""
        return log_odds_of_mix(text, self.scale * gains, 1 / (1 + self.alpha))

    def id_score(self, log_odds: Scores) -> Scores:
        score: Scores = (1 + self.alpha) * sigmoid(log_odds)
        return score
