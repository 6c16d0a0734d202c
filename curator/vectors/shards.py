"""Vector files: the embeddings of one work shard, float16, with the ids of their images.

A file is safetensors with `vectors` (n, d) float16 and `image_ids` (n, 16) uint8, and one metadata entry, `curator`:
JSON with the format version, the encoder and a CRC-32 of the tensors. One entry, because safetensors writes several
in no fixed order, and equal content should be equal bytes. A file is written once and never changed.

Half precision: for a unit vector a float16 component is off by at most 2^-11 of itself, so the stored vector is off
by at most 2^-11 in length, a cosine to a float32 vector by at most 2^-11 = 4.9e-4 and one between two stored vectors
by at most 2^-10 = 9.8e-4 (plus sqrt(d) 2^-25 for subnormal components). These are bounds; measured at d = 512 over
2 million random pairs: root mean square 1.3e-5, largest 6.7e-5.

This module does not know which files are in use; the ledger does.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from curator.durable import durable
from curator.errors import VectorFault
from curator.types import UNIT_TOLERANCE, Vectors

Number = TypeVar("Number", bound=np.generic)

FORMAT = 1
ID_BYTES = 16
_RESTORE = "embed its images again by `curator scan SOURCE --rehash` for each source, or restore it from a backup"
_ID_TEXT = re.compile(r"[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class VectorShard:
    """A vector file read whole. id_bytes: (n, 16) uint8; vectors: (n, d) float32, the stored float16 values."""

    id_bytes: NDArray[np.uint8]
    vectors: Vectors
    encoder_id: str

    @property
    def image_ids(self) -> list[str]:
        return id_texts(self.id_bytes)


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """What the head of a vector file says; offsets in bytes from its start."""

    path: Path
    encoder_id: str
    count: int
    dimension: int
    crc32: int
    byte_size: int
    id_offset: int
    vector_offset: int

    def map_ids(self) -> NDArray[np.uint8]:
        """The ids as (n, 16) uint8, read from disk as they are touched."""
        return _map(self.path, np.dtype("u1"), self.id_offset, (self.count, ID_BYTES))

    def map_vectors(self) -> NDArray[np.float16]:
        """The vectors as (n, d) float16, read from disk as they are touched."""
        return _map(self.path, np.dtype("<f2"), self.vector_offset, (self.count, self.dimension))

    def read_few(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Chosen rows, (len(rows), d), each by a read of its own: to map a file takes as long as a hundred of them."""
        return self._read_few(rows, np.dtype("<f2"), self.vector_offset, self.dimension)

    def read_few_ids(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Ids of chosen rows, (len(rows), 16), read likewise."""
        return self._read_few(rows, np.dtype("u1"), self.id_offset, ID_BYTES)

    def _read_few(self, rows: NDArray[np.int64], dtype: np.dtype[Number], offset: int, columns: int) -> NDArray[Number]:
        width = dtype.itemsize * columns
        with self.path.open("rb", buffering=0) as file:
            parts = [os.pread(file.fileno(), width, offset + row * width) for row in rows.tolist()]
        return np.frombuffer(b"".join(parts), dtype).reshape(len(rows), columns)


def at_rest(vectors: Vectors) -> Vectors:
    """The vectors exactly as a vector file gives them back: rounded to float16, as float32."""
    return vectors.astype(np.float16).astype(np.float32)


def id_bytes(image_ids: Sequence[str]) -> NDArray[np.uint8]:
    """Image ids of 32 lower-case hex digits as (n, 16) uint8. Raises VectorFault for anything else."""
    text = "".join(image_ids)
    if any(len(image_id) != 2 * ID_BYTES for image_id in image_ids) or not _ID_TEXT.fullmatch(text):
        raise VectorFault(f"not all of these are image ids of 32 hex digits: {', '.join(map(repr, image_ids[:3]))}, …")
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(-1, ID_BYTES)


def id_texts(raw: NDArray[np.uint8]) -> list[str]:
    """The inverse of `id_bytes`."""
    text, width = np.ascontiguousarray(raw).tobytes().hex(), 2 * ID_BYTES
    return [text[start : start + width] for start in range(0, len(text), width)]


def write_shard(path: Path, image_ids: Sequence[str], vectors: Vectors, *, encoder_id: str) -> None:
    """Write a vector file: whole or not at all. vectors: (n, d), unit norm, in the order of image_ids.

    Raises VectorFault if the two differ in length or a vector is not unit norm (NaN included).
    """
    _check(path, image_ids, vectors)
    halves, ids = np.ascontiguousarray(vectors, dtype="<f2"), id_bytes(image_ids)
    meta = {"format": FORMAT, "encoder_id": encoder_id, "crc32": _checksum(halves, ids)}
    with durable(path) as temporary:
        temporary.write_bytes(
            save({"vectors": halves, "image_ids": ids}, metadata={"curator": json.dumps(meta, sort_keys=True)})
        )


def read_info(path: Path) -> ShardInfo:
    """The head of a vector file. Raises VectorFault if it is missing, truncated or not a vector file."""
    try:
        with safe_open(path, framework="numpy") as file:  # checks the head, and the length against it
            metadata = json.loads(file.metadata()["curator"])
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            head = json.loads(stream.read(length))
        return _parse(path, head, metadata, data_offset=8 + length)
    except FileNotFoundError as error:
        raise VectorFault(f"vector file {path} is missing", hint=_RESTORE) from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise VectorFault(f"vector file {path} is damaged: {error}", hint=_RESTORE) from error


def read_shard(path: Path) -> VectorShard:
    """A whole vector file, its checksum verified. Raises VectorFault naming the file."""
    info = read_info(path)
    ids, halves = np.array(info.map_ids()), np.array(info.map_vectors())
    _confirm(info, halves, ids)
    return VectorShard(ids, halves.astype(np.float32), info.encoder_id)


def verify_shard(path: Path) -> ShardInfo:
    """The head of a vector file whose every byte is as it was written. Holds none of it. Raises VectorFault."""
    info = read_info(path)
    _confirm(info, info.map_vectors(), info.map_ids())
    return info


def read_rows(path: Path, rows: ArrayLike, *, verified: bool = False) -> Vectors:
    """Chosen rows, in the order asked for, (len(rows), d) float32.

    verified: read the whole file for its checksum first, as whoever keeps what comes of the vectors must. Else only
    the pages of the rows are touched. Raises VectorFault for an unusable file or a row that it does not have.
    """
    info, wanted = verify_shard(path) if verified else read_info(path), np.asarray(rows, dtype=np.int64)
    if wanted.size and (wanted.min() < 0 or wanted.max() >= info.count):
        raise VectorFault(
            f"vector file {path} has {info.count} rows; rows {wanted.min()} to {wanted.max()} were asked for"
        )
    return info.map_vectors()[wanted].astype(np.float32)


def _confirm(info: ShardInfo, vectors: NDArray[np.float16], ids: NDArray[np.uint8]) -> None:
    if _checksum(vectors, ids) != info.crc32:
        raise VectorFault(f"vector file {info.path} is damaged: its checksum does not match", hint=_RESTORE)


def _check(path: Path, image_ids: Sequence[str], vectors: Vectors) -> None:
    if vectors.ndim != 2 or len(image_ids) != len(vectors):
        raise VectorFault(f"{path.name}: {len(image_ids)} image ids for vectors of shape {vectors.shape}")
    off = np.flatnonzero(~(np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT_TOLERANCE))
    if off.size:
        raise VectorFault(f"{path.name}: {off.size} vectors are not unit norm, first that of image {image_ids[off[0]]}")


def _parse(path: Path, head: dict[str, Any], metadata: dict[str, Any], *, data_offset: int) -> ShardInfo:
    if metadata["format"] != FORMAT:
        raise ValueError(f"format {metadata['format']} is not known, only {FORMAT}")
    vectors, ids = head["vectors"], head["image_ids"]
    count, dimension = vectors["shape"]
    if (vectors["dtype"], ids["dtype"], ids["shape"]) != ("F16", "U8", [count, ID_BYTES]):
        raise ValueError(f"unexpected tensors {vectors} and {ids}")
    return ShardInfo(
        path=path,
        encoder_id=str(metadata["encoder_id"]),
        count=count,
        dimension=dimension,
        crc32=int(metadata["crc32"]),
        byte_size=path.stat().st_size,
        id_offset=data_offset + ids["data_offsets"][0],
        vector_offset=data_offset + vectors["data_offsets"][0],
    )


def _checksum(vectors: NDArray[np.float16], ids: NDArray[np.uint8]) -> int:
    return zlib.crc32(np.ascontiguousarray(ids).data, zlib.crc32(np.ascontiguousarray(vectors).data))


def _map(path: Path, dtype: np.dtype[Number], offset: int, shape: tuple[int, int]) -> NDArray[Number]:
    if 0 in shape:  # an empty region cannot be mapped
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)
