"""Mahalanobis distances to the classes of the reference, and to the reference as a whole, the same to the bit anywhere.

    mu_c = mean of the images of class c,  Sigma = 1/N sum (r - mu_y)(r - mu_y)^T
    d_c = (v - mu_c)^T Sigma^-1 (v - mu_c);  mu_0, Sigma_0, d_0 likewise about the mean of all

Sums over images are exact (exact_product.py), the factor of the inverse is computed in a fixed order (spectrum.py), and
an image is whitened about the mean of all by an exact product. Distances to means are then
|w|^2 - 2 x . (L^-T m_c) + |m_c|^2, about that mean, where the terms are no larger than the distances themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.methods.kernels.cosines import GRID, on_grid
from curator.methods.kernels.exact_product import ExactMatrix, Matrix, second_moment, sums_by_class
from curator.methods.kernels.spectrum import inverse_factor
from curator.methods.measures import KnownImages, Ready, require_reference
from curator.types import Bank, Vectors

SHRINK = "name more with `curator calibrate --reference SRC`, or shrink it: --method mahalanobis:shrinkage=0.1"


@dataclass(frozen=True, slots=True)
class Spread:
    """A covariance's inverse factor L^-1 (d, d), and the means (k, d) that distances are to."""

    inverse: Matrix
    means: Matrix

    @classmethod
    def of(cls, covariance: Matrix, means: Matrix, shrinkage: float) -> Spread:
        """(1 - a) Sigma + a tr(Sigma) / d I. Raises UsageError where that cannot be inverted."""
        size = len(covariance)
        shrunk = (1 - shrinkage) * covariance + shrinkage * float(np.trace(covariance)) / size * np.eye(size)
        inverse = inverse_factor(shrunk)
        if inverse is None:
            raise UsageError(
                f"mahalanobis: the reference images lie in fewer than the {size} dimensions of their vectors, so their "
                "covariance has no inverse",
                hint=SHRINK,
            )
        return cls(inverse, means)


def fit_spreads(rows: Matrix, classes: NDArray[np.integer], shrinkage: float) -> tuple[Spread, Spread]:
    """About the class means, and about the mean of all. rows: (N, d) of unit norm, classes: (N,) of any numbers.

    Raises UsageError where a covariance cannot be inverted.
    """
    written, place = np.unique(classes, return_inverse=True)
    count = len(rows)
    sums, counts = sums_by_class(rows, place, len(written)), np.bincount(place)
    moment = second_moment(rows)
    inner = moment.copy()
    for total, images in zip(sums, counts, strict=True):
        inner -= np.multiply.outer(total, total / images)
    whole = sums.sum(axis=0)
    outer = moment - np.multiply.outer(whole, whole / count)
    means, mean = sums / counts[:, None], (whole / count)[None]
    return Spread.of(inner / count, means, shrinkage), Spread.of(outer / count, mean, shrinkage)


class Distances:
    """Squared distances to the means of a spread. Called with rows (n, d) on the grid, less `origin` on it: (n, k)."""

    def __init__(self, spread: Spread, origin: Matrix) -> None:
        centred = spread.means - origin
        # By entries, in the order of the dimensions: a product of matrices would sum in an order of its own.
        whitened = sum(np.multiply.outer(column, row) for column, row in zip(centred.T, spread.inverse.T, strict=True))
        back = sum(np.multiply.outer(column, row) for column, row in zip(whitened.T, spread.inverse, strict=True))
        self._whiten, self._back = ExactMatrix(spread.inverse), ExactMatrix(np.asarray(back))
        self._squares = np.asarray((whitened * whitened).sum(axis=1))

    def __call__(self, rows: Matrix) -> Matrix:
        whitened = self._whiten(rows)
        squares = (whitened * whitened).sum(axis=1, keepdims=True)
        found: Matrix = squares - 2.0 * self._back(rows) + self._squares
        return found


@dataclass(frozen=True, slots=True)
class Gaussian:
    """The smallest d_c, and d_0: (n, 2)."""

    shrinkage: float = 0.0
    of_reference = True
    by_class = True

    def check(self, reference: KnownImages) -> None:
        """Raises UsageError for fewer images than dimensions and classes together, unless the covariance is shrunk.

        An image of the reference is measured by the others' fit, which has a tenth of the images less.
        """
        used = reference.without(0).classes
        needed = reference.vectors.shape[1] + len(np.unique(used[used >= 0]))
        if not self.shrinkage and int((used >= 0).sum()) < needed:
            raise UsageError(
                f"mahalanobis: {int((reference.classes >= 0).sum())} reference images of known class are too few for a "
                f"covariance: nine tenths of them must be {needed} or more",
                hint=SHRINK,
            )

    def ready(self, bank: Bank, reference: KnownImages | None) -> Ready:
        images = require_reference(reference)
        known = images.classes >= 0
        rows, classes = on_grid(images.vectors[known]), images.classes[known]
        inner, outer = fit_spreads(rows, classes, self.shrinkage)
        origin = np.rint(outer.means * GRID) / GRID
        to_classes, to_all = Distances(inner, origin), Distances(outer, origin)

        def measured(vectors: Vectors) -> NDArray[np.float64]:
            centred = on_grid(vectors) - origin
            return np.stack([to_classes(centred).min(axis=1), to_all(centred)[:, 0]], axis=1)

        return measured
