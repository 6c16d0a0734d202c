"""FAISS: building, adding, searching, saving. The only module that imports it.

An index lives on the processor and is copied to a GPU for searching where there is one and the recipe allows it. FAISS
on GPUs has no removal, no range search and no more than 2,048 neighbours; nothing here needs the first two, and a
larger k is searched on the processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from curator.errors import IndexFault
from curator.types import Vectors
from curator.vectors.recipes import Recipe
from curator.vectors.shards import write_atomically

GPU_MAX_K = 2048
QUERY_ROWS = 1024

Parts = Callable[[], Iterator[tuple[Sequence[str], Vectors]]]


class FaissIndex:
    """A built index over positions 0 … n-1, with the search parameters of its recipe."""

    def __init__(self, index: Any, recipe: Recipe) -> None:
        self._index = index
        self._recipe = recipe
        self._searcher: Any = None

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    @classmethod
    def build(cls, parts: Parts, *, count: int, dimension: int, recipe: Recipe) -> FaissIndex:
        """Train on a sample and add all parts, one at a time. parts: gives ids and vectors (n, d), in order."""
        try:
            index = faiss.index_factory(dimension, recipe.factory_for(count, dimension), faiss.METRIC_INNER_PRODUCT)
            if not index.is_trained:
                index.train(training_sample(parts, recipe.lists(count) * recipe.train_vectors_per_list, count))
        except RuntimeError as fault:
            raise IndexFault(f"index recipe {recipe.name} cannot be built: {_reason(fault)}") from fault
        built = cls(index, recipe)
        built.add(parts)
        return built

    def add(self, parts: Parts) -> None:
        """Add parts at the end."""
        for _, vectors in parts():
            self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        self._searcher = None

    def search(self, queries: Vectors, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines (n, k) and positions (n, k), the nearest first; -1 where there are fewer than k."""
        cosines = np.empty((len(queries), k), np.float32)
        positions = np.empty((len(queries), k), np.int64)
        searcher, parameters = self._prepared(k)
        for start in range(0, len(queries), QUERY_ROWS):
            block = np.ascontiguousarray(queries[start : start + QUERY_ROWS], dtype=np.float32)
            found = searcher.search(block, k, params=parameters) if parameters else searcher.search(block, k)
            cosines[start : start + len(block)], positions[start : start + len(block)] = found
        return cosines, positions

    def save(self, path: Path) -> None:
        """Write the index file, atomically."""
        write_atomically(path, faiss.serialize_index(self._index).tobytes())

    @classmethod
    def load(cls, path: Path, recipe: Recipe) -> FaissIndex:
        """Read an index file. Raises IndexFault when it is missing or damaged."""
        try:
            return cls(faiss.deserialize_index(np.frombuffer(path.read_bytes(), np.uint8)), recipe)
        except (OSError, RuntimeError, MemoryError) as fault:
            raise IndexFault(f"{path}: the index file cannot be read: {_reason(fault)}") from fault

    def _prepared(self, k: int) -> tuple[Any, Any]:
        """The index to search, on a GPU where that works, and its search parameters."""
        if self._recipe.gpu and k <= GPU_MAX_K and faiss.get_num_gpus() > 0:
            if self._searcher is None:
                self._searcher = faiss.index_cpu_to_all_gpus(self._index)
                if self._recipe.factory.startswith("IVF"):
                    faiss.GpuParameterSpace().set_index_parameter(self._searcher, "nprobe", self._probes())
            return self._searcher, None
        return self._index, self._parameters()

    def _parameters(self) -> Any:
        if self._recipe.factory.startswith("HNSW"):
            return faiss.SearchParametersHNSW(efSearch=max(self._recipe.ef_search, 16))
        if not self._recipe.factory.startswith("IVF"):
            return None
        lists = faiss.SearchParametersIVF(nprobe=self._probes())
        if "Refine" in self._recipe.factory:
            return faiss.IndexRefineSearchParameters(k_factor=self._recipe.refine_factor, base_index_params=lists)
        return lists

    def _probes(self) -> int:
        return self._recipe.probes(int(faiss.extract_index_ivf(self._index).nlist))


def training_sample(parts: Parts, wanted: int, count: int) -> Vectors:
    """Up to `wanted` vectors spread evenly over the collection, (m, d): the same for the same collection."""
    chosen = np.unique(np.linspace(0, count - 1, min(wanted, count)).astype(np.int64))
    sample, start = [], 0
    for _, vectors in parts():
        inside = chosen[(chosen >= start) & (chosen < start + len(vectors))] - start
        sample.append(vectors[inside])
        start += len(vectors)
    return np.ascontiguousarray(np.concatenate(sample), dtype=np.float32)


def gpu_count() -> int:
    """GPUs that FAISS can use."""
    return int(faiss.get_num_gpus())


def version() -> str:
    return str(faiss.__version__)


def _reason(fault: BaseException) -> str:
    """The last part of a FAISS message, which is what was wrong; the rest is C++."""
    return str(fault).strip().rpartition("Error: ")[2].splitlines()[0][:200] or type(fault).__name__
