"""Products with a matrix, and second moments, that are the same to the bit in any batch, block, order or machine.

As in cosines.py nothing is ever rounded within a sum: factors are cut into parts on grids so coarse that float64 holds
every partial sum. A matrix is cut into two parts of 26 bits, together as fine as float64 itself; the parts' products
are added at the end, entry by entry.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BITS = 26  # of a matrix part, by the norm of its longest row
SPLIT = 2.0**12  # unit vectors on the 2^-25 grid are cut here
BLOCK_ROWS = 4096

Matrix = NDArray[np.float64]


class ExactMatrix:
    """matrix: (k, d). Called with rows (n, d) on the 2^-25 grid, of norm up to 2, it gives (n, k)."""

    def __init__(self, matrix: Matrix) -> None:
        coarse = on_row_grid(matrix)
        self._parts = (coarse, on_row_grid(matrix - coarse))

    def __call__(self, rows: Matrix) -> Matrix:
        """A row times a part: multiples of 2^(e - 51), every partial sum below 2^(e + 2), for rows of norm 2^e."""
        products: Matrix = rows @ self._parts[0].T + rows @ self._parts[1].T
        return products


def on_row_grid(matrix: Matrix) -> Matrix:
    """Entries rounded to multiples of 2^(e - 26), the longest row having a norm of at most 2^e."""
    longest = float(np.sqrt((matrix * matrix).sum(axis=1)).max(initial=0.0))
    if not longest:
        return matrix
    step = 2.0 ** (math.ceil(math.log2(longest * 1.001)) - BITS)
    return np.asarray(np.rint(matrix / step) * step, dtype=np.float64)


def second_moment(rows: Matrix) -> Matrix:
    """sum r r^T, (d, d), of rows (n, d) of unit norm on the 2^-25 grid: exact for up to 2^29 of them.

    Of rows on no grid it is a sum in float64 like any other.
    """
    found = np.zeros((3, rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        high = np.rint(block * SPLIT) / SPLIT
        low = block - high
        found += np.stack([high.T @ high, high.T @ low, low.T @ low])
    total: Matrix = found[0] + (found[1] + found[1].T) + found[2]
    return total


def sums_by_class(rows: Matrix, classes: NDArray[np.integer], count: int) -> Matrix:
    """(count, d): the sum of the rows (n, d) of each class, exact for rows on the grid."""
    sums = np.zeros((count, rows.shape[1]))
    np.add.at(sums, classes, rows)
    return sums
