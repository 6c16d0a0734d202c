"""Cosines that are the same bit for bit wherever a row stands in whatever batch.

A float32 matrix product is not: BLAS picks its kernels, hence its order of summation, by the shape of the matrices and
the place of a row (measured with OpenBLAS 0.3.31: shuffling the rows of one block changes their results). A run that
was killed and resumed would then differ from an unbroken one in the last digits. So entries are rounded to multiples
of 2^-25 and multiplied in float64: products are multiples of 2^-50 and, the vectors being unit, every partial sum is
below 8, so all of them fit 53 bits and nothing is ever rounded, whatever the order, the threads or the machine.
The rounding of entries moves a cosine by about 1e-8, less than a float32 product would. Cost: 1.6 float32 products.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curator.errors import EncoderError

GRID = 2.0**25
NORM_TOLERANCE = 0.01  # float16 at rest moves a norm by up to 5e-4


def on_grid(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """vectors: (n, d), unit norm. The same as float64, entries rounded to multiples of 2^-25.

    Raises EncoderError for a vector that is not of unit norm (NaN included): the sums would no longer be exact.
    """
    grid = np.rint(vectors.astype(np.float64) * GRID) / GRID
    check_norms(np.sqrt(np.einsum("nd,nd->n", grid, grid)))
    return grid


def check_norms(norms: NDArray[np.floating], what: str = "vector") -> None:
    """Raises EncoderError unless every one of the norms (n,) is 1; NaN is not."""
    wrong = np.flatnonzero(~(np.abs(norms - 1.0) <= NORM_TOLERANCE))
    if wrong.size:
        raise EncoderError(
            f"{what} {wrong[0]} of {len(norms)} has norm {norms[wrong[0]]:.4g} instead of 1",
            hint="vectors must be divided by their norm, and a NaN comes from the encoder's dtype or weights",
        )


def exact_cosines(
    rows: NDArray[np.float64], columns: NDArray[np.float64], *, out: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """rows: (n, d), columns: (k, d), both from `on_grid`. Returns (n, k), exact. out: (n, k), memory for it."""
    cosines: NDArray[np.float64] = np.matmul(rows, columns.T, out=out)
    return cosines
