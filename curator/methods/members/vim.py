"""ViM: the residual of an image as the logit of a virtual class, against the logits of the ID labels.

    S = log(sum_i exp(s c_i)) - alpha |(I - U U^T)(v - o)|,    alpha = mean_R max_i s c_i / mean_R residual

Wang et al., ViM: Out-Of-Distribution with Virtual-logit Matching, CVPR 2022, in the form without the softmax, which
ranks alike. The logits are those of the ID texts, where the paper has a trained head; alpha matches the two on the
reference images, so it scales with s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.principal import Origin, Principal, fit_principal, published_dimensions, residual_norms
from curator.methods.maths import Cosines, Scores
from curator.methods.measures import KnownImages, Measure
from curator.methods.members.residual import Dimensions
from curator.methods.spec import Factor, ReferenceMethod, bank_scale
from curator.methods.statistics import Needs, Statistics, exact_statistics
from curator.types import Bank

BLOCK_ROWS = 4096


def vim_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None = None,
    *,
    vectors: NDArray[Any],
    reference_vectors: NDArray[Any],
    reference_cosines: Cosines,
    scale: float,
    dimensions: int | None = None,
    origin: Origin = "zero",
) -> Scores:
    """id_cosines: (n, C), reference_cosines: (N, C), those of the reference images with the ID labels; the rest as in
    `residual_score`. Negatives are ignored."""
    known = np.asarray(reference_vectors, dtype=np.float64)
    space = fit_principal(known, dimensions or published_dimensions(known.shape[1]), origin)
    weight = matching_weight(scale * np.asarray(reference_cosines).max(axis=1), residual_norms(known, *space))
    residuals = residual_norms(np.asarray(vectors, dtype=np.float64), *space)
    method = ViM(scale=scale, dimensions=dimensions, origin=origin, residual_weight=weight)
    measures: dict[Measure, NDArray[np.float64]] = {method.measure: residuals[:, None]}
    return method.log_odds(exact_statistics(id_cosines, None, method.needs, measures=measures))


def matching_weight(largest_logits: Scores, residuals: Scores) -> float:
    """alpha, by which the residuals of the reference are as large as its largest logits, on average. Exact sums."""
    return math.fsum(largest_logits.tolist()) / math.fsum(residuals.tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class ViM(ReferenceMethod):
    """`scale` multiplies cosines (default: the bank's logit scale); the rest as in Residual. `residual_weight`, alpha
    above, is measured on the reference."""

    name: ClassVar[str] = "vim"
    formula: ClassVar[Any] = staticmethod(vim_score)
    measured: ClassVar[tuple[str, ...]] = ("reference", "residual_weight")
    scale: Factor
    dimensions: Dimensions | None = None
    origin: Origin = "zero"
    residual_weight: float = 0.0

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        return super(ViM, cls).for_bank(bank, {"scale": bank_scale(bank), **parameters})

    @property
    def measure(self) -> Principal:
        return Principal(self.dimensions, self.origin)

    @property
    def needs(self) -> Needs:
        return Needs(id_scales=frozenset({self.scale}), measures=frozenset({self.measure}))

    def fitted(self, bank: Bank, reference: KnownImages) -> Self:
        self.measure.check(reference)
        residuals = self.measure.ready(bank, reference)
        largest, outside = [], []
        for start in range(0, len(reference.vectors), BLOCK_ROWS):
            block = reference.vectors[start : start + BLOCK_ROWS]
            largest.append(exact_cosines(on_grid(block), on_grid(bank.id_vectors)).max(axis=1))
            outside.append(residuals(block)[:, 0])
        weight = matching_weight(self.scale * np.concatenate(largest), np.concatenate(outside))
        return replace(self, residual_weight=weight)

    def log_odds(self, statistics: Statistics) -> Scores:
        return statistics.id_mass(self.scale) - self.residual_weight * statistics.measures[self.measure][:, 0]
