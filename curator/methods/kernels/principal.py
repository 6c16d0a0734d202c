"""What of an image lies outside the principal space of the reference: the norm of its residual.

    Sigma_o = 1/N sum (r - o)(r - o)^T,  U its D first eigenvectors,  residual(v) = |(I - U U^T)(v - o)|

The origin o is zero, or the mean of the reference. The same to the bit anywhere, as in gaussian.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.methods.kernels.cosines import GRID, on_grid
from curator.methods.kernels.exact_product import ExactMatrix, Matrix, second_moment
from curator.methods.kernels.spectrum import principal_axes
from curator.methods.measures import KnownImages, Ready, require_reference
from curator.types import Bank, Vectors

Origin: TypeAlias = Literal["zero", "mean"]


def published_dimensions(size: int) -> int:
    """Of the principal space, for vectors of so many: as ViM's code has it from 768 on, else half of them."""
    return 1000 if size >= 2048 else 512 if size >= 768 else size // 2


def fit_principal(rows: Matrix, dimensions: int, origin: Origin) -> tuple[Matrix, Matrix]:
    """The origin (d,), and U^T (D, d), of rows (N, d) of unit norm."""
    count, size = rows.shape
    moment, centre = second_moment(rows), np.zeros(size)
    if origin == "mean":
        whole = rows.sum(axis=0)
        centre, moment = whole / count, moment - np.multiply.outer(whole, whole / count)
    return centre, principal_axes(moment / count, dimensions)


def residual_norms(rows: Matrix, centre: Matrix, axes: Matrix) -> NDArray[np.float64]:
    """|(I - U U^T)(v - o)|, (n,), in float64."""
    centred = rows - centre
    inside = centred @ axes.T
    return norms_outside(centred, inside)


def norms_outside(centred: Matrix, inside: Matrix) -> NDArray[np.float64]:
    """(n,): of rows (n, d) without what lies inside the space, given by its coordinates there (n, D)."""
    left = (centred * centred).sum(axis=1) - (inside * inside).sum(axis=1)
    norms: NDArray[np.float64] = np.sqrt(np.maximum(left, 0.0))
    return norms


@dataclass(frozen=True, slots=True)
class Principal:
    """The norm of the residual: (n, 1). dimensions: None for those published."""

    dimensions: int | None = None
    origin: Origin = "zero"
    of_reference = True
    by_class = False

    def check(self, reference: KnownImages) -> None:
        """Raises UsageError where nothing is left outside the space, or the images are too few for it.

        An image of the reference is measured by the others' fit, which has a tenth of the images less.
        """
        size, wanted = reference.vectors.shape[1], self.wanted(reference)
        if wanted >= size:
            raise UsageError(
                f"a principal space of {wanted} of {size} dimensions leaves nothing outside it",
                hint=f"set dimensions of at most {size - 1}",
            )
        if len(reference.without(0).vectors) <= wanted:
            raise UsageError(
                f"{len(reference.vectors)} reference images are too few for a principal space of {wanted} dimensions: "
                "nine tenths of them must be more than that",
                hint="name more with `curator calibrate --reference SRC`, or set fewer dimensions",
            )

    def wanted(self, reference: KnownImages) -> int:
        """How many dimensions the space has."""
        return self.dimensions or published_dimensions(reference.vectors.shape[1])

    def ready(self, bank: Bank, reference: KnownImages | None) -> Ready:
        known = require_reference(reference)
        centre, axes = fit_principal(on_grid(known.vectors), self.wanted(known), self.origin)
        centre, inside = np.rint(centre * GRID) / GRID, ExactMatrix(axes)

        def measured(vectors: Vectors) -> NDArray[np.float64]:
            centred = on_grid(vectors) - centre
            return norms_outside(centred, inside(centred))[:, None]

        return measured
