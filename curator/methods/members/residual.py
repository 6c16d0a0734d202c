"""Residual: how far an image lies from the principal space of the ID reference images. Looks at images only.

    S = -|(I - U U^T)(v - o)|    (see kernels/principal.py)

Wang et al., ViM: Out-Of-Distribution with Virtual-logit Matching, CVPR 2022, which has it as one of two parts. The
published origin is where a trained head gives no logit, -pinv(W) b; the heads here are texts without a bias, so it is
zero. `origin=mean` is an addition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.principal import Origin, Principal, fit_principal, published_dimensions, residual_norms
from curator.methods.maths import Cosines, Scores
from curator.methods.measures import KnownImages
from curator.methods.spec import ReferenceMethod
from curator.methods.statistics import Needs, Statistics
from curator.ranges import Range
from curator.types import Bank

Dimensions = Annotated[int, Range(1, 1_000_000)]


def residual_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None = None,
    *,
    vectors: NDArray[Any],
    reference_vectors: NDArray[Any],
    dimensions: int | None = None,
    origin: Origin = "zero",
) -> Scores:
    """-residual, (n,), of vectors (n, d) against reference_vectors (N, d), all of unit norm. Labels are ignored.

    dimensions: of the principal space, None: as published.
    """
    known = np.asarray(reference_vectors, dtype=np.float64)
    centre, axes = fit_principal(known, dimensions or published_dimensions(known.shape[1]), origin)
    found: Scores = -residual_norms(np.asarray(vectors, dtype=np.float64), centre, axes)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual(ReferenceMethod):
    """`dimensions` of the principal space (default: 1000 of 2048 or more, 512 of 768 or more, else half), `origin` as
    above."""

    name: ClassVar[str] = "residual"
    formula: ClassVar[Any] = staticmethod(residual_score)
    dimensions: Dimensions | None = None
    origin: Origin = "zero"

    @property
    def measure(self) -> Principal:
        return Principal(self.dimensions, self.origin)

    @property
    def needs(self) -> Needs:
        return Needs(measures=frozenset({self.measure}))

    def fitted(self, bank: Bank, reference: KnownImages) -> Self:
        self.measure.check(reference)
        return self

    def log_odds(self, statistics: Statistics) -> Scores:
        return -statistics.measures[self.measure][:, 0]
