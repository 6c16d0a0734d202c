"""Collections of vectors with ids, in members that never change: images by vector file, labels at once.

A *position* is the place of a vector in its collection, counted through the members in their order. Indexes and
searches speak in positions; ids are looked up for what is returned. Vectors are read from disk as they are needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curator.errors import VectorFault
from curator.types import Vectors
from curator.vectors.shards import ID_BYTES, ShardInfo, id_bytes, id_texts, read_info, verify_shard

Positions = NDArray[np.int64]
BLOCK_ROWS = 8192
_FEW_ROWS = 64  # of one file, which are read without mapping it
_OPEN_FILES = 16  # mapped at a time: what was read of a mapped file counts as memory of the process


@dataclass(frozen=True, slots=True)
class CollectionPart:
    """A part of a collection; `fingerprint` changes when its content does."""

    name: str
    count: int
    fingerprint: str


class VectorCollection(Protocol):
    """Vectors (n, d) with unique ids, in the order of their members."""

    @property
    def name(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    def __len__(self) -> int: ...

    def members(self) -> tuple[CollectionPart, ...]:
        """The parts, in order."""

    def in_order(self, names: Sequence[str]) -> VectorCollection:
        """The same collection with the members `names` first, in that order; the others follow in theirs."""

    def vectors_at(self, positions: Positions) -> Vectors:
        """Vectors as stored, (len(positions), d) float32, in the order asked for."""

    def ids_at(self, positions: Positions) -> list[str]:
        """Ids, in the order asked for."""

    def keys_at(self, positions: Positions) -> NDArray[np.generic]:
        """What orders vectors of equal cosine: sorts as image ids do, or as labels stand in their bank."""

    def positions_of(self, ids: Collection[str]) -> Positions:
        """Where these ids are, ascending; ids that the collection does not have are passed over."""


class ImageCollection:
    """The images of one encoder: its vector files in a folder, named without `.safetensors`.

    Keeps the heads of the files that were touched, and 16 bytes an image once places of ids are asked for. Raises
    VectorFault for a file that is missing or damaged, or whose dimension or encoder is not that of the others. counts:
    vectors of each file, as the ledger has them; without, they come from the heads of all files. verified: a file is
    read whole for its checksum before the first of its vectors is given, as whoever keeps what comes of them must have
    it.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[str],
        dimension: int,
        *,
        counts: Sequence[int] | None = None,
        name: str = "images",
        verified: bool = False,
    ) -> None:
        self.folder = folder
        self.files = tuple(files)
        self.dimension = dimension
        self.name = name
        self._infos: dict[int, ShardInfo] = {}
        self._unverified = set(range(len(self.files))) if verified else set[int]()
        self._vectors_of = lru_cache(maxsize=_OPEN_FILES)(self._map_vectors)
        self._stated = None if counts is None else tuple(counts)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.files else 0

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Vectors of each file."""
        return self._stated or tuple(self._info(member).count for member in range(len(self.files)))

    def members(self) -> tuple[CollectionPart, ...]:
        return tuple(
            CollectionPart(name, count, self._fingerprint(member))
            for member, (name, count) in enumerate(zip(self.files, self.counts, strict=True))
        )

    def fingerprint(self, name: str) -> str:
        """What tells a vector file from another one of its name."""
        return self._fingerprint(self._members[name])

    def in_order(self, names: Sequence[str]) -> ImageCollection:
        if tuple(names) == self.files:
            return self
        first = set(names)
        return self._with((*names, *(name for name in self.files if name not in first)))

    def verified(self) -> ImageCollection:
        """The same, each file of which is verified when it is touched."""
        return self._with(self.files, verified=True)

    def _with(self, files: Sequence[str], *, verified: bool = False) -> ImageCollection:
        counts = [self.counts[self._members[name]] for name in files]
        return ImageCollection(self.folder, files, self.dimension, counts=counts, name=self.name, verified=verified)

    def vectors_at(self, positions: Positions) -> Vectors:
        found = np.empty((len(positions), self.dimension), np.float32)
        for member, places, rows in self._by_member(positions):
            few = len(rows) <= _FEW_ROWS and member not in self._unverified
            found[places] = self._info(member).read_few(rows) if few else self._vectors_of(member)[rows]
        return found

    def ids_at(self, positions: Positions) -> list[str]:
        return id_texts(self._ids_at(positions))

    def keys_at(self, positions: Positions) -> NDArray[np.bytes_]:
        return _sortable(self._ids_at(positions))

    def positions_in(self, files: Sequence[str], rows: Sequence[int]) -> Positions:
        """Where these rows of these files are, in their order."""
        members = np.array([self._members[name] for name in files], np.int64)
        return self._starts[members] + np.asarray(rows, np.int64)

    def positions_of(self, ids: Collection[str]) -> Positions:
        found = self.places_of([image_id for image_id in ids if len(image_id) == 32])
        return np.sort(found[found >= 0])

    def places_of(self, ids: Sequence[str]) -> Positions:
        """Positions of image ids, in their order; -1 for one that the collection does not have."""
        known, order = self._sorted_ids
        if not len(known):
            return np.full(len(ids), -1, np.int64)
        wanted = _sortable(id_bytes(ids))
        places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[places] == wanted, order[places], -1)

    def _by_member(self, positions: Positions) -> Iterator[tuple[int, NDArray[np.intp], Positions]]:
        """For each member touched: its index, which of `positions` it holds, and their rows in it."""
        member = np.searchsorted(self._ends, positions, side="right")
        order = np.argsort(member, kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(member[order])) + 1):
            if places.size:
                index = int(member[places[0]])
                yield index, places, positions[places] - self._starts[index]

    def _map_vectors(self, member: int) -> NDArray[np.float16]:
        info = self._info(member)
        if member in self._unverified:
            verify_shard(info.path)
            self._unverified.discard(member)
        return info.map_vectors()

    def _ids_at(self, positions: Positions) -> NDArray[np.uint8]:
        found = np.empty((len(positions), ID_BYTES), np.uint8)
        for member, places, rows in self._by_member(positions):
            info = self._info(member)
            found[places] = info.read_few_ids(rows) if len(rows) <= _FEW_ROWS else info.map_ids()[rows]
        return found

    def _info(self, member: int) -> ShardInfo:
        if member in self._infos:
            return self._infos[member]
        info = read_info(self.folder / f"{self.files[member]}.safetensors")
        known = next(iter(self._infos.values()), info)
        if info.dimension != self.dimension or info.encoder_id != known.encoder_id:
            raise VectorFault(
                f"vector file {info.path} has {info.dimension} dimensions of {info.encoder_id}, "
                f"not {self.dimension} of {known.encoder_id}",
                hint="vectors of two encoders cannot be compared; run `curator doctor`",
            )
        if self._stated is not None and info.count != self._stated[member]:
            raise VectorFault(
                f"vector file {info.path} has {info.count} vectors, and the ledger {self._stated[member]}",
                hint="run `curator doctor --check`",
            )
        self._infos[member] = info
        return info

    def _fingerprint(self, member: int) -> str:
        info = self._info(member)
        return f"{info.byte_size}-{info.crc32:08x}"

    @cached_property
    def _members(self) -> dict[str, int]:
        return {name: member for member, name in enumerate(self.files)}

    @cached_property
    def _ends(self) -> Positions:
        return np.cumsum(self.counts, dtype=np.int64)

    @cached_property
    def _starts(self) -> Positions:
        return self._ends - np.array(self.counts, np.int64)

    @cached_property
    def _sorted_ids(self) -> tuple[NDArray[np.bytes_], Positions]:
        keys = self.keys_at(np.arange(len(self)))
        order = np.argsort(keys, kind="stable").astype(np.int64)
        return keys[order], order


class LabelCollection:
    """The labels of a bank version, in one member. Their ids are their indices in the bank, as decimal text."""

    def __init__(self, vectors: Vectors, digest: str, *, name: str = "labels") -> None:
        self.vectors = vectors
        self.digest = digest
        self.name = name

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.vectors)

    def members(self) -> tuple[CollectionPart, ...]:
        return (CollectionPart(self.digest, len(self.vectors), self.digest),)

    def in_order(self, names: Sequence[str]) -> LabelCollection:
        return self

    def vectors_at(self, positions: Positions) -> Vectors:
        return self.vectors[positions].astype(np.float32, copy=False)

    def ids_at(self, positions: Positions) -> list[str]:
        return [str(position) for position in positions.tolist()]

    def keys_at(self, positions: Positions) -> Positions:
        return positions

    def positions_of(self, ids: Collection[str]) -> Positions:
        numbers = (int(label) for label in ids if label.isdecimal())
        return np.array(sorted(number for number in numbers if number < len(self)), np.int64)


def unit(vectors: Vectors) -> Vectors:
    """Scaled to length one, so that an inner product is a cosine. Stored float16 vectors are off by up to 4.9e-4."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / norms, dtype=np.float32)


def blocks(collection: VectorCollection, start: int) -> Iterator[Vectors]:
    """Unit vectors (up to 8,192, d) of all positions from `start` on, in order: a bounded part at a time."""
    for first in range(start, len(collection), BLOCK_ROWS):
        yield unit(collection.vectors_at(np.arange(first, min(first + BLOCK_ROWS, len(collection)))))


def _sortable(raw: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Rows of 16 bytes as one sortable value each. NumPy drops trailing zeros; among equal lengths that is safe."""
    return np.ascontiguousarray(raw).view("S16").reshape(len(raw))
