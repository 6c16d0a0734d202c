"""NegLabel: how much probability the ID labels take from a large bank of negative labels, averaged over groups of them.

Jiang et al., Negative Label Guided OOD Detection with Pretrained Vision-Language Models, ICLR 2024.
Differences from the published code: the permutation comes from NumPy's generator (PyTorch's differs between CPU and
GPU, so it cannot be reproduced anyway); one group is the plain score (the published code returns the sum of ID logits
there); `remainder=join` and `group_size` are additions; with fewer negatives than groups there are as many groups as
negatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError, UsageError
from curator.methods.maths import Cosines, Scores, log_odds_of_mean, log_sum_exp, scaled_logits
from curator.methods.spec import DefaultRule, MethodSpec, require_positive
from curator.types import Bank

Remainder: TypeAlias = Literal["drop", "join"]
Permutation: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]
DEFAULT_GROUP_COUNT = 100


def neglabel_log_odds(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    scale: float,
    temperature: float = 1.0,
    group_count: int | None = None,
    group_size: int | None = None,
    remainder: Remainder = "drop",
    permutation: Permutation | None = None,
) -> Scores:
    """logit of mean_g P / (P + N_g), P and N_g the sums of exp(scale * c / temperature) over ID labels and group g.

    id_cosines: (n, C), negative_cosines: (n, M), M >= 1. `permutation` orders the columns that are kept (new column k
    is kept column permutation[k]; None keeps the order); groups are then consecutive. See `group_sizes` for the rest.
    An added negative never raises the result with one group; with more it may, because it can move group borders.
    """
    if negative_cosines is None or negative_cosines.shape[1] == 0:
        raise UsageError("neglabel needs negative labels")
    sizes = group_sizes(negative_cosines.shape[1], count=group_count, size=group_size, remainder=remainder)
    kept = negative_cosines[:, : sum(sizes)]
    # take, not kept[:, order], whose memory layout differs with the number of rows, and with it the order of sums
    ordered = kept if permutation is None else kept.take(checked_permutation(permutation, kept.shape[1]), axis=1)
    id_mass = log_sum_exp(scaled_logits(id_cosines, scale=scale, temperature=temperature))
    negative_mass = group_mass(scaled_logits(ordered, scale=scale, temperature=temperature), sizes)
    by_group = id_mass[:, None] - negative_mass  # (n, G)
    return by_group[:, 0] if len(sizes) == 1 else log_odds_of_mean(by_group)


def group_sizes(
    negatives: int, *, count: int | None = None, size: int | None = None, remainder: Remainder = "drop"
) -> list[int]:
    """How many of M negatives each group takes. `count` groups (default 100, at most M), or M // `size` (at least 1).

    The M mod G left over are dropped from the end (as published), or with `join` the first groups take one more each.
    """
    if count is not None and size is not None:
        raise UsageError("neglabel takes group_count or group_size, not both")
    if (count if size is None else size) == 0:
        raise UsageError("neglabel needs at least one group, and at least one label in each")
    groups = min(count or DEFAULT_GROUP_COUNT, negatives) if size is None else max(1, negatives // size)
    each, left = divmod(negatives, groups)
    return [each + (remainder == "join" and group < left) for group in range(groups)]


def group_mass(logits: NDArray[np.float64], sizes: list[int]) -> NDArray[np.float64]:
    """log-sum-exp of each group of consecutive columns: (n, sum(sizes)) to (n, G). At most two sizes, larger first."""
    masses, start = [], 0
    for size in sorted(set(sizes), reverse=True):
        groups = sizes.count(size)
        block = logits[:, start : start + groups * size].reshape(len(logits), groups, size)
        masses.append(log_sum_exp(block))
        start += groups * size
    return np.concatenate(masses, axis=1)


def checked_permutation(permutation: Permutation, columns: int) -> NDArray[np.intp]:
    order = np.asarray(permutation, dtype=np.intp)
    if not np.array_equal(np.sort(order), np.arange(columns)):
        raise UsageError(f"the permutation must hold each of the {columns} grouped columns once, from 0")
    return order


@dataclass(frozen=True, slots=True, kw_only=True)
class NegLabel:
    """`scale` multiplies cosines (default: the bank's logit scale), `temperature` divides, `seed` draws the grouping.

    Either `group_count` (default 100) or `group_size` is set.
    """

    name: ClassVar[str] = "neglabel"
    formula: ClassVar[Any] = staticmethod(neglabel_log_odds)
    scale: float
    temperature: float = 1.0
    group_count: int | None = None
    group_size: int | None = None
    remainder: Remainder = "drop"
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "scale", "temperature", "group_count", "group_size")
        if self.seed < 0:
            raise UsageError(f"neglabel: seed must not be negative, not {self.seed}")
        group_sizes(1, count=self.group_count, size=self.group_size)

    @property
    def method_id(self) -> str:
        return MethodSpec.of(self).method_id

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        if len(bank.labels) == bank.id_count:
            raise BankError(
                f"neglabel needs negative labels, bank {bank.name} has none",
                hint="raise mining.limit in its spec, or use the method mcm",
            )
        method = cls(**{"scale": float(bank.logit_scale), **parameters})
        return method if method.group_size else replace(method, group_count=method.group_count or DEFAULT_GROUP_COUNT)

    def log_odds(self, id_cosines: Cosines, negative_cosines: Cosines | None) -> Scores:
        return neglabel_log_odds(
            id_cosines,
            negative_cosines,
            scale=self.scale,
            temperature=self.temperature,
            group_count=self.group_count,
            group_size=self.group_size,
            remainder=self.remainder,
            permutation=self.permutation(0 if negative_cosines is None else negative_cosines.shape[1]),
        )

    def permutation(self, negatives: int) -> NDArray[np.intp] | None:
        """The order of the kept negatives that the seed draws; None where there is one group or nothing to order."""
        if negatives == 0:
            return None
        sizes = group_sizes(negatives, count=self.group_count, size=self.group_size, remainder=self.remainder)
        return np.random.default_rng(self.seed).permutation(sum(sizes)) if len(sizes) > 1 else None

    def default_min_log_odds(self, id_count: int, negative_count: int, rule: DefaultRule) -> float:
        """even_odds: 0, flags when the negatives of a group outweigh the ID labels, on average over groups.

        That depends on how many there are of each: with few ID labels, or few groups, it flags most ID images.
        label_for_label: the log-odds of an image equally similar to all labels, about log(C / labels in a group).
        """
        if rule == "even_odds":
            return 0.0
        return float(self.log_odds(np.zeros((1, id_count)), np.zeros((1, negative_count)))[0])
