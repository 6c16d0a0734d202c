"""A partition of a collection: what makes near vectors cheap to find however large the lake is, and loses none.

Vectors lie in cells, each around a centre that k-means found, and a cell lists the bounds of its vectors (joining.py),
whole numbers of two bytes. A vector whose cosine to a query is at least cos θ can be in a cell only if the query is not
farther than sin θ beyond the plane that parts that cell from the query's own, and not farther than θ from where the
cell's vectors end; all other cells are left alone. Both hold for every vector, so what is found is what comparing
everything finds. Of 7,300 photographs and drawings in 512 cells, a search at 0.98 looks into 6 cells.

A folder holds centres and directions, segments of whole runs of positions, each written once, and last of all
`manifest.json`. What was added since is a new segment, which takes in the ones before it that are not much larger: each
vector is written a number of times that grows with the logarithm of the lake, and nothing else is rewritten. It is a
cache: whatever in it does not fit the collection, or is damaged, has it made anew from the vectors.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
import zlib
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from curator.durable import durable
from curator.errors import IndexFault
from curator.types import Vectors
from curator.vectors.blas import side_by_side
from curator.vectors.collections import BLOCK_ROWS, ImageCollection, Positions, unit
from curator.vectors.joining import (
    SLACK,
    Candidates,
    Everything,
    NearSource,
    bounds_of,
    compared_with,
    principal_directions,
)

log = logging.getLogger(__name__)

Number = TypeVar("Number", bound=np.generic)

FORMAT = 2
MIN_VECTORS = 1 << 15  # fewer are compared one by one
CELLS_PER_ROOT = 4.0  # cells = this times the root of the number of vectors, rounded down to a power of two
GROWTH = 4.0  # centres are found anew once the collection is so many times what they were found for
SEGMENT = 1 << 21  # vectors of a segment at most, which one is held in memory to be written
_SAMPLE = 32  # vectors for each centre
_ROUNDS = 8  # of k-means
_ONE = 32767.0  # what stands for 1 in bounds at rest: whole numbers become floats ten times as fast as half ones do
_SURE = 1e-4  # of products summed in float32, where cells are chosen
_CANCELLED = 1e-5  # of the squared distance of two centres, which is the difference of such products
_CHOICES = 1 << 23  # cells of queries held at a time, 16 bytes each
_TILE = 1 << 19  # products of queries and centres that a thread holds at a time
REFUSED = (
    "%s: cannot be written: %s; near-duplicates of new images are found without it, which takes longer, until a run can"
)
CELL = np.dtype([("end", "<i8"), ("least", "<f4"), ("crc32", "<u4")])  # least: cosine of a member to the centre


@dataclass(frozen=True, slots=True)
class Segment:
    """Vectors first … first + count - 1 of the collection, in the order of their cells."""

    name: str
    first: int
    count: int
    crc32: int  # of the table of its cells


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a partition was made of. crc32: of centres and directions. members: name, vectors and fingerprint of each
    vector file, in order."""

    format: int
    name: str
    crc32: tuple[int, int]
    dimension: int
    trained_on: int
    members: tuple[tuple[str, int, str], ...]
    segments: tuple[Segment, ...]

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """That of a folder; None where there is none that can be read."""
        try:
            document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            segments = tuple(Segment(**item) for item in document["segments"])
            members = tuple((str(name), int(count), str(mark)) for name, count, mark in document["members"])
            first, second = document["crc32"]
            found = cls(**{**document, "crc32": (first, second), "segments": segments, "members": members})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return found if found.format == FORMAT else None

    def write(self, folder: Path) -> None:
        """And remove what is of no manifest any more."""
        with durable(folder / "manifest.json") as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
        kept = {"manifest.json", *self.files}
        for path in folder.iterdir():
            if path.name not in kept:
                path.unlink()

    @property
    def files(self) -> list[str]:
        return [f"{self.name}.centres.npy", f"{self.name}.directions.npy"] + [
            f"{item.name}.{part}.npy" for item in self.segments for part in ("cells", "rows")
        ]


