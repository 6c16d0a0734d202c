"""Small collections for the tests of vectors and indexes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from curator.types import Vectors
from curator.vectors import ImageCollection, write_shard
from curator.vectors.collections import unit

ENCODER = "fake@0123"


def image_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def random_vectors(count: int, *, dimension: int = 16, seed: int = 0) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32))


class Lake:
    """A folder of vector files, one call a file; image numbers go on from file to file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[str] = []
        self.count = 0

    def add(self, vectors: Vectors, *, ids: Sequence[str] | None = None, name: str | None = None) -> list[str]:
        names = list(ids) if ids else [image_id(self.count + row) for row in range(len(vectors))]
        file = name or f"shard-{len(self.files):03d}"
        write_shard(self.folder / f"{file}.safetensors", names, vectors, encoder_id=ENCODER)
        self.files.append(file)
        self.count += len(vectors)
        return names

    def collection(self, *, dimension: int = 16) -> ImageCollection:
        return ImageCollection(self.folder, self.files, dimension)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    folder = tmp_path / "vectors"
    folder.mkdir()
    return Lake(folder)


@pytest.fixture(scope="session")
def vectors_of() -> Callable[..., Vectors]:
    return random_vectors
