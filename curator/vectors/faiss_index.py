"""FAISS: building, adding, searching, saving. The only module that imports it.

An index lives in main memory and is copied to the GPUs for searching where there are some and the recipe allows it. So
it can always be saved and added to, and nothing depends on what FAISS lacks on GPUs (removal, range search,
selectors, more than 2,048 neighbours). Positions go in and come out; what an index reports as a cosine may be an
estimate (product quantisation), which is why `Neighbours` computes cosines anew.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from curator.durable import durable
from curator.errors import IndexFault
from curator.printable import one_line
from curator.types import Vectors
from curator.vectors.collections import Positions, VectorCollection, blocks, unit
from curator.vectors.recipes import Recipe

log = logging.getLogger(__name__)

# Points per code and iterations of code training. FAISS's own 256 and 25 take longer for the same recall after
# refinement: 0.984 and 0.985 on 50,000 vectors of 256 dimensions.
_CODE_TRAINING = (64, 10)
_HALF_TABLES_FROM = 56  # codes a vector from which the float32 look-up tables outgrow a GPU's shared memory


class FaissIndex:
    """A built index over positions 0 … n-1 of a collection, searched as its recipe says."""

    version = str(faiss.__version__)  # of FAISS

    def __init__(self, index: faiss.Index, recipe: Recipe, *, trained_on: int) -> None:
        self._index = index
        self._recipe = recipe
        self._on_gpu: faiss.Index | None = None
        self.trained_on = trained_on  # how many vectors the collection had at training; 0 where nothing is trained
        _set_search(index, recipe)

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    @property
    def candidates_per_result(self) -> int:
        """How many candidates a wanted neighbour takes, because this index orders them by estimates."""
        return self._recipe.search.k_factor

    @classmethod
    def build(cls, collection: VectorCollection, recipe: Recipe) -> FaissIndex:
        """Train on a sample where needed, and add all vectors. Raises IndexFault for an unusable recipe."""
        count, dimension = len(collection), collection.dimension
        try:
            index = faiss.index_factory(dimension, recipe.factory_for(count, dimension), faiss.METRIC_INNER_PRODUCT)
            _set(index, "efConstruction", recipe.build.ef_construction)
            learns = not index.is_trained
            if learns:
                _train(index, collection, recipe.sample_size(count))
        except RuntimeError as fault:
            raise IndexFault(f"index recipe {recipe.name} cannot be built: {_reason(fault)}") from fault
        built = cls(index, recipe, trained_on=count if learns else 0)
        built.extend(collection)
        return built

    def extend(self, collection: VectorCollection) -> None:
        """Add the vectors of the collection behind those that the index has."""
        _reserve(self._index, len(collection))
        for block in blocks(collection, self.count):
            self._index.add(block)
        self._on_gpu = None

    def use_gpu(self) -> bool:
        """Copy the index to the GPUs for searching, where there are some, the recipe allows it and memory suffices."""
        if self._recipe.gpu and faiss.get_num_gpus() > 0:
            try:
                self._on_gpu = faiss.index_cpu_to_all_gpus(self._index, co=_gpu_options(self._index))
            except RuntimeError as fault:
                log.warning("index stays on the processor: %s", _reason(fault))
        return self._on_gpu is not None

    def search(self, queries: Vectors, k: int) -> tuple[NDArray[np.float32], Positions]:
        """Inner products (n, k) float32 and positions (n, k) int64, the best first; position -1 where none was found.

        queries: (n, d) float32, unit norm; k at most 2,048 on GPUs. Products are estimates where vectors are quantised.
        """
        searched = self._index if self._on_gpu is None else self._on_gpu
        products, positions = searched.search(np.ascontiguousarray(queries, dtype=np.float32), k)
        return products, positions

    def save(self, path: Path) -> None:
        """Write the index file: whole or not at all."""
        with durable(path) as temporary:
            try:
                faiss.write_index(self._index, str(temporary))
            except RuntimeError as fault:
                raise OSError(f"{path}: {_reason(fault)}") from fault

    @classmethod
    def load(cls, path: Path, recipe: Recipe, *, trained_on: int) -> FaissIndex:
        """Read an index file. Raises IndexFault when FAISS cannot read it."""
        try:
            return cls(faiss.read_index(str(path)), recipe, trained_on=trained_on)
        except (RuntimeError, MemoryError) as fault:
            raise IndexFault(f"index file {path} cannot be read: {_reason(fault)}") from fault


def _train(index: faiss.Index, collection: VectorCollection, size: int) -> None:
    """Train on `size` vectors drawn with a fixed seed; the k-means of inverted lists runs on GPUs if there are some."""
    chosen = np.random.default_rng(0).choice(len(collection), size, replace=False, shuffle=False)
    sample = unit(collection.vectors_at(np.sort(chosen).astype(np.int64)))
    lists: Any = faiss.try_extract_index_ivf(index)  # the stubs know neither `pq` nor what may be None
    codes: Any = faiss.downcast_index(lists) if lists is not None else None
    if hasattr(codes, "do_polysemous_training"):
        codes.do_polysemous_training = False  # for a Hamming filter not used here; it took three quarters of training
        codes.pq.cp.max_points_per_centroid, codes.pq.cp.niter = _CODE_TRAINING
    if lists is None or faiss.get_num_gpus() == 0:
        index.train(sample)
        return
    # FAISS keeps no reference to the clustering index: the name must live until training is done.
    clustering = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(lists.d))
    lists.clustering_index = clustering
    index.train(sample)
    lists.clustering_index = None


def _reserve(index: faiss.Index, count: int) -> None:
    """Make room for all vectors at once: growing step by step held twice the index (2.3 GB for 1.2 GB, measured)."""
    if isinstance(index, faiss.IndexFlatCodes):
        used = index.codes.size()
        index.codes.resize(count * index.code_size)
        index.codes.resize(used)  # keeps the capacity


def _set_search(index: faiss.Index, recipe: Recipe) -> None:
    lists = faiss.try_extract_index_ivf(index)
    if lists is not None:
        _set(index, "nprobe", recipe.nprobe_for(int(lists.nlist)))
    _set(index, "efSearch", recipe.search.ef_search)


def _set(index: faiss.Index, parameter: str, value: int) -> None:
    """Set a parameter if the index, or one inside it, has it."""
    space = faiss.ParameterSpace()
    try:
        space.set_index_parameter(index, parameter, value)
    except RuntimeError:  # FAISS raises this, and nothing finer, where an index has no such parameter
        return


def _gpu_options(index: faiss.Index) -> faiss.GpuMultipleClonerOptions:
    options = faiss.GpuMultipleClonerOptions()
    lists = faiss.try_extract_index_ivf(index)
    codes = faiss.downcast_index(lists) if lists is not None else None
    options.useFloat16 = isinstance(codes, faiss.IndexIVFPQ) and codes.pq.M >= _HALF_TABLES_FROM
    return options


def _reason(fault: BaseException) -> str:
    """The message of a FAISS exception without its C++ location."""
    return one_line(str(fault) or type(fault).__name__).rpartition(": ")[2][:200]


def spherical_means(vectors: Vectors, count: int, *, seed: int, rounds: int = 25, gpu: bool = False) -> Vectors:
    """Centres (count, d) of k-means on unit vectors (n, d), of unit norm. The same seed gives the same centres on the
    same device. gpu: on GPUs where there are some."""
    trained = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=rounds,
        seed=seed,
        spherical=True,
        verbose=False,
        min_points_per_centroid=1,
        gpu=gpu and faiss.get_num_gpus() > 0,
    )
    trained.train(np.ascontiguousarray(vectors, np.float32))
    return unit(np.asarray(trained.centroids, np.float32).reshape(count, -1))


def nearest_rows(queries: Vectors, vectors: Vectors) -> tuple[NDArray[np.float32], Positions]:
    """Of each query (n, d) the largest inner product with vectors (m, d), and with which: both (n,)."""
    products, rows = faiss.knn(queries, vectors, 1, metric=faiss.METRIC_INNER_PRODUCT)
    return products[:, 0], rows[:, 0]


def largest_products(queries: Vectors, vectors: Vectors, k: int) -> tuple[Vectors, Positions]:
    """The k largest inner products of each query (n, d) with vectors (m, d), the largest first, and with which: both
    (n, k).

    Where there are fewer than k, the rest is the smallest float32, with -1.
    """
    ours, theirs = (np.ascontiguousarray(rows, np.float32) for rows in (queries, vectors))
    products, found = faiss.knn(ours, theirs, k, metric=faiss.METRIC_INNER_PRODUCT)
    return products, found
