"""How negative labels are divided into groups: NegLabel averages its score over them. Shared by methods and kernel.

`Grouping` draws which negative goes where; `Chunks` keeps the bank's order, for methods to which that order matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError

Remainder: TypeAlias = Literal["drop", "join"]
Permutation: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]
DEFAULT_GROUP_COUNT = 100


@dataclass(frozen=True, slots=True)
class Grouping:
    """`count` groups (default 100), or groups of about `size`; `seed` draws which negative goes where.

    Raises UsageError for both at once, or less than one.
    """

    count: int | None = None
    size: int | None = None
    remainder: Remainder = "drop"
    seed: int = 0

    def __post_init__(self) -> None:
        group_sizes(1, count=self.count, size=self.size, remainder=self.remainder)

    def sizes(self, negatives: int) -> list[int]:
        """How many of M negatives each group takes."""
        return group_sizes(negatives, count=self.count, size=self.size, remainder=self.remainder)

    def order(self, negatives: int) -> NDArray[np.intp]:
        """The negatives in the order of their groups, (kept,): the tail that `drop` leaves over is not among them."""
        sizes = self.sizes(negatives)
        kept = sum(sizes)
        return drawn_order(self.seed, kept) if len(sizes) > 1 else np.arange(kept)


@dataclass(frozen=True, slots=True)
class Chunks:
    """Consecutive negatives in the bank's order, `size` to a group; what is left over is a last, smaller group.

    Raises UsageError for less than one to a group.
    """

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError("there must be at least one label in each group")

    def sizes(self, negatives: int) -> list[int]:
        """How many of M negatives each group takes."""
        whole, left = divmod(negatives, self.size)
        return [self.size] * whole + [left] * (left > 0)

    def order(self, negatives: int) -> NDArray[np.intp]:
        """As they are, (M,)."""
        return np.arange(negatives)


@lru_cache(maxsize=16)
def drawn_order(seed: int, count: int) -> NDArray[np.intp]:
    order = np.random.default_rng(seed).permutation(count)
    order.flags.writeable = False
    return order


def group_sizes(
    negatives: int, *, count: int | None = None, size: int | None = None, remainder: Remainder = "drop"
) -> list[int]:
    """How many of M negatives each group takes. `count` groups (default 100, at most M), or M // `size` (at least 1).

    The M mod G left over are dropped from the end (as published), or with `join` the first groups take one more each.
    """
    if remainder not in get_args(Remainder):
        raise UsageError(f"the remainder cannot be {remainder!r}", hint=f"one of: {', '.join(get_args(Remainder))}")
    if count is not None and size is not None:
        raise UsageError("groups are given by group_count or group_size, not both")
    if any(number is not None and number < 1 for number in (count, size)):
        raise UsageError("there must be at least one group, and at least one label in each")
    groups = min(count or DEFAULT_GROUP_COUNT, negatives) if size is None else max(1, negatives // size)
    each, left = divmod(negatives, groups)
    return [each + (remainder == "join" and group < left) for group in range(groups)]


def checked_permutation(permutation: Permutation, columns: int) -> NDArray[np.intp]:
    """Raises UsageError unless it holds every column once."""
    order = np.asarray(permutation, dtype=np.intp)
    if not np.array_equal(np.sort(order), np.arange(columns)):
        raise UsageError(f"the permutation must hold each of the {columns} grouped columns once, from 0")
    return order


Groups: TypeAlias = Grouping | Chunks
ONE_GROUP = Grouping(count=1)
