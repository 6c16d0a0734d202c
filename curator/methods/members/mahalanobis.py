"""Mahalanobis distance to the nearest class of the ID reference images, by one covariance for all classes.

Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks, NeurIPS 2018;
`relative`, the distance to the reference as a whole taken off: Ren et al., A Simple Fix to Mahalanobis Distance for
Improving Near-OOD Detection, 2021; on vectors divided by their norm, as all are here: Mueller and Hein, Mahalanobis++,
ICML 2025 (maha-norm).

    class: S = -min_c d_c,    relative: S = d_0 - min_c d_c    (see kernels/gaussian.py)

Differences: a covariance is divided by the number of images, and where it has no inverse the method is refused and
`shrinkage` proposed, in place of a pseudo-inverse; the reference's own images are measured by a fit on the others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.gaussian import Gaussian, fit_spreads
from curator.methods.maths import Cosines, Scores
from curator.methods.measures import KnownImages
from curator.methods.spec import ReferenceMethod, Share
from curator.methods.statistics import Needs, Statistics
from curator.types import Bank


def mahalanobis_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None = None,
    *,
    vectors: NDArray[Any],
    reference_vectors: NDArray[Any],
    classes: NDArray[np.integer[Any]],
    variant: Literal["class", "relative"] = "class",
    shrinkage: float = 0.0,
) -> Scores:
    """-min_c d_c, or d_0 - min_c d_c, (n,). vectors: (n, d), reference_vectors: (N, d), unit norm; classes: (N,).

    Labels are ignored.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    spreads = fit_spreads(np.asarray(reference_vectors, dtype=np.float64), classes, shrinkage)
    distances = []
    for spread in spreads:
        apart = (rows[:, None] - spread.means) @ spread.inverse.T
        distances.append((apart * apart).sum(axis=2).min(axis=1))
    return mahalanobis_of(np.stack(distances, axis=1), variant)


def mahalanobis_of(distances: NDArray[np.float64], variant: Literal["class", "relative"]) -> Scores:
    """distances: (n, 2), the smallest to a class and that to all."""
    found: Scores = -distances[:, 0] if variant == "class" else distances[:, 1] - distances[:, 0]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Mahalanobis(ReferenceMethod):
    """`variant` class or relative; `shrinkage` in [0, 1] of the covariance towards a sphere of the same size.

    `classes`: whether the reference images have their own labels or the nearest, and 8 digits that name them; filled in
    by itself.
    """

    name: ClassVar[str] = "mahalanobis"
    formula: ClassVar[Any] = staticmethod(mahalanobis_score)
    measured: ClassVar[tuple[str, ...]] = ("reference", "classes")
    variant: Literal["class", "relative"] = "class"
    shrinkage: Share = 0.0
    classes: str = ""

    @property
    def measure(self) -> Gaussian:
        return Gaussian(self.shrinkage)

    @property
    def needs(self) -> Needs:
        return Needs(measures=frozenset({self.measure}))

    def fitted(self, bank: Bank, reference: KnownImages) -> Self:
        self.measure.check(reference)
        digits = hashlib.sha256(reference.classes.astype("<i8").tobytes()).hexdigest()[:8]
        return replace(self, classes=f"{reference.classes_by}-{digits}")

    def log_odds(self, statistics: Statistics) -> Scores:
        return mahalanobis_of(statistics.measures[self.measure], self.variant)
