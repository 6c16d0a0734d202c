"""The one door for nearest-neighbour queries: search, explanation, mining of negative images, and the look-up of ID
labels near an image all go through `Neighbours`. What is nearly the same is found by joining.py.

An index proposes candidates, `exact.rank` gives their cosines and order, and where the proposals do not suffice (few
vectors are admitted, lists ran empty, k is large) the vectors are compared one by one. So a query always gets the
neighbours it asked for if they exist, recall is the only thing that an approximate index can cost, and cosines do not
depend on the index.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.types import Vectors
from curator.vectors.collections import BLOCK_ROWS, Positions, VectorCollection, unit
from curator.vectors.exact import TIE, Found, rank, scan
from curator.vectors.index_cache import open_index
from curator.vectors.recipes import Recipe

MAX_FETCH = 2048  # candidates a query, the limit of FAISS on GPUs; beyond, an exact scan is no slower
_WIDEN = 4
_SCORES = 1 << 23  # scores of queries against vectors held at a time: 32 MiB

Allow: TypeAlias = "Callable[[str], bool] | NDArray[np.bool_]"  # of an id; of all positions, (n,)


class SearchableIndex(Protocol):
    """What proposes candidates."""

    @property
    def candidates_per_result(self) -> int: ...

    def search(self, queries: Vectors, k: int) -> tuple[NDArray[np.float32], Positions]:
        """Scores and positions (n, k), the best first; -1 for none. k at most MAX_FETCH."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One found vector and its cosine to the query, in [-1, 1]."""

    id: str
    cosine: float


class Admission:
    """The positions that a search may return: all; those of a mask (n,); or those whose id a predicate accepts.

    A predicate is asked only about candidates, unless every position must be known. `share` is the admitted part of the
    collection, 0–1; for a predicate it is not known and said to be 1. Raises UsageError for a mask of another shape.
    """

    def __init__(self, collection: VectorCollection, allow: Allow | None) -> None:
        self._collection = collection
        self._predicate = allow if callable(allow) else None
        self._mask = allow if isinstance(allow, np.ndarray) else None
        mask = self._mask
        if mask is not None and (mask.shape != (len(collection),) or mask.dtype != np.bool_):
            raise UsageError(f"a mask of shape {mask.shape} and type {mask.dtype} for {len(collection)} vectors")

    @property
    def share(self) -> float:
        return 1.0 if self._mask is None else float(self._mask.mean()) if self._mask.size else 0.0

    def of(self, positions: Positions) -> NDArray[np.bool_]:
        """Which of these positions, of any shape, are admitted; -1 never is."""
        known, places = np.unique(positions, return_inverse=True)
        return (self._admits(np.maximum(known, 0)) & (known >= 0))[places].reshape(positions.shape)

    def positions(self) -> Positions:
        """All admitted positions, ascending."""
        if self._mask is None:
            everything = np.arange(len(self._collection))
            blocks = np.split(everything, range(BLOCK_ROWS, len(everything), BLOCK_ROWS))
            self._mask = np.concatenate([self._admits(block) for block in blocks])
        return np.flatnonzero(self._mask)

    def _admits(self, positions: Positions) -> NDArray[np.bool_]:
        if self._mask is not None:
            return self._mask[positions]
        if self._predicate is None:
            return np.ones(len(positions), bool)
        return np.fromiter(map(self._predicate, self._collection.ids_at(positions)), bool, len(positions))