def near_source(collection: ImageCollection, folder: Path, fresh: Collection[str]) -> NearSource:
    """What a search for near vectors in the whole collection goes by: its partition in `folder`, brought up to date;
    all vectors of a small one. fresh: the files that are new in the ledger. Raises VectorFault.

    Where the disk refuses the partition, vectors that have no place in it are compared one by one, which takes longer.

    Positions are those of its `collection`, which has the same files in another order.
    """
    if len(collection) < MIN_VECTORS:
        return Everything(collection, np.arange(len(collection)))
    manifest = Manifest.read(folder)
    if manifest is not None and (reason := _unfit(manifest, collection, folder, fresh)):
        log.info("the partition of %s vectors is made anew: %s", f"{len(collection):,}", reason)
        manifest = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partition = Partition(collection, folder, manifest or _new(collection, folder))
    except OSError as fault:
        log.warning(REFUSED, folder, fault.strerror)
        return Everything(collection, np.arange(len(collection)))
    partition.extend()
    return partition


def damaged_partition(folder: Path) -> str:
    """Why the files of a partition cannot be used, or nothing. Reads all of them."""
    manifest = Manifest.read(folder)
    if manifest is None:
        return "it has no manifest that can be read"
    try:
        for name, crc32 in zip(manifest.files[:2], manifest.crc32, strict=True):
            _load(folder / name, np.float32, crc32)
        for segment in manifest.segments:
            cells = SegmentCells(folder, segment)
            for cell in range(len(cells.table)):
                cells.rows_of(cell)
    except IndexFault as fault:
        return fault.message
    return ""


def _unfit(manifest: Manifest, collection: ImageCollection, folder: Path, fresh: Collection[str]) -> str:
    """Why a partition cannot be kept, or nothing. Vector files never change; those that are new here may have been
    others before, and were embedded again."""
    counts = dict(zip(collection.files, collection.counts, strict=True))
    had = {name: mark for name, _, mark in manifest.members}
    if manifest.dimension != collection.dimension:
        return "the dimension has changed"
    if any(counts.get(name) != count for name, count, _ in manifest.members):
        return "vector files have gone"
    if len(collection) > GROWTH * manifest.trained_on:
        return "it has outgrown its centres"
    if any(collection.fingerprint(name) != had[name] for name in fresh if name in had):
        return "vector files have changed"
    return "" if all((folder / name).is_file() for name in manifest.files) else "a file of it is missing"


