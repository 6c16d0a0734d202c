"""Exact cosines and exact search over stored vectors, without an index: slower, never wrong.

All cosines that people see come from `rank`, whichever index proposed the candidates: the same pair of vectors always
gives the same number. They are true cosines of the stored vectors (both scaled to length one), summed in float64 and
rounded to float32. A raw inner product of stored vectors differs by their norms, at most 4.9e-4 each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curator.types import Vectors
from curator.vectors.collections import BLOCK_ROWS, Positions, VectorCollection, unit

TIE = 2e-6  # cosines closer than this may stand in another order where they were summed in float32
MOST_TIES = 2048  # candidates kept beyond k, to put ties at the cut in the order of their ids
_RANK_VALUES = 1 << 22  # float64 products held at a time: 32 MiB

Found = tuple[Positions, NDArray[np.float32]]


def rank(collection: VectorCollection, queries: Vectors, candidates: Positions, k: int) -> Found:
    """The k best candidates of each query, by cosine and then by id.

    queries: (n, d) unit norm; candidates: (n, f) positions, -1 for none. Returns positions and cosines, both
    (n, min(k, f)); where there are fewer, -1 and minus infinity. Works through the queries in bounded memory.
    """
    positions = np.full((len(queries), min(k, candidates.shape[1])), -1, np.int64)
    cosines = np.full(positions.shape, -np.inf, np.float32)
    step = max(1, _RANK_VALUES // max(1, candidates.shape[1] * queries.shape[1]))
    for start in range(0, len(queries) if positions.size else 0, step):
        block = slice(start, start + step)
        positions[block], cosines[block] = _rank_block(collection, queries[block], candidates[block], k)
    return positions, cosines


def scan(collection: VectorCollection, queries: Vectors, positions: Positions, k: int) -> Found:
    """The k nearest among the vectors at `positions`, by comparing with each of them; as `rank` returns them.

    Holds a block of 8,192 vectors at a time. Of more than 2,048 equal cosines at the cut, any may be taken.
    """
    products = np.zeros((len(queries), 0), np.float32)
    candidates = np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(positions), BLOCK_ROWS):
        block = positions[start : start + BLOCK_ROWS]
        new = queries @ unit(collection.vectors_at(block)).T
        products = np.concatenate([products, new], axis=1)
        candidates = np.concatenate([candidates, np.broadcast_to(block, new.shape)], axis=1)
        best = _best(products, k)
        products, candidates = np.take_along_axis(products, best, axis=1), np.take_along_axis(candidates, best, axis=1)
    return rank(collection, queries, candidates, k)


def _best(products: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Columns of the k largest products of each row, and of all that may tie with the k-th; in no order."""
    count = products.shape[1]
    if count > k:
        kth = np.partition(products, count - k, axis=1)[:, count - k, None]
        count = min(int((products >= kth - TIE).sum(axis=1).max()), k + MOST_TIES)
    return np.argpartition(-products, count - 1, axis=1)[:, :count]


def _rank_block(collection: VectorCollection, queries: Vectors, candidates: Positions, k: int) -> Found:
    rows, columns = np.nonzero(candidates >= 0)
    known, places = np.unique(candidates[rows, columns], return_inverse=True)
    vectors = unit(collection.vectors_at(known))
    products = np.multiply(vectors[places], queries[rows], dtype=np.float64)
    cosines = np.full(candidates.shape, -np.inf, np.float32)
    cosines[rows, columns] = np.clip(products.sum(axis=1), -1.0, 1.0)
    order_of_ids = np.zeros(candidates.shape, np.int64)
    order_of_ids[rows, columns] = np.unique(collection.keys_at(known), return_inverse=True)[1].reshape(-1)[places]
    best = np.lexsort((order_of_ids, -cosines), axis=-1)[:, :k]
    return np.take_along_axis(candidates, best, axis=1), np.take_along_axis(cosines, best, axis=1)
