"""Factors of symmetric matrices by operations that IEEE 754 rounds in one way, in a fixed order: Cholesky and spectrum.

LAPACK's depend in their last bits on its build, the processor and the number of threads, and an eigenvector follows
them as far as its neighbours are near. So scores fitted on one machine would not come again on another. These are the
textbook algorithms (Golub and Van Loan, Matrix Computations, 4.2 and 8.3: outer-product Cholesky, Householder
tridiagonalisation, implicit QL), entry by entry in NumPy. 512 dimensions take a core 0.2 s and 2 s (2026-11-29).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

SMALLEST_PIVOT = 1e-12  # of the largest diagonal entry; below, the matrix has no inverse to speak of
MOST_STEPS = 60  # of QL for an eigenvalue; two are usual


def inverse_factor(matrix: Matrix) -> Matrix | None:
    """L^-1 of matrix = L L^T, (d, d), lower triangular; None where the matrix is not positive definite."""
    left, size = matrix.copy(), len(matrix)
    factor, inverse = np.zeros_like(matrix), np.eye(size)
    least = SMALLEST_PIVOT * float(np.diag(matrix).max(initial=0.0))
    for column in range(size):
        pivot = float(left[column, column])
        if not pivot > least:
            return None
        factor[column:, column] = left[column:, column] / math.sqrt(pivot)
        below = factor[column + 1 :, column]
        left[column + 1 :, column + 1 :] -= np.multiply.outer(below, below)
    for row in range(size):
        inverse[row, : row + 1] /= factor[row, row]
        inverse[row + 1 :, : row + 1] -= np.multiply.outer(factor[row + 1 :, row], inverse[row, : row + 1])
    return inverse


def principal_axes(matrix: Matrix, count: int) -> Matrix:
    """The eigenvectors of a symmetric matrix with the `count` largest eigenvalues, the largest first, (count, d)."""
    diagonal, beside, axes = tridiagonal(matrix)
    values = by_ql(diagonal, beside, axes)
    order = np.argsort(-np.array(values), kind="stable")[:count]
    chosen: Matrix = axes[order]
    return chosen


def tridiagonal(matrix: Matrix) -> tuple[list[float], list[float], Matrix]:
    """T = Q A Q^T: the diagonal of T (d,), what stands beside it (d - 1,), and Q (d, d)."""
    left, size = matrix.copy(), len(matrix)
    beside, mirrors = [0.0] * max(size - 1, 0), list[tuple[int, NDArray[np.float64], float]]()
    for step in range(size - 2):
        column = left[step + 1 :, step].copy()
        length = math.sqrt(math.fsum(column * column))
        beside[step] = -math.copysign(length, float(column[0]))
        column[0] -= beside[step]
        square = math.fsum(column * column)
        if square == 0.0:
            continue
        factor = 2.0 / square
        inner = left[step + 1 :, step + 1 :]
        moved = factor * (inner * column[:, None]).sum(axis=0)
        moved -= (factor / 2 * math.fsum(moved * column)) * column
        inner -= np.multiply.outer(column, moved) + np.multiply.outer(moved, column)
        mirrors.append((step + 1, column, factor))
    if size > 1:
        beside[-1] = float(left[-1, -2])
    axes = np.eye(size)
    for first, column, factor in reversed(mirrors):  # Q^T, from the last mirror on, grows from the corner
        inner = axes[first:, first:]
        inner -= np.multiply.outer(column, factor * (inner * column[:, None]).sum(axis=0))
    return np.diag(left).tolist(), beside, np.ascontiguousarray(axes.T)


def by_ql(diagonal: list[float], beside: list[float], axes: Matrix) -> list[float]:
    """The eigenvalues of a tridiagonal matrix; the rows of `axes` are turned into its eigenvectors. By implicit QL."""
    values, off = list(diagonal), [*beside, 0.0]
    for first in range(len(values)):
        for _ in range(MOST_STEPS):
            last = next(place for place in range(first, len(values)) if negligible(values, off, place))
            if last == first:
                break
            for place, sine, cosine in rotations(values, off, first, last):
                upper, lower = axes[place].copy(), axes[place + 1]
                axes[place] = cosine * upper - sine * lower
                axes[place + 1] = sine * upper + cosine * lower
    return values


def negligible(values: list[float], off: list[float], place: int) -> bool:
    """Whether the entry beside a place vanishes against its neighbours on the diagonal."""
    if place == len(values) - 1:
        return True
    around = abs(values[place]) + abs(values[place + 1])
    return abs(off[place]) + around == around


def rotations(values: list[float], off: list[float], first: int, last: int) -> Iterator[tuple[int, float, float]]:
    """One step of QL with Wilkinson's shift, in place: the rotations of rows (place, place + 1), sine and cosine."""
    shift = (values[first + 1] - values[first]) / (2.0 * off[first])
    root = math.sqrt(shift * shift + 1.0)
    bulge = values[last] - values[first] + off[first] / (shift + math.copysign(root, shift))
    sine, cosine, taken = 1.0, 1.0, 0.0
    for place in range(last - 1, first - 1, -1):
        outer, inner = sine * off[place], cosine * off[place]
        root = math.sqrt(outer * outer + bulge * bulge)
        off[place + 1] = root
        if root == 0.0:
            values[place + 1] -= taken
            off[last] = 0.0
            return
        sine, cosine = outer / root, bulge / root
        bulge = values[place + 1] - taken
        root = (values[place] - bulge) * sine + 2.0 * cosine * inner
        taken = sine * root
        values[place + 1] = bulge + taken
        bulge = cosine * root - inner
        yield place, sine, cosine
    values[first] -= taken
    off[first], off[last] = bulge, 0.0
