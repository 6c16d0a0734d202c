"""Joined labels: texts that name an ID label and a negative together, where these two are among an image's nearest.

Of the nearest `joined` ID labels and as many negatives of an image, the pairs that a bank keeps are compared with their
negative alone: the largest e_ij - n_j, e_ij the cosine with the joined text. Cosines are exact, see cosines.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.layers import PAIR_LABELS, PAIR_VECTORS, parameter
from curator.methods.measures import KnownImages, Ready
from curator.types import Bank, Vectors

BLOCK_ROWS = 256


def nearest_places(cosines: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """The columns of the `count` largest of each row (all, if fewer), the largest first; of equal ones the first."""
    count = min(count, cosines.shape[1])
    least = np.partition(cosines, -count, axis=1)[:, [-count]]
    ranked = np.where(cosines >= least, cosines, -np.inf)
    found: NDArray[np.intp] = np.argsort(-ranked, axis=1, kind="stable")[:, :count]
    return found


@dataclass(frozen=True, slots=True)
class Pairs:
    """The largest e_ij - n_j of an image, (n, 1); -inf where the bank keeps none of its pairs."""

    joined: int
    of_reference = False
    by_class = False

    def ready(self, bank: Bank, reference: KnownImages | None) -> Ready:
        places = parameter(bank, PAIR_LABELS, (None, 2)).astype(np.int64)
        vectors = on_grid(parameter(bank, PAIR_VECTORS, (len(places), bank.vectors.shape[1])))
        ids, negatives = on_grid(bank.id_vectors), on_grid(bank.negative_vectors)
        limits = np.array([len(ids), len(negatives)])
        if len(places) and not ((places >= 0).all() and (places < limits).all()):
            raise BankError(f"bank {bank.name}: {PAIR_LABELS} names labels that it does not have")
        keys = places[:, 0] * len(negatives) + places[:, 1]
        order = np.argsort(keys, kind="stable")
        keys, vectors = keys[order], vectors[order]

        def measured(images: Vectors) -> NDArray[np.float64]:
            starts = range(0, len(images), BLOCK_ROWS)
            blocks = [block(on_grid(images[start : start + BLOCK_ROWS])) for start in starts]
            return np.concatenate([np.zeros(0), *blocks])[:, None]

        def block(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            if not len(keys):
                return np.full(len(rows), -np.inf)
            outside = exact_cosines(rows, negatives)
            near = nearest_places(exact_cosines(rows, ids), self.joined)
            far = nearest_places(outside, self.joined)
            wanted = (near[:, :, None] * len(negatives) + far[:, None, :]).reshape(len(rows), -1)
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            there = keys[at] == wanted
            # Products on the grid are exact, in whatever order they are summed.
            joint = np.einsum("npd,nd->np", vectors[at], rows)
            alone = np.tile(np.take_along_axis(outside, far, axis=1), (1, near.shape[1]))
            found: NDArray[np.float64] = np.where(there, joint - alone, -np.inf).max(axis=1)
            return found

        return measured
