"""Chooses vectors far from given ones and from one another: farthest-point sampling by cosine.

Greedy, as Gonzalez (1985) has it, which is within a factor of two of the best choice. Cosines are exact, so the same
rows are chosen in whatever batch or machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.cosines import exact_cosines, on_grid


def farthest_points(vectors: NDArray[np.floating], id_vectors: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """vectors: (n, d), id_vectors: (C, d), unit norm. min(n, count) rows of `vectors`, each the one whose nearest among
    the ID labels and those chosen before is farthest; of equal ones the first."""
    grid = on_grid(vectors)
    nearest = exact_cosines(grid, on_grid(id_vectors)).max(axis=1, initial=-2.0)
    chosen: list[int] = []
    while len(chosen) < min(len(grid), count):
        row = int(nearest.argmin())
        chosen.append(row)
        nearest = np.maximum(nearest, exact_cosines(grid, grid[[row]])[:, 0])
        nearest[chosen] = np.inf
    return np.array(chosen, dtype=np.intp)