class Neighbours:
    """Nearest-neighbour queries over one collection. Without an index, every query is an exact scan."""

    def __init__(self, collection: VectorCollection, index: SearchableIndex | None = None) -> None:
        self.collection = collection
        self._index = index

    @classmethod
    def open(cls, collection: VectorCollection, recipe: Recipe, folder: Path) -> Neighbours:
        """By the cached index in `folder`, brought up to date. Raises IndexFault, VectorFault."""
        if len(collection) == 0:
            return cls(collection)
        index, ordered = open_index(collection, recipe, folder)
        return cls(ordered, index)

    @property
    def count(self) -> int:
        return len(self.collection)

    def search(self, queries: Vectors, k: int, *, allow: Allow | None = None) -> list[list[Neighbour]]:
        """For each query the k nearest, by cosine and then by id; fewer only where no more are admitted.

        queries: (n, d), of any length but zero. allow: which ids may be found: a set, a predicate, or a mask over
        the positions of `self.collection`. Few ids are compared one by one, so looking among them is exact. Raises
        UsageError for queries of another dimension, zero or not finite.
        """
        positions, cosines = self.nearest(queries, k, allow=allow)
        ids = iter(self.collection.ids_at(positions.ravel()))
        return [[Neighbour(next(ids), cosine) for cosine in row] for row in cosines.tolist()]

    def nearest(self, queries: Vectors, k: int, *, allow: Allow | None = None) -> Found:
        """As `search`, in arrays: positions (n, m) int64 and cosines (n, m) float32, m = min(k, admitted)."""
        queries = self._checked(queries, k)
        admission = Admission(self.collection, allow)
        width = min(k, self.count)
        positions = np.full((len(queries), width), -1, np.int64)
        cosines = np.full((len(queries), width), -np.inf, np.float32)
        step = max(1, _SCORES // (BLOCK_ROWS + width))
        for start in range(0, len(queries) if width else 0, step):
            block = slice(start, start + step)
            found = self._through_index(queries[block], width, admission)
            columns = found[0].shape[1]
            positions[block, :columns], cosines[block, :columns] = found
        # Admission does not depend on the query, so all rows have the same number of neighbours.
        filled = int((positions[:1] >= 0).sum()) if len(queries) else 0
        return positions[:, :filled], cosines[:, :filled]

    def _checked(self, queries: Vectors, k: int) -> Vectors:
        if k < 1:
            raise UsageError(f"k = {k}: at least one neighbour must be asked for")
        if queries.ndim != 2 or queries.shape[1] != self.collection.dimension:
            wanted = self.collection.dimension
            raise UsageError(
                f"queries of shape {queries.shape} do not fit {self.collection.name} of {wanted} dimensions"
            )
        norms = np.linalg.norm(queries, axis=1)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise UsageError("a query vector is zero or not finite")
        return unit(queries)

    def _through_index(self, queries: Vectors, k: int, admission: Admission) -> Found:
        """Fetch more and more for the queries that need it; compare one by one for those that still lack neighbours."""
        fetch = self._first_fetch(k, admission.share)
        if self._index is None or fetch > MAX_FETCH:
            return scan(self.collection, queries, admission.positions(), k)
        positions = np.full((len(queries), k), -1, np.int64)
        cosines = np.full((len(queries), k), -np.inf, np.float32)
        pending, most = np.arange(len(queries)), min(self.count, MAX_FETCH)
        while True:
            positions[pending], cosines[pending], lacking, tied = self._propose(queries[pending], k, fetch, admission)
            if fetch == most:
                pending = pending[lacking]
                break
            pending, fetch = pending[lacking | tied], min(fetch * _WIDEN, most)
            if not pending.size:
                break
        if pending.size:
            found = scan(self.collection, queries[pending], admission.positions(), k)
            columns = found[0].shape[1]
            positions[pending, :columns], cosines[pending, :columns] = found
        return positions, cosines

    def _first_fetch(self, k: int, share: float) -> int:
        """How many candidates to ask the index for when a `share` of them is admitted; more than MAX_FETCH: do not ask.

        One more than needed shows whether a tie goes on past the cut.
        """
        if self._index is None or share == 0:
            return MAX_FETCH + 1
        needed = math.ceil(k / share) + 1
        wanted = math.ceil(k * self._index.candidates_per_result / share) + 1
        return min(self.count, max(needed, min(wanted, MAX_FETCH)))

    def _propose(
        self, queries: Vectors, k: int, fetch: int, admission: Admission
    ) -> tuple[Positions, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
        """The k best admitted of `fetch` candidates; which queries lack some; which may be tied with unfetched ones."""
        assert self._index is not None
        _, candidates = self._index.search(queries, fetch)
        positions, cosines = rank(self.collection, queries, candidates, fetch)
        admitted = admission.of(positions)
        last = np.where(positions >= 0, cosines, np.inf).min(axis=1)
        first = np.argsort(~admitted, axis=1, kind="stable")[:, :k]
        kept = np.take_along_axis(admitted, first, axis=1)
        positions = np.where(kept, np.take_along_axis(positions, first, axis=1), -1)
        cosines = np.where(kept, np.take_along_axis(cosines, first, axis=1), np.float32(-np.inf))
        lacking = np.logical_not(kept.all(axis=1))
        tied = ~lacking & (cosines[:, -1] <= last + TIE)
        return positions, cosines, lacking, tied