def _new(collection: ImageCollection, folder: Path) -> Manifest:
    """Centres and directions for a collection, and no segments yet."""
    from curator.vectors.faiss_index import spherical_means

    count = len(collection)
    cells = 1 << max(0, math.floor(math.log2(CELLS_PER_ROOT * math.sqrt(count))))
    directions = principal_directions(collection, np.arange(count))
    chosen = np.arange(0, count, max(1, count // (_SAMPLE * cells)))
    bounds = [
        bounds_of(unit(collection.vectors_at(chosen[start : start + BLOCK_ROWS])), directions)
        for start in range(0, len(chosen), BLOCK_ROWS)
    ]
    centres = spherical_means(np.concatenate(bounds), min(cells, len(chosen)), seed=0, rounds=_ROUNDS, gpu=True)
    checksums = zlib.crc32(centres.data), zlib.crc32(directions.data)
    manifest = Manifest(FORMAT, secrets.token_hex(8), checksums, collection.dimension, count, (), ())
    _save(folder / f"{manifest.name}.centres.npy", centres)
    _save(folder / f"{manifest.name}.directions.npy", directions)
    return manifest


class Partition:
    """A partition that is there, over a collection in the order of its positions."""

    def __init__(self, collection: ImageCollection, folder: Path, manifest: Manifest) -> None:
        self.collection = collection.in_order([name for name, _, _ in manifest.members])
        self.folder = folder
        self.manifest = manifest
        self.directions: Vectors = _load(folder / f"{manifest.name}.directions.npy", np.float32, manifest.crc32[1])
        self._centres: Vectors = _load(folder / f"{manifest.name}.centres.npy", np.float32, manifest.crc32[0])
        self.slack = SLACK + 1.01 * math.sqrt(self.directions.shape[1] + 1) / (2 * _ONE)  # half of one in each column
        self._segments = [SegmentCells(folder, item) for item in manifest.segments]
        self._among: NDArray[np.bool_] | None = None
        self._beyond: Positions = np.zeros(0, np.int64)  # of vectors that no segment has

    def among(self, positions: Positions) -> Partition:
        """The same, of the vectors at these positions only."""
        found = Partition(self.collection, self.folder, self.manifest)
        found._among = np.zeros(len(self.collection), bool)
        found._among[positions] = True
        found._beyond = self._beyond[found._among[self._beyond]]
        return found

    def extend(self) -> None:
        """Take in what the collection has beyond the segments, and write it down."""
        done = sum(count for _, count, _ in self.manifest.members)
        if done == len(self.collection):
            return
        try:
            manifest = self._extended(done)
            manifest.write(self.folder)
        except OSError as fault:
            log.warning(REFUSED, self.folder, fault.strerror)
            self._beyond = np.arange(done, len(self.collection))
            return
        self.manifest = manifest
        self._segments = [SegmentCells(self.folder, item) for item in manifest.segments]

    def _extended(self, done: int) -> Manifest:
        """With the segments, on disk, of all vectors from position `done` on."""
        kept, checked = list(self.manifest.segments), self.collection.verified()
        for first in range(done, len(self.collection), SEGMENT):
            rows, cells, cosines = self._placed(checked, first, min(first + SEGMENT, len(checked)))
            while kept and kept[-1].count <= 2 * len(rows) and kept[-1].count + len(rows) <= SEGMENT:
                before = SegmentCells(self.folder, kept.pop()).everything()
                rows["position"] += len(before[0])
                rows, cells, cosines = (
                    np.concatenate(pair) for pair in zip(before, (rows, cells, cosines), strict=True)
                )
                first -= len(before[0])
            kept.append(_write_segment(self.folder, first, rows, cells, cosines, len(self._centres)))
        added = slice(len(self.manifest.members), None)
        members = tuple(
            (name, count, self.collection.fingerprint(name))
            for name, count in zip(self.collection.files[added], self.collection.counts[added], strict=True)
        )
        return replace(self.manifest, members=self.manifest.members + members, segments=tuple(kept))

    def candidates(self, bounds: Vectors, min_cosine: float) -> Iterator[Candidates]:
        yield from compared_with(self.collection, self._beyond, bounds, self.directions)
        if not self._segments:
            return
        for rows, cells in self._by_cell(bounds, min_cosine):
            chosen, starts = np.unique(cells, return_index=True)
            for cell, asked in zip(chosen.tolist(), np.split(rows, starts)[1:], strict=True):
                yield from (self._of_cell(segment, cell, asked) for segment in self._segments)

    def _by_cell(self, bounds: Vectors, min_cosine: float) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Queries, ascending, and cells that may hold vectors near them, by cell: of as many queries as can be held,
        since each cell is read anew for the next ones."""
        held = list[NDArray[np.intp]]()
        for chosen in self._chosen(bounds, min_cosine):
            held.append(chosen)
            if sum(part.shape[1] for part in held) >= _CHOICES:
                yield _sorted_by_cell(held)
                held.clear()
        yield _sorted_by_cell(held)

    def _of_cell(self, segment: SegmentCells, cell: int, rows: NDArray[np.intp]) -> Candidates:
        found = segment.rows_of(cell)
        positions = segment.first + found["position"].astype(np.int64)
        if self._among is not None:
            kept = self._among[positions]
            found, positions = found[kept], positions[kept]
        return Candidates(rows, positions, found["bounds"], _ONE)

    def _chosen(self, bounds: Vectors, min_cosine: float) -> Iterator[NDArray[np.intp]]:
        """Queries and cells that may hold vectors of at least the cosine to them, (2, n)."""
        from curator.vectors.faiss_index import nearest_rows

        cosine, count = min(max(min_cosine - _SURE, -1.0), 1.0), len(self._centres)
        sine = math.sqrt(1 - cosine**2) if cosine > 0 else math.inf  # beyond a right angle no plane parts anything
        ends = reduce(np.minimum, (segment.table["least"] for segment in self._segments))
        ends = np.cos(np.minimum(np.arccos(np.clip(ends, -1, 1)) + math.acos(cosine), math.pi)) - _SURE
        products, own = nearest_rows(bounds, self._centres)

        def choose(rows: NDArray[np.intp]) -> NDArray[np.intp]:
            cells, places = np.unique(own[rows], return_inverse=True)
            apart = sine * np.sqrt(np.maximum(2 - 2 * self._centres[cells] @ self._centres.T, 0) + _CANCELLED) + _SURE
            to_all = bounds[rows] @ self._centres.T
            found, near = np.divmod(np.flatnonzero(to_all + apart[places] >= products[rows, None]), count)
            kept = to_all[found, near] >= ends[near]
            return np.stack([rows[found[kept]], near[kept]])

        order = np.argsort(own, kind="stable")  # those of a cell together: its distances are computed once
        step = max(1, _TILE // count)
        yield from side_by_side(choose, (order[start : start + step] for start in range(0, len(order), step)))

    def _placed(
        self, collection: ImageCollection, first: int, end: int
    ) -> tuple[NDArray[np.void], NDArray[np.int32], NDArray[np.float32]]:
        """Rows, cells and cosines to the centres of the vectors of a run of positions, in their order."""
        from curator.vectors.faiss_index import nearest_rows

        rows = np.empty(end - first, _row(self._centres.shape[1]))
        rows["position"] = np.arange(end - first)
        cells, cosines = np.empty(len(rows), np.int32), np.empty(len(rows), np.float32)
        for start in range(0, len(rows), BLOCK_ROWS):
            block = slice(start, min(start + BLOCK_ROWS, len(rows)))
            bounds = bounds_of(
                unit(collection.vectors_at(np.arange(first + start, first + block.stop))), self.directions
            )
            rows["bounds"][block] = np.rint(bounds * _ONE)
            cosines[block], cells[block] = nearest_rows(bounds, self._centres)
        return rows, cells, cosines


def _sorted_by_cell(chosen: list[NDArray[np.intp]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, cells = np.concatenate([np.zeros((2, 0), np.intp), *chosen], axis=1)
    order = np.lexsort((rows, cells))
    return rows[order], cells[order]


class SegmentCells:
    """A segment on disk, of which only the cells that are asked for are read; each is checked when it is."""

    def __init__(self, folder: Path, segment: Segment) -> None:
        self.first = segment.first
        self._path = folder / f"{segment.name}.rows.npy"
        self._count = segment.count
        self.table = _load(folder / f"{segment.name}.cells.npy", np.void, segment.crc32)

    def rows_of(self, cell: int) -> NDArray[np.void]:
        """Those of a cell. Raises IndexFault where they are not what was written."""
        ends = self.table["end"]
        found = self._rows[ends[cell - 1] if cell else 0 : ends[cell]]
        if zlib.crc32(found.data) != self.table["crc32"][cell]:
            raise IndexFault(f"{self._path} is damaged: the checksum of cell {cell} does not match")
        return found

    def everything(self) -> tuple[NDArray[np.void], NDArray[np.int32], NDArray[np.float32]]:
        """Rows, cells and cosines, in the order of positions; the cosine of each is the least of its cell."""
        rows = np.concatenate([self.rows_of(cell) for cell in range(len(self.table))])
        cells = np.repeat(np.arange(len(self.table), dtype=np.int32), np.diff(self.table["end"], prepend=0))
        order = np.argsort(rows["position"])
        return rows[order], cells[order], self.table["least"][cells[order]]

    @cached_property
    def _rows(self) -> NDArray[np.void]:
        rows = _load(self._path, np.void)
        if len(rows) != self._count:
            raise IndexFault(f"{self._path} is damaged: it has {len(rows)} rows, not {self._count}")
        return rows


def _row(width: int) -> np.dtype[np.void]:
    return np.dtype([("position", "<u4"), ("bounds", "<i2", (width,))])


def _write_segment(
    folder: Path,
    first: int,
    rows: NDArray[np.void],
    cells: NDArray[np.int32],
    cosines: NDArray[np.float32],
    count: int,
) -> Segment:
    """Rows from the position `first` on, each with its cell, of so many, and its cosine to the centre of that."""
    order = np.argsort(cells, kind="stable")
    rows, table = rows[order], np.zeros(count, CELL)
    table["end"] = np.cumsum(np.bincount(cells, minlength=count))
    table["least"] = 1
    np.minimum.at(table["least"], cells, cosines)
    for cell, (start, end) in enumerate(zip([0, *table["end"][:-1].tolist()], table["end"].tolist(), strict=True)):
        table["crc32"][cell] = zlib.crc32(rows[start:end].data)
    segment = Segment(secrets.token_hex(8), first, len(rows), zlib.crc32(table.data))
    _save(folder / f"{segment.name}.rows.npy", rows)
    _save(folder / f"{segment.name}.cells.npy", table)
    return segment


def _save(path: Path, array: NDArray[np.generic]) -> None:
    with durable(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _load(path: Path, kind: type[Number], crc32: int | None = None) -> NDArray[Number]:
    """An array, mapped. Raises IndexFault for what is none, or not the one of this checksum."""
    try:
        found: NDArray[Number] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as fault:
        raise IndexFault(f"{path} cannot be read: {fault}") from fault
    if not issubclass(found.dtype.type, kind) or (crc32 is not None and zlib.crc32(found.data) != crc32):
        raise IndexFault(f"{path} is damaged: it is not what was written")
    return np.asarray(found)
