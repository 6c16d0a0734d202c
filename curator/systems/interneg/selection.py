"""InterNeg's selection: candidates that are farther from the images of every ID class than the class's own name is.

    p_c = norm(mean of the images of class c),    base_c = t_c . p_c,    y passes if y . p_c < base_c for every c
    D(y) = mean_c (base_c - y . p_c), the separation by which those that pass are ranked

A class without images is left out. One class with a name that its images are far from vetoes nearly everything: which
does most is in the account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.exact_product import sums_by_class
from curator.types import Vectors


@dataclass(frozen=True, slots=True)
class Prototypes:
    """vectors: (k, d) unit, on the grid, of the classes that have images; classes: (k,) their ID labels; base: (k,)."""

    vectors: NDArray[np.float64]
    classes: NDArray[np.intp]
    base: NDArray[np.float64]

    @classmethod
    def of(cls, images: Vectors, classes: NDArray[np.integer], id_vectors: Vectors) -> Prototypes:
        """images: (n, d), classes: (n,) the ID label of each, id_vectors: (C, d)."""
        written, place = np.unique(classes, return_inverse=True)
        sums = sums_by_class(on_grid(images), place, len(written))
        vectors = on_grid(sums / np.sqrt((sums * sums).sum(axis=1, keepdims=True)))
        base = (on_grid(id_vectors[written]) * vectors).sum(axis=1)
        return cls(vectors, written.astype(np.intp), base)


@dataclass(frozen=True, slots=True)
class Selection:
    """Of n candidates: `passes` (n,) bool, `separation` (n,), `nearness` (n,): the mean cosine to the prototypes,
    `vetoes` (k,): how many candidates each class with a prototype vetoes."""

    passes: NDArray[np.bool_]
    separation: NDArray[np.float64]
    nearness: NDArray[np.float64]
    vetoes: NDArray[np.intp]

    @classmethod
    def of(cls, candidates: Vectors, prototypes: Prototypes) -> Selection:
        cosines = exact_cosines(on_grid(candidates), prototypes.vectors)  # (n, k)
        vetoed: NDArray[np.bool_] = np.greater_equal(cosines, prototypes.base)
        nearness = cosines.mean(axis=1)
        return cls(
            np.logical_not(vetoed.any(axis=1)), float(prototypes.base.mean()) - nearness, nearness, vetoed.sum(axis=0)
        )

    def chosen(
        self, adjectives: Sequence[bool], count: int, *, counts: Literal["share", "tins"] = "share"
    ) -> NDArray[np.intp]:
        """The places of `count` of those that pass, adjectives first, the most separate first; of equal ones the
        first."""
        is_adjective = np.array(adjectives, dtype=bool)
        sides = [np.flatnonzero(self.passes & side) for side in (is_adjective, ~is_adjective)]
        total = sum(map(len, sides))
        share = count * len(sides[0]) // total if total else 0
        first = max(1, share) if counts == "tins" else share
        second = max(1, count - share) if counts == "tins" else count - share
        taken = [self.ranked(side)[:wanted] for side, wanted in zip(sides, (first, second), strict=True)]
        return np.concatenate(taken)

    def ranked(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Places by separation, the largest first."""
        order: NDArray[np.intp] = places[np.argsort(-self.separation[places], kind="stable")]
        return order
