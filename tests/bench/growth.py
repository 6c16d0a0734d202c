"""A night of new images in lakes of two sizes: what of it grows with the lake, by stage.

The lake is its ledger, its vector files and the names of its Parquet files, as scans leave them: sparse files, which
are listed and never opened, since they are unchanged. One image in fifty is nearly another one, whose pair and group
are recorded. A first night, of a few images, scores and names all and makes what is kept beside the vectors; the
night that is measured brings images as any lake has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curator.lake import open_source
from curator.types import SourceObject, Vectors
from curator.vectors import write_shard
from curator.workspace import Workspace
from curator.workspace.session import writing
from tests.bench.learning import records
from tests.bench.measures import BANK
from tests.soak.__main__ import scan
from tests.soak.lake import LivingLake

ROWS = 1000  # of a Parquet file and of its vector file
COPIES = 50  # one image in so many is nearly the one before it
CENTRES, NOISE = 200, 0.7


@dataclass(frozen=True, slots=True)
class NightCost:
    """One night: seconds, those of each stage, and peak resident memory in bytes, of the process that leads."""

    seconds: float
    stages: dict[str, float]
    peak_bytes: int
    ledger_bytes: int


def night_cost(folder: Path, *, images: int, new: int, dimension: int) -> NightCost:
    """The second of two nights in a lake of so many images. folder: does not exist yet."""
    workspace = stored_lake(folder, images=images, dimension=dimension)
    lake = folder / "lake"
    living = LivingLake(lake)
    living.night(1, 100)
    scan(workspace.layout.root, lake)
    living.night(2, new)
    summary, seconds, peak = scan(workspace.layout.root, lake)
    return NightCost(seconds, summary["stage_seconds"], peak, workspace.layout.ledger.stat().st_size)


def stored_lake(folder: Path, *, images: int, dimension: int) -> Workspace:
    """A workspace that has scanned so many images, by its records."""
    workspace = Workspace.create(folder / "workspace", labels=["red", "green"], encoder=f"fake:{dimension}")
    workspace.layout.bank_spec("base").write_text(BANK, encoding="utf-8")
    workspace.build_bank("base")
    encoder = workspace._context.encoder
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((CENTRES, dimension), np.float32)
    with writing(workspace._context, "bench", {}, needs_vectors=False) as ledger:
        ledger.record_encoder(encoder, f"fake:{dimension}")
        for number, item in enumerate(sparse_files(folder / "lake" / "before", images)):
            names = [generator.bytes(16).hex() for _ in range(ROWS)]
            file = f"{number:032x}"
            path = workspace.layout.vectors(encoder.encoder_id) / f"{file}.safetensors"
            write_shard(path, names, drawn(generator, centres), encoder_id=encoder.encoder_id)
            tables = records(names, "lake", file, encoder.encoder_id, item)
            tables["compared_file"] = {"vector_file": [file], "encoder_id": [encoder.encoder_id]}
            first, second = names[0::COPIES], names[1::COPIES]
            tables["near_duplicate"] = {
                "image_id": [min(pair) for pair in zip(first, second, strict=True)],
                "neighbour_id": [max(pair) for pair in zip(first, second, strict=True)],
                "encoder_id": [encoder.encoder_id] * len(first),
                "cosine": [0.99] * len(first),
            }
            tables["group_member"] = {
                "image_id": first + second,
                "group_id": first + first,
                "encoder_id": [encoder.encoder_id] * 2 * len(first),
                "cosine": [1.0] * len(first) + [0.99] * len(first),
            }
            ledger.database.append(**{name: ledger.columns_table(name, rows) for name, rows in tables.items()})
    return workspace


def sparse_files(folder: Path, images: int) -> Iterator[SourceObject]:
    """Files that a listing takes for Parquet files, each of `ROWS` images."""
    folder.mkdir(parents=True)
    for number in range(images // ROWS):
        path = folder / f"{number:06d}.parquet"
        path.touch()
        os.truncate(path, ROWS * 1000)
    for item in open_source(str(folder)).list():
        assert isinstance(item, SourceObject)
        yield item


def drawn(generator: np.random.Generator, centres: Vectors) -> Vectors:
    """Unit vectors (ROWS, d) around centres, some nearly the one before."""
    vectors: Vectors = centres[generator.integers(0, len(centres), ROWS)]
    vectors += NOISE * generator.standard_normal(vectors.shape, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    noise = generator.standard_normal(vectors[1::COPIES].shape, np.float32)
    vectors[1::COPIES] = vectors[0::COPIES] + noise * 0.1 / vectors.shape[1] ** 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
