"""The one door for nearest-neighbour queries: search, explanation, near-duplicates, mining of negative images, and the
look-up of ID labels near an image all go through `Neighbours.search`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.types import Vectors
from curator.vectors.collections import VectorCollection
from curator.vectors.faiss_index import FaissIndex
from curator.vectors.index_cache import OpenIndex, open_index
from curator.vectors.recipes import Recipe

Allow = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One found vector and its cosine to the query."""

    id: str
    cosine: float


class Neighbours:
    """Nearest-neighbour queries over one collection, by the index of one recipe."""

    def __init__(self, opened: OpenIndex) -> None:
        self._opened = opened

    @classmethod
    def open(cls, collection: VectorCollection, recipe: Recipe, folder: Path) -> Neighbours:
        """Open the cached index in `folder`, brought up to date. Raises IndexFault, VectorFault."""
        return cls(open_index(collection, recipe, folder))

    @property
    def count(self) -> int:
        return self._opened.index.count

    def search(self, queries: Vectors, k: int, *, allow: Allow | None = None) -> list[list[Neighbour]]:
        """For each query the k nearest, by cosine and then by id; fewer when there are no more.

        queries: (n, d), unit norm. allow: which ids may be found (gone images and the query itself may not). Cosines
        are those of the index: exact with `flat`, `ivf_flat` and `hnsw`, of float16 vectors with `ivf_pq`.
        Raises UsageError for queries of another dimension.
        """
        if queries.ndim != 2 or queries.shape[1] != self._opened.index.dimension:
            wanted = self._opened.index.dimension
            raise UsageError(f"queries of shape {queries.shape} do not fit an index of {wanted} dimensions")
        found: list[list[Neighbour]] = [[] for _ in range(len(queries))]
        todo = np.arange(len(queries))
        fetch = k if allow is None else k + 8
        while todo.size and self.count and k > 0:
            fetch = min(fetch, self.count)
            # One more than wanted shows whether equal cosines go on past the cut, where the index orders as it likes.
            cosines, positions = self._opened.index.search(queries[todo], min(fetch + 1, self.count))
            left = []
            for row, query in enumerate(todo):
                kept = self._kept(cosines[row], positions[row], allow)
                found[query] = kept[:k]
                if self._may_lack(kept, cosines[row], k, fetch):
                    left.append(query)
            todo, fetch = np.array(left, dtype=np.intp), fetch * 4
        return found

    def _kept(self, cosines: NDArray[np.float32], positions: NDArray[np.int64], allow: Allow | None) -> list[Neighbour]:
        pairs = ((self._opened.ids[position], float(cosine)) for cosine, position in zip(cosines, positions, strict=True)
                 if position >= 0)
        kept = [Neighbour(name, cosine) for name, cosine in pairs if allow is None or allow(name)]
        return sorted(kept, key=lambda item: (-item.cosine, item.id))

    def _may_lack(self, kept: list[Neighbour], cosines: NDArray[np.float32], k: int, fetch: int) -> bool:
        """Whether fetching more could change the first k: too few were allowed, or a tie reaches past the cut."""
        if fetch >= self.count:
            return False
        return len(kept) < k or kept[k - 1].cosine <= float(cosines[-1])


def near_duplicates(
    neighbours: Neighbours, ids: Sequence[str], vectors: Vectors, *, min_cosine: float, k: int
) -> list[tuple[str, str, float]]:
    """Pairs (id, neighbour, cosine) of at least `min_cosine`, each once, smaller id first; at most k for each id."""
    pairs: dict[tuple[str, str], float] = {}
    for name, found in zip(ids, neighbours.search(vectors, k + 1), strict=True):
        close = [item for item in found if item.id != name and item.cosine >= min_cosine]
        for item in close[:k]:
            pairs[min(name, item.id), max(name, item.id)] = item.cosine
    return [(first, second, cosine) for (first, second), cosine in sorted(pairs.items())]


def recall_at_k(index: FaissIndex, exact: FaissIndex, queries: Vectors, k: int) -> float:
    """The share of the exact k nearest that the index finds, over all queries, in [0, 1]."""
    _, found = index.search(queries, k)
    _, truth = exact.search(queries, k)
    hits = sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist(), strict=True))
    return hits / (len(queries) * k)
