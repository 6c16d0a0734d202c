"""What an index is built over: a list of members, each with ids and vectors. Images by vector file, labels at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from curator.types import Vectors
from curator.vectors.shards import read_shard


class VectorCollection(Protocol):
    """Vectors with ids, in a fixed order. A member is a part that never changes; new ones may be appended."""

    @property
    def name(self) -> str: ...
    @property
    def dimension(self) -> int: ...

    def members(self) -> list[str]:
        """Names that tell the content of each part, in order."""

    def read(self, member: str) -> tuple[Sequence[str], Vectors]:
        """Ids and vectors (n, d) of a part."""


@dataclass(frozen=True, slots=True)
class ImageCollection:
    """The images of an encoder: its vector files, named by their content."""

    folder: Path
    files: tuple[str, ...]
    dimension: int
    name: str = "images"

    def members(self) -> list[str]:
        return list(self.files)

    def read(self, member: str) -> tuple[Sequence[str], Vectors]:
        shard = read_shard(self.folder / f"{member}.safetensors")
        return shard.image_ids, shard.vectors


@dataclass(frozen=True, slots=True)
class LabelCollection:
    """The labels of a bank version, in one part. Their ids are their indices in the bank, as text."""

    vectors: Vectors
    digest: str
    name: str = "labels"

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    def members(self) -> list[str]:
        return [self.digest]

    def read(self, member: str) -> tuple[Sequence[str], Vectors]:
        return [str(index) for index in range(len(self.vectors))], self.vectors


def read_all(collection: VectorCollection, members: Sequence[str]) -> Iterator[tuple[Sequence[str], Vectors]]:
    """The members' ids and vectors, one after the other; empty ones are passed over."""
    for member in members:
        ids, vectors = collection.read(member)
        if len(ids):
            yield ids, vectors
