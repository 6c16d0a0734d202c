"""Scores image vectors against a bank by any number of methods in one pass over the labels (see float_pass.py).

Methods that score against layers of the bank too get one pass more for each distinct layer (see layers.py).

A row's results do not depend, to the bit, on the other rows, on the block size, or on the other methods asked for at
the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.methods.kernels import exact_pass
from curator.methods.kernels.exact_pass import ExactPass
from curator.methods.kernels.projection import Projection
from curator.methods.layers import WHOLE, Layer, layer_vectors
from curator.methods.maths import Scores
from curator.methods.measures import KnownImages, Measuring
from curator.methods.spec import Method, Precision, needs_of, precision_of
from curator.methods.statistics import Needs, Statistics, gathered
from curator.types import Bank, Vectors

if TYPE_CHECKING:
    from curator.methods.kernels.float_pass import Kernel


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """The scores of n images, row by row. Labels are indices into `bank.labels`.

    `id_score` is the published score and `log_odds` what images are ranked by (see Method), float64 (n,).
    `id_label` int32 (n,) is the nearest ID label, `id_cosine` float32 (n,) its cosine; `negative_label` and
    `negative_cosine` the same of the negatives, -1 and NaN if the bank has none.
    """

    id_score: Scores
    log_odds: Scores
    id_label: NDArray[np.int32]
    id_cosine: NDArray[np.float32]
    negative_label: NDArray[np.int32]
    negative_cosine: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.id_score)


class Pass(Protocol):
    """The pass over the labels of one layer, for at most `block_rows` images at a time where there is a limit."""

    @property
    def block_rows(self) -> int: ...
    @property
    def side_by_side(self) -> bool:
        """Whether blocks are worth a thread each."""

    def statistics(self, vectors: Vectors) -> Statistics: ...


class BankScorer:
    """A bank and methods made ready once. `neighbours` are given with the vectors where a method needs them.

    precision: as the methods have it unless given, see float_pass.py; layers of up to 256 labels are scored exactly.
    device: auto, cpu or a CUDA device. reference: the images that measures are fitted on. Raises BankError or
    UsageError when a method does not work on the bank or the reference or the methods have not one precision,
    EncoderError for a device that is not there.
    """

    def __init__(
        self,
        bank: Bank,
        methods: Sequence[Method],
        *,
        precision: Precision | None = None,
        device: str = "cpu",
        reference: KnownImages | None = None,
    ) -> None:
        if not methods:
            raise UsageError("there is no method to score with")
        precision = precision or precision_of(methods)
        if precision not in get_args(Precision):
            raise UsageError(f"the precision cannot be {precision!r}", hint=f"one of: {', '.join(get_args(Precision))}")
        self.bank, self.methods, self._id_count = bank, tuple(methods), bank.id_count
        asked = needs_of(methods)
        self.needs = asked[WHOLE]
        self._passes = {layer: ready_pass(bank, layer, needs, precision, device) for layer, needs in asked.items()}
        self._kernel = self._passes[WHOLE]
        self.measuring = Measuring(self.needs.measures, bank, reference)
        self._run: Callable[..., Iterator[list[ScoreTable]]] = map
        if self._kernel.side_by_side:
            from curator.methods.kernels.float_pass import side_by_side

            self._run = side_by_side

    def score(
        self,
        vectors: Vectors,
        neighbours: NDArray[np.floating] | None = None,
        folds: NDArray[np.intp] | None = None,
    ) -> list[ScoreTable]:
        """vectors: (n, d) float32, unit norm, of the bank's encoder; n may be 0. One table a method, rows in order.

        neighbours: (n, k) cosines of the nearest reference images, the nearest first, k as the methods need. folds:
        (n,) of those that are reference images themselves, see measures.py. Raises UsageError when the dimensions
        differ, EncoderError for a vector that is not of unit norm.
        """
        require_fit(vectors, self.bank)
        given = (0, 0) if neighbours is None else neighbours.shape
        if self.needs.neighbours and (given[0] != len(vectors) or given[1] < self.needs.neighbours):
            raise UsageError(f"{self.needs.neighbours} reference images are needed for each image")
        if folds is not None:
            self.measuring.prepare(folds)
        rows = self._kernel.block_rows
        parts = [slice(start, start + rows) for start in range(0, max(len(vectors), 1), rows)]

        def score_part(part: slice) -> list[ScoreTable]:
            near, fold = (None if neighbours is None else neighbours[part]), (None if folds is None else folds[part])
            statistics = self.statistics(vectors[part], near, fold)
            return [score_table(method, statistics, self._id_count) for method in self.methods]

        blocks = list(self._run(score_part, parts))
        return [join([block[number] for block in blocks]) for number in range(len(self.methods))]

    def statistics(
        self,
        vectors: Vectors,
        neighbours: NDArray[np.floating] | None = None,
        folds: NDArray[np.intp] | None = None,
    ) -> Statistics:
        """The statistics of at most one block of vectors, of the whole bank and of every layer."""
        found = gathered({layer: way.statistics(vectors) for layer, way in self._passes.items()})
        found = replace(found, measures=self.measuring(vectors, folds)) if self.needs.measures else found
        return found if neighbours is None else replace(found, neighbours=np.asarray(neighbours, dtype=np.float64))


class ProjectedKernel:
    """A kernel that sees images through the bank's projection."""

    def __init__(self, kernel: Kernel, projection: Projection) -> None:
        self._kernel, self._projection = kernel, projection
        self.block_rows, self.side_by_side = kernel.block_rows, kernel.side_by_side

    def statistics(self, vectors: Vectors) -> Statistics:
        return self._kernel.statistics(self._projection(vectors).astype(np.float32))


def ready_pass(bank: Bank, layer: Layer, needs: Needs, precision: Precision, device: str) -> Pass:
    """The pass of one layer. Few labels are passed over exactly, and so are proxies that each image has its own of."""
    vectors = layer_vectors(bank, layer)
    if len(vectors) <= exact_pass.LABELS or layer.memory is not None:
        return ExactPass(bank, layer, needs)
    from curator.encoders.torch_runtime import resolve_device  # torch, which most commands do without
    from curator.methods.kernels.float_pass import Kernel

    kernel = Kernel(vectors, bank.id_count, needs, precision=precision, device=str(resolve_device(device)))
    return ProjectedKernel(kernel, Projection.of(bank)) if layer.projection else kernel


def require_fit(vectors: Vectors, bank: Bank) -> None:
    if vectors.ndim != 2 or vectors.shape[1] != bank.vectors.shape[1]:
        raise UsageError(
            f"vectors of shape {vectors.shape} do not fit bank {bank.name} of dimension {bank.vectors.shape[1]}",
            hint=f"the bank was built with {bank.encoder_id}; embed with it, or build the bank again",
        )


def score_table(method: Method, statistics: Statistics, id_count: int) -> ScoreTable:
    """What a row of the store holds, from the statistics."""
    log_odds = method.log_odds(statistics)
    absent = statistics.negative_label < 0
    return ScoreTable(
        id_score=method.id_score(log_odds),
        log_odds=log_odds,
        id_label=statistics.id_label.astype(np.int32),
        id_cosine=statistics.id_cosine.astype(np.float32),
        negative_label=np.where(absent, -1, statistics.negative_label + id_count).astype(np.int32),
        negative_cosine=np.where(absent, np.nan, statistics.negative_cosine).astype(np.float32),
    )


def join(tables: Sequence[ScoreTable]) -> ScoreTable:
    """One table of all rows."""
    return ScoreTable(*(np.concatenate([getattr(part, name) for part in tables]) for name in ScoreTable.__slots__))
