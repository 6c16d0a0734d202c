"""ANTS: two generated banks of negatives, one of what suspected images show and one of what ID classes look like.

Zhu et al., ANTS: Adaptive Negative Textual Space Shaping for OOD Detection, arXiv 2509.03951 (known to us from its code
and notes on the paper). ENS, expressive negative sentences, are descriptions of images suspected of being OOD: far
OOD. VSNL, visually similar negative labels, name classes that look like the ID classes predicted most: near OOD.

    S_ada = w S_ens + (1 - w) S_vsnl,    w = F(mean S_ens, mean S_vsnl),  F(a, b) = (1 - a) / ((1 - a) + (1 - b))

Here the banks are learnt and frozen, so that an image's score depends on itself alone; curator.systems.ants.stream has
the published form, in which banks and weight follow the stream. The frozen weight is in the bank's spec. A side whose
labels a bank lacks leaves the other one alone. Groups of about 100 on either side are those of the published code;
the paper's formula has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError, UsageError
from curator.methods.grouping import Permutation
from curator.methods.layers import Layer, negatives_from
from curator.methods.maths import Cosines, Scores, log_odds_of_mix, sigmoid
from curator.methods.members.neglabel import NegLabel, neglabel_log_odds
from curator.methods.spec import Count, Factor, Natural, ProbabilityMethod, Share, bank_scale
from curator.methods.statistics import Needs, Statistics
from curator.types import Bank

Variant: TypeAlias = Literal["ada", "ens", "vsnl"]
Side: TypeAlias = Literal["ens", "vsnl"]
GROUP_SIZE = 100
BALANCED_COPIES = 10  # of the VSNL bank, which is smaller than the other
EDGES = np.linspace(0.0, 1.0, 11)  # of the histogram of scores
EVEN_WEIGHT = 0.5
TINY = 1e-12


def adaptive_weight(ens_mean: float, vsnl_mean: float) -> float:
    """F(a, b) = (1 - a) / ((1 - a) + (1 - b)), the weight of ENS, in [0, 1].

    The side that takes more from the ID labels weighs more. Both means in [0, 1]; 0.5 where both are 1.
    """
    lost, both = 1.0 - ens_mean, (1.0 - ens_mean) + (1.0 - vsnl_mean)
    return lost / both if both > TINY else EVEN_WEIGHT


def negative_threshold(history: Scores, eta: float) -> tuple[float, float]:
    """Below which scores the published code takes images for negative: the edge of the ID peak, and the cut under it.

    history: NegLabel's scores so far, in [0, 1]. The edge ends the bin, of ten, after which the counts change most (of
    several the first). The cut is the percentile 100 * eta (linear) of the scores below the edge; the edge itself where
    none is below.
    """
    scores = np.asarray(history, dtype=np.float64)
    edge = histogram_edge(np.histogram(scores, EDGES)[0])
    below = scores[scores < edge]
    return edge, float(np.percentile(below, 100 * eta)) if len(below) else edge


def histogram_edge(counts: NDArray[np.integer[Any]]) -> float:
    """The upper edge of the bin after which the counts (10,) change most."""
    return float(EDGES[1 + int(np.abs(np.diff(counts)).argmax())])


def capped_queue(new: NDArray[Any], old: NDArray[Any], cap: int) -> NDArray[Any]:
    """The newest `cap` rows of both, the newest first. (The published code keeps the last ones: the oldest.)"""
    return np.concatenate([new, old])[:cap]


def side_log_odds(
    id_cosines: Cosines,
    side_cosines: Cosines,
    *,
    scale: float,
    group_size: int = GROUP_SIZE,
    permutation: Permutation | None = None,
) -> Scores:
    """NegLabel's log-odds with the labels of one side, in M // group_size groups, at least one.

    M mod groups are dropped. id_cosines: (n, C), side_cosines: (n, M), M >= 1.
    """
    return neglabel_log_odds(id_cosines, side_cosines, scale=scale, group_size=group_size, permutation=permutation)


def side_score(id_cosines: Cosines, side_cosines: Cosines, *, scale: float, group_size: int = GROUP_SIZE) -> Scores:
    """S_ens or S_vsnl, (n,) in [0, 1], see `side_log_odds`."""
    return sigmoid(side_log_odds(id_cosines, side_cosines, scale=scale, group_size=group_size))


def balanced_scores(
    id_cosines: Cosines, ens_cosines: Cosines, vsnl_cosines: Cosines, *, scale: float, group_size: int
) -> tuple[Scores, Scores]:
    """S_ens and S_vsnl as the published code averages them for the weight, (n,) each.

    In groups of `group_size` (the number of ID labels in the ANTS code), the VSNL labels repeated ten times before, so
    that both sides meet the ID labels with about as many negatives.
    """
    repeated = np.tile(np.asarray(vsnl_cosines, dtype=np.float64), (1, BALANCED_COPIES))
    ens, vsnl = (side_score(id_cosines, side, scale=scale, group_size=group_size) for side in (ens_cosines, repeated))
    return ens, vsnl


def ants_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    vsnl_cosines: Cosines | None = None,
    weight: float = EVEN_WEIGHT,
    scale: float,
    group_size: int = GROUP_SIZE,
    variant: Variant = "ada",
    ens_permutation: Permutation | None = None,
    vsnl_permutation: Permutation | None = None,
) -> Scores:
    """S_ada, or S_ens or S_vsnl alone, (n,) in [0, 1]. Raises UsageError where the negatives of a side are missing.

    id_cosines: (n, C), negative_cosines: (n, E) with the sentences of ENS, vsnl_cosines: (n, V). `weight` in [0, 1] is
    that of ENS. Permutations order the columns that grouping keeps, see `neglabel_log_odds`.
    """
    method = ANTS(scale=scale, weight=weight, group_size=group_size, variant=variant)
    given = {"ens": (negative_cosines, ens_permutation), "vsnl": (vsnl_cosines, vsnl_permutation)}
    sides = []
    for side in method.sides:
        cosines, permutation = given[side]
        if cosines is None or not cosines.shape[1]:
            raise UsageError(f"ants: the variant {variant} needs negatives for {side}")
        sides.append(side_log_odds(id_cosines, cosines, scale=scale, group_size=group_size, permutation=permutation))
    return method.id_score(method.mixed(sides))


@dataclass(frozen=True, slots=True, kw_only=True)
class ANTS(ProbabilityMethod):
    """`weight` in [0, 1] of ENS (default: the one the bank was learnt with), `variant` both sides or one of them.

    `scale` multiplies cosines, groups of about `group_size` are drawn by `seed`. `base` shared: negatives from before
    anything was generated (source `ants:base`) count on both sides, as in the paper.
    """

    name: ClassVar[str] = "ants"
    formula: ClassVar[Any] = staticmethod(ants_score)
    scale: Factor
    weight: Share = EVEN_WEIGHT
    variant: Variant = "ada"
    group_size: Count = GROUP_SIZE
    base: Literal["none", "shared"] = "none"
    seed: Natural = 0

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        learned = bank.spec.get("learned", {})
        defaults = {
            "scale": bank_scale(bank),
            "weight": float(learned.get("ens_weight", EVEN_WEIGHT)),
            "base": "shared" if learned.get("initialised") else "none",
        }
        method = cls(**{**defaults, **parameters})
        there = [side for side in method.sides if len(negatives_from(bank, method.layer(side).negatives))]
        if not there or (method.variant != "ada" and method.variant not in there):
            raise BankError(
                f"ants needs negatives whose source is {' or '.join(f'ants:{side}' for side in method.sides)}, "
                f"bank {bank.name} has none",
                hint="build a bank of generated negatives, or use neglabel",
            )
        return method if len(there) == len(method.sides) else replace(method, variant=there[0])

    @property
    def sides(self) -> tuple[Side, ...]:
        return ("ens", "vsnl") if self.variant == "ada" else (self.variant,)

    def layer(self, side: Side) -> Layer:
        """Which negatives make a side."""
        return Layer(negatives=(f"ants:{side}", "ants:base") if self.base == "shared" else (f"ants:{side}",))

    @property
    def text(self) -> NegLabel:
        """The score of either side."""
        return NegLabel(scale=self.scale, group_size=self.group_size, seed=self.seed)

    @property
    def layer_needs(self) -> Mapping[Layer, Needs]:
        return {self.layer(side): self.text.needs for side in self.sides}

    def log_odds(self, statistics: Statistics) -> Scores:
        return self.mixed([self.text.log_odds(statistics.layers[self.layer(side)]) for side in self.sides])

    def mixed(self, sides: list[Scores]) -> Scores:
        """Log-odds of w S_ens + (1 - w) S_vsnl, from the log-odds of the sides in use."""
        return sides[0] if len(sides) == 1 else log_odds_of_mix(sides[0], sides[1], self.weight)
