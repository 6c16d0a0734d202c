"""Cosines with a dictionary of images: how near the k-th nearest of them is, exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.layers import DICTIONARY, parameter
from curator.methods.measures import KnownImages, Ready
from curator.types import Bank, Vectors

Own: TypeAlias = Literal["include", "exclude"]
BLOCK_ROWS = 4096


def kth_cosines(cosines: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """The k-th largest of each row of (n, L), (n,); the smallest of fewer, -inf not counted; 0 where there is none."""
    nearest = -np.sort(-cosines, axis=1)[:, :k]
    there = np.isfinite(nearest).sum(axis=1)
    padded = np.concatenate([np.zeros((len(cosines), 1)), nearest], axis=1)
    found: NDArray[np.float64] = padded[np.arange(len(cosines)), there]
    return found


def without_own(cosines: NDArray[np.float64], rows: NDArray[np.float64], held: NDArray[np.float64]) -> None:
    """Put -inf in place of the cosine of each of the rows (n, d) with itself, once, where it is held (L, d)."""
    place_of = {row.tobytes(): place for place, row in enumerate(held)}
    for number, row in enumerate(rows):
        if (place := place_of.get(row.tobytes())) is not None:
            cosines[number, place] = -np.inf


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The k-th largest cosine with the images that a bank holds, (n, 1). own: whether an image that is held itself
    counts for itself; it is known by its vector."""

    k: int
    own: Own = "exclude"
    of_reference = False
    by_class = False

    def ready(self, bank: Bank, reference: KnownImages | None) -> Ready:
        held = on_grid(parameter(bank, DICTIONARY, (None, bank.vectors.shape[1])))

        def measured(vectors: Vectors) -> NDArray[np.float64]:
            found = [np.zeros(0)]
            for start in range(0, len(vectors), BLOCK_ROWS):
                rows = on_grid(vectors[start : start + BLOCK_ROWS])
                cosines = exact_cosines(rows, held)
                if self.own == "exclude":
                    without_own(cosines, rows, held)
                found.append(kth_cosines(cosines, self.k))
            return np.concatenate(found)[:, None]

        return measured
