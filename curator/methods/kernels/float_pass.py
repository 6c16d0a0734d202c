"""One pass over all labels for a block of images: every statistic that methods need, never all the logits.

Blocks of images meet tiles of labels. A tile's cosines are reduced at once (running log-sum-exp for each group, the
candidates for nearest label) and overwritten by the next. Memory depends on block and tile, not on images or labels.

Cosines come from integer products (see integers.py): a row's results are the same to the bit whatever block it stands
in. Everything after them works along one row, in float32, and sums end in float64. The two best labels of a tile get
their cosines from the vectors themselves; they enter the sums by these, and the nearest label is the best of them.
So the largest terms of a sum are exact, and the errors of the many small ones average out.

Precision, measured against float64 (tests/methods/test_method_kernel.py holds these bounds):

* `fast` (default): 8 bits. At 512 dimensions a cosine errs by 6e-4 (rms), log-odds by at most 1.2e-3 times the scale
  (3e-3 times at 64 dimensions). The nearest label may be missed for one as near within that.
* `full`: 15 bits, three products for one. A cosine errs by 6e-6 (rms), log-odds by at most 2e-5 times the scale.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.methods.grouping import ONE_GROUP, Groups
from curator.methods.kernels.cosines import check_norms
from curator.methods.kernels.integers import PARTS, IntegerVectors, integer_buffer, multiply, to_integers
from curator.methods.spec import Precision
from curator.methods.statistics import Needs, Statistics
from curator.types import Vectors

Item = TypeVar("Item")
Result = TypeVar("Result")
Masses: TypeAlias = Mapping[float, torch.Tensor]  # by scale

TILE = 16_384  # labels at a time
CHUNKS = 64  # a tile is cut into about so many chunks, the best of which are searched for the nearest labels,
LARGEST_CHUNK = 128  # of at most so many labels
CANDIDATES = 2  # of each tile
BLOCK_ROWS = {"cpu": 1024, "cuda": 8192}  # images at a time, and so many of them
SLAB_CELLS = {"cpu": 1 << 20, "cuda": 1 << 40}  # numbers between a product and its sums: what a core's cache holds
SMALLEST_SLAB = 64
GRAIN, REGISTERS = 1 << 15, 64  # of PyTorch's threads, see whole_shares
LOG2_E = 1.4426950408889634


class Kernel:
    """Labels made ready once; then `statistics` of block after block.

    label_vectors: (C + M, d) float32, unit norm, the `id_count` ID labels first. `device`: cpu or a CUDA device.
    Raises UsageError when `needs` asks for negatives and there are none, EncoderError for a label not of unit norm.
    """

    def __init__(
        self, label_vectors: Vectors, id_count: int, needs: Needs, *, precision: Precision = "fast", device: str = "cpu"
    ) -> None:
        self.needs, self._id_count, self._negative_count = needs, id_count, len(label_vectors) - id_count
        self.device = torch.device(device)
        labels = torch.from_numpy(np.ascontiguousarray(label_vectors, dtype=np.float32)).to(self.device)
        check_norms(array(torch.linalg.vector_norm(labels, dim=1)), "label vector")
        ids, negatives = labels[:id_count], labels[id_count:]
        if needs.masses and not len(negatives):
            raise UsageError("the method needs negative labels, and there are none")
        wanted = sorted({grouping for _, grouping in needs.masses}, key=repr) or [ONE_GROUP]
        self.block_rows = BLOCK_ROWS["cuda" if self.device.type == "cuda" else "cpu"]
        self.side_by_side = self.device.type == "cpu"
        self._fine, self._columns = precision == "full", min(TILE, len(labels))
        self._ids = Side(ids, ONE_GROUP, fine=self._fine)
        self._negatives = {
            grouping: Side(negatives, grouping, fine=self._fine) for grouping in wanted if len(negatives)
        }
        self._local = threading.local()  # each thread has buffers of its own

    @property
    def _scratch(self) -> Scratch:
        """The buffers of this thread."""
        if not hasattr(self._local, "scratch"):
            self._local.scratch = Scratch(self._columns, self.device, fine=self._fine)
        found: Scratch = self._local.scratch
        return found

    def statistics(self, vectors: Vectors) -> Statistics:
        """vectors: (n, d) float32, unit norm, n at most `block_rows`.

        Raises EncoderError for a vector that is not of unit norm (NaN included).
        """
        count = len(vectors)
        padded = np.zeros((self.block_rows, vectors.shape[1]), dtype=np.float32)  # one shape, one order of all sums
        padded[:count] = vectors
        block = torch.from_numpy(padded).to(self.device)
        check_norms(array(torch.linalg.vector_norm(block[:count], dim=1)))
        images = Images(block, to_integers(block, fine=self._fine))
        scratch = self._scratch
        ids = self._ids.sweep(images, self.needs.id_scales, scratch)
        id_label, id_cosine = ids.nearest()
        id_rest = {scale: ids.mass(scale, without=id_label)[:, 0] for scale in self.needs.id_scales}
        masses, label, cosine = {}, torch.full((count,), -1), torch.full((count,), -torch.inf, dtype=torch.float64)
        for number, (grouping, side) in enumerate(self._negatives.items()):
            swept = side.sweep(images, {scale for scale, other in self.needs.masses if other == grouping}, scratch)
            masses.update({(scale, grouping): swept.mass(scale) for scale in swept.masses})
            if number == 0:
                label, cosine = swept.nearest()
        return Statistics(
            id_label=array(id_label[:count]),
            id_cosine=array(id_cosine[:count]),
            negative_label=array(label[:count]),
            negative_cosine=array(cosine[:count]),
            id_rest={scale: array(values[:count]) for scale, values in id_rest.items()},
            masses={key: array(values[:count]) for key, values in masses.items()},
            id_count=self._id_count,
            negative_count=self._negative_count,
        )


@dataclass(frozen=True, slots=True)
class Images:
    """A block of images: (rows, d) float32, and as integers."""

    vectors: torch.Tensor
    integers: IntegerVectors


class Scratch:
    """Buffers for one tile, which all sides of a kernel share."""

    def __init__(self, columns: int, device: torch.device, *, fine: bool) -> None:
        kind = "cuda" if device.type == "cuda" else "cpu"
        self.rows, self.fine, self._slab_cells = BLOCK_ROWS[kind], fine, SLAB_CELLS[kind]
        self._products = [integer_buffer(self.rows * columns, device) for _ in range(1 + fine)]
        cells = max(SMALLEST_SLAB * columns, min(self._slab_cells, self.rows * columns)) + self.rows * LARGEST_CHUNK
        cells += REGISTERS * torch.get_num_threads()
        self._floats = torch.zeros(2, cells, dtype=torch.float32, device=device)

    def slab(self, columns: int) -> int:
        """Rows between a product and its sums: a power of two, about as many as a core's cache holds."""
        return min(self.rows, max(SMALLEST_SLAB, 1 << max(1, self._slab_cells // columns).bit_length() - 1))

    def floats(self, number: int, rows: int, columns: int) -> torch.Tensor:
        """(rows, columns) of the first or second buffer."""
        return self._floats[number, : rows * columns].view(rows, columns)

    def slabs(self, images: IntegerVectors, labels: IntegerVectors, chunk: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Cosines divided by the images' steps, for some rows of a block after the other, each in buffer 0.

        float32 (slab, tile), filled up with -inf to whole chunks.
        """
        tile = len(labels.step)
        products = [multiply(images.high, labels.high, self._products[0])]
        if images.low is not None and labels.low is not None:
            mixed = torch.cat([images.high, images.low], 1), torch.cat([labels.low, labels.high], 1)
            products.append(multiply(*mixed, self._products[1]))
        slab = self.slab(tile)
        padded = self.floats(0, slab, -(-tile // chunk) * chunk)
        cosines = padded[:, :tile]
        for start in range(0, self.rows, slab):
            rows = slice(start, start + slab)
            padded[:, tile:] = -torch.inf
            cosines.copy_(products[0][rows])
            if len(products) > 1:
                cosines.add_(products[1][rows], alpha=1 / PARTS)
            cosines.mul_(labels.step)
            yield rows, padded

    def log_sum_exp(
        self, products: torch.Tensor, largest: torch.Tensor, scales: torch.Tensor, *, in_place: bool
    ) -> torch.Tensor:
        """products: (rows, groups, size) float32, in buffer 0; scales: (rows,).

        log-sum-exp of scale * product, (rows, groups) float64. `largest`, (rows, groups, 1): of each group, or more.
        `in_place` overwrites the products.
        """
        largest = largest.masked_fill(largest == -torch.inf, 0.0)  # a group of nothing but candidates
        rows, groups, size = products.shape
        if in_place:
            powers, count = products, rows * products.stride(0)
        else:
            powers, count = self.floats(1, rows, groups * size).view(products.shape), products.numel()
        torch.sub(products, largest, out=powers)
        powers.mul_((scales * LOG2_E)[:, None, None])
        self._floats[0 if in_place else 1, : whole_shares(count)].exp2_()
        return torch.log(powers.sum(dim=2).double()) + scales[:, None].double() * largest[:, :, 0].double()


def whole_shares(count: int) -> int:
    """`count` rounded up so that each of PyTorch's threads gets whole registers.

    It computes exp2 of the last few entries of a share by another routine, whose last bit may differ: a row's result
    would depend on its place and on the threads. Shares have 2^15 entries or more (at::internal::GRAIN_SIZE).
    """
    step = REGISTERS * min(torch.get_num_threads(), -(-count // GRAIN))
    return -(-count // step) * step


@dataclass(frozen=True, slots=True)
class SideSummary:
    """What a block of images has met among the labels of one role, ID or negative, once all tiles are swept.

    For the candidates of all tiles, (rows, k): `labels`, their exact `cosines` and the `groups` they belong to. `best`,
    (rows, at most CANDIDATES): which of them are the nearest by their integers. `masses`: by scale the log-sum-exp of
    each group over all labels but the candidates, (rows, groups + 1); the last column is for labels in no group.
    """

    labels: torch.Tensor
    cosines: torch.Tensor
    groups: torch.Tensor
    best: torch.Tensor
    masses: Masses

    def nearest(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The nearest label and its cosine; of two equally near ones the first.

        Found among `best`, which, unlike the other candidates, do not depend on tiles, hence not on the grouping.
        """
        labels, cosines = self.labels.gather(1, self.best), self.cosines.gather(1, self.best)
        largest = cosines.amax(dim=1)
        last = torch.iinfo(labels.dtype).max
        return torch.where(cosines == largest[:, None], labels, last).amin(dim=1), largest

    def mass(self, scale: float, without: torch.Tensor | None = None) -> torch.Tensor:
        """log-sum-exp of scale * c over each group, (rows, groups) float64; one label a row may be left out."""
        mass, terms = self.masses[scale].clone(), scale * self.cosines
        if without is not None:
            terms = torch.where(self.labels == without[:, None], -torch.inf, terms)
        for column in range(terms.shape[1]):
            group = self.groups[:, column : column + 1]
            mass.scatter_(1, group, torch.logaddexp(mass.gather(1, group), terms[:, column : column + 1]))
        return mass[:, :-1]


class Side:
    """The ID labels, or the negatives in the order of one grouping."""

    def __init__(self, labels: torch.Tensor, grouping: Groups, *, fine: bool) -> None:
        sizes = grouping.sizes(len(labels))
        kept = grouping.order(len(labels))
        order = np.concatenate([kept, np.setdiff1d(np.arange(len(labels)), kept)])
        groups = np.repeat(np.arange(len(sizes) + 1), [*sizes, len(labels) - len(kept)])
        self.group_count, self.runs = len(sizes), runs_of(sizes, len(labels))
        self.labels = labels
        self.order = torch.from_numpy(order).to(labels.device)
        self.groups = torch.from_numpy(groups).to(labels.device)
        self.integers = to_integers(labels[self.order], fine=fine)

    def sweep(self, images: Images, scales: Collection[float], scratch: Scratch) -> SideSummary:
        """The summary of a block over all tiles."""
        shape, device = (scratch.rows, self.group_count + 1), self.labels.device
        masses = {scale: torch.full(shape, -torch.inf, dtype=torch.float64, device=device) for scale in scales}
        taken = [self._take(images, tile, masses, scratch) for run in self.runs for tile in run.tiles()]
        found, rough = (torch.cat(parts, dim=1) for parts in zip(*taken, strict=True))
        labels = self.order[found]
        # Not einsum: its result depends, in the last digit, on how many labels stand side by side.
        cosines = (images.vectors[:, None] * self.labels[labels]).sum(dim=2, dtype=torch.float64)
        best = rough.topk(min(CANDIDATES, rough.shape[1]), dim=1).indices
        return SideSummary(labels, cosines, self.groups[found], best, masses)

    def _take(self, images: Images, tile: Run, masses: Masses, scratch: Scratch) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a tile's labels to the masses of its groups, but for its candidates.

        These are returned: (rows, at most CANDIDATES) columns, and cosines from integers, divided by the images' steps.
        """
        width, found = tile.stop - tile.start, []
        # Where groups are small, they are the chunks: their peaks serve the candidates and the sums.
        grouped_chunks = tile.groups > 1 and tile.size <= 2 * LARGEST_CHUNK
        chunk = tile.size if grouped_chunks else chunk_size(width)
        for rows, cosines in scratch.slabs(images.integers, self.integers[tile.start : tile.stop], chunk):
            peaks = cosines.view(len(cosines), -1, chunk).amax(dim=2)
            candidates, rough = chunk_candidates(cosines, peaks)
            found.append((candidates + tile.start, rough))
            if tile.first < 0 or not masses:
                continue
            cosines.scatter_(1, candidates, -torch.inf)
            grouped = cosines[:, :width].view(-1, tile.groups, tile.size)
            largest = peaks[:, :, None] if grouped_chunks else grouped.amax(dim=2, keepdim=True)
            for left, (scale, mass) in zip(range(len(masses) - 1, -1, -1), masses.items(), strict=True):
                part = mass[rows, tile.first : tile.first + tile.groups]
                total = scratch.log_sum_exp(grouped, largest, scale * images.integers.step[rows], in_place=left == 0)
                torch.logaddexp(part, total, out=part) if tile.partial else part.copy_(total)
        columns, values = zip(*found, strict=True)
        return torch.cat(columns), torch.cat(values)


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive columns of a side: `groups` groups of `size` each, the first of them number `first`.

    `first` is -1 for labels that are in no group: they only are candidates for the nearest.
    """

    start: int
    groups: int
    size: int
    first: int
    partial: bool = False  # one part of a group

    @property
    def stop(self) -> int:
        return self.start + self.groups * self.size

    def tiles(self) -> Iterator[Run]:
        """The run in parts of at most TILE columns: whole groups, or one part of a group at a time."""
        step = max(1, TILE // self.size)
        for group in range(0, self.groups, step):
            count, begin = min(step, self.groups - group), self.start + group * self.size
            first = self.first if self.first < 0 else self.first + group
            if self.size <= TILE:
                yield Run(begin, count, self.size, first)
                continue
            for start in range(begin, begin + self.size, TILE):
                yield Run(start, 1, min(TILE, begin + self.size - start), first, partial=True)


def runs_of(sizes: list[int], labels: int) -> list[Run]:
    """The columns of a grouping's order, then those it drops. There are two sizes at most, the larger first."""
    runs, start, first = [], 0, 0
    for size in sorted(set(sizes), reverse=True):
        groups = sizes.count(size)
        runs.append(Run(start, groups, size, first))
        start, first = start + groups * size, first + groups
    return [*runs, Run(start, 1, labels - start, -1)] if start < labels else runs


def chunk_size(columns: int) -> int:
    """Labels in a chunk of a tile, a power of two."""
    return min(LARGEST_CHUNK, 1 << (columns // CHUNKS).bit_length())


def chunk_candidates(values: torch.Tensor, peaks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns of the largest values, and these: (rows, at most CANDIDATES) each.

    values: (rows, whole chunks), peaks: (rows, chunks). The largest k values lie in the k chunks with the largest
    peaks, so only these are searched.
    """
    chunk = values.shape[1] // peaks.shape[1]
    chunks = peaks.topk(min(CANDIDATES, peaks.shape[1]), dim=1).indices
    chunked = values.view(len(values), -1, chunk)
    inside = chunked.gather(1, chunks[:, :, None].expand(-1, -1, chunk)).flatten(1)
    largest, place = inside.topk(chunks.shape[1], dim=1)
    return chunks.gather(1, place // chunk) * chunk + place % chunk, largest


def array(tensor: torch.Tensor) -> NDArray[Any]:
    values: NDArray[Any] = tensor.cpu().numpy()
    return values


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results in order of the items, by threads each with PyTorch's operators in one thread.

    As many at a time as PyTorch had threads at the first call. Scoring is many small operators in turn. Dividing each
    between threads costs more in waiting than it gains, and makes results depend on how many threads there are;
    dividing the blocks does neither.
    """
    return executor().map(function, items)


@cache
def executor() -> ThreadPoolExecutor:
    """The threads. PyTorch keeps the number of its own by thread, and what a new thread begins with for all."""
    threads = torch.get_num_threads()
    ready = threading.Barrier(threads)
    pool = ThreadPoolExecutor(threads, "curator-score", initializer=lambda: torch.set_num_threads(1))
    list(pool.map(lambda _: ready.wait(), range(threads)))  # all have begun
    torch.set_num_threads(threads)
    return pool
