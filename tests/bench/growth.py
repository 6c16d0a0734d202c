"""A night of new images in lakes of two sizes: what of it grows with the lake, by stage.

The lake is what scans of 10,000 images a night leave of it: its ledger, its vector files and the names of its Parquet
files. These are sparse; they are listed and, being unchanged, never opened. One image in fifty is nearly another one,
whose pair and group are recorded. A first night, of a few images, makes what is kept beside the vectors; the night that
is measured brings images as any lake has them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from curator.cli.plan import duration
from curator.engines.growth import WHY, Growth
from curator.lake import open_source
from curator.store import Ledger
from curator.store.ledger import utc_now
from curator.store.tables import score_table
from curator.types import SourceObject, Vectors
from curator.vectors import write_shard
from curator.workspace import Workspace
from curator.workspace.layout import Layout
from curator.workspace.session import writing
from tests.bench.joins import peak_bytes
from tests.bench.learning import records
from tests.bench.measures import BANK
from tests.soak.lake import LivingLake

NIGHT = 10_000  # images of each night before
ROWS = 1000  # of a Parquet file and of its vector file
COPIES = 50  # one image in so many is nearly the one before it
CENTRES, NOISE = 200, 0.7
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class NightCost:
    """One night: seconds in all and of each stage, and peak resident memory in bytes, of the process that leads."""

    seconds: float
    stages: dict[str, float]
    peak_bytes: int
    ledger_bytes: int


def night_costs(folder: Path, *, sizes: Sequence[int], new: int, dimension: int) -> list[NightCost]:
    """A night of so many new images in lakes of these sizes, the median of some that take turns. folder: empty."""
    lakes = {images: _Grown(folder / str(images), images, dimension) for images in sizes}
    nights: dict[int, list[NightCost]] = {images: [] for images in sizes}
    for _ in range(ROUNDS):
        for images, lake in lakes.items():
            nights[images].append(lake.night(new))
    return [_median(found) for found in nights.values()]


class _Grown:
    """A lake that has had its first night."""

    def __init__(self, folder: Path, images: int, dimension: int) -> None:
        self.workspace = stored_lake(folder, images=images, dimension=dimension)
        self.lake, self.nights = LivingLake(folder / "lake", seed=images), 0
        self.night(100)

    def night(self, new: int) -> NightCost:
        self.nights += 1
        self.lake.night(self.nights, new)
        return scanned(self.workspace.layout, self.lake.folder)


def scanned(layout: Layout, lake: Path) -> NightCost:
    """A scan in a process of its own, with its stages as its log has them; `rest` is what no stage is."""
    command = [sys.executable, "-m", "curator", "--log-format", "json", "-w", str(layout.root), "scan", str(lake)]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process, peak = subprocess.Popen([*command, "--json"], stdout=subprocess.DEVNULL, stderr=said), 0
        while process.poll() is None:
            peak = max(peak, peak_bytes(process.pid))
            time.sleep(0.05)
        seconds = time.perf_counter() - started
        said.seek(0)
        lines = said.read().decode().splitlines()
    if process.returncode:
        raise SystemExit("\n".join(lines[-3:]))
    events = [json.loads(line) for line in lines]
    stages = {event["stage"]: event["seconds"] for event in events if event.get("event") == "stage"}
    stages["rest"] = seconds - sum(stages.values())
    return NightCost(seconds, stages, peak, layout.ledger.stat().st_size)


def _median(nights: Sequence[NightCost]) -> NightCost:
    stages = {name: statistics.median(night.stages[name] for night in nights) for name in nights[0].stages}
    return NightCost(
        statistics.median(night.seconds for night in nights),
        stages,
        max(night.peak_bytes for night in nights),
        nights[-1].ledger_bytes,
    )


def table(growth: Growth) -> list[str]:
    """The rows of docs/scaling-out.md: what grows with the lake, as measured and beyond."""
    small, large = growth.images
    rows = [
        f"| stage | what it does with the lake | {small:,} | {large:,} | 10 million | 100 million | 1 billion |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (first, second) in growth.seconds.items():
        beyond = [duration(growth.of(name, 10.0**power)) for power in (7, 8, 9)]
        rows.append(f"| `{name}` | {WHY[name]} | {' | '.join([duration(first), duration(second), *beyond])} |")
    return rows


def stored_lake(folder: Path, *, images: int, dimension: int) -> Workspace:
    """A workspace that has scanned so many images, by its records."""
    workspace = Workspace.create(folder / "workspace", labels=["red", "green"], encoder=f"fake:{dimension}")
    workspace.layout.bank_spec("base").write_text(BANK, encoding="utf-8")
    workspace.build_bank("base")
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((CENTRES, dimension), np.float32)
    with writing(workspace._context, "bench", {}, needs_vectors=False) as ledger:
        records = Records(workspace, ledger)
        for number, item in enumerate(sparse_files(folder / "lake" / "before", images)):
            if number % (NIGHT // ROWS) == 0:
                records.begin_night(images // NIGHT - number // (NIGHT // ROWS))
            names = [generator.bytes(16).hex() for _ in range(ROWS)]
            file = f"{number:032x}"
            path = workspace.layout.vectors(records.encoder_id) / f"{file}.safetensors"
            write_shard(path, names, drawn(generator, centres), encoder_id=records.encoder_id)
            records.add(item, names, file, generator)
    return workspace


class Records:
    """The rows that nights leave."""

    def __init__(self, workspace: Workspace, ledger: Ledger) -> None:
        context = workspace._context
        encoder = context.encoder
        ledger.record_encoder(encoder, context.config.encoder.address)
        self.ledger, self.encoder_id, self.run_id = ledger, encoder.encoder_id, ""
        self.bank = context.bank_for(ledger, "base", encoder_id=encoder.encoder_id)
        self.method = context.scorer(self.bank, database=ledger.database).method
        self.vocabulary = context.namer(self.bank).digest

    def begin_night(self, days_ago: int) -> None:
        """A run of its own."""
        started = utc_now() - timedelta(days=days_ago)
        row = self.ledger.database.row("list_runs") or {}
        number = self.ledger.database.table("list_run_ids").num_rows + 1
        self.run_id = f"{started:%Y%m%dT%H%M%S}-bench"
        run = {**row, "run_id": self.run_id, "command": "scan", "status": "done", "started_at": started}
        run |= {"finished_at": started, "run_number": number, "process_id": 1, "arguments": "{}"}
        self.ledger.add(run=[run])

    def add(self, item: SourceObject, names: list[str], file: str, generator: np.random.Generator) -> None:
        """One Parquet file, its images and what is known of them."""
        tables = records(names, "lake", file, self.encoder_id, item)
        same, count = {"encoder_id": [self.encoder_id]}, len(names)
        first, second = names[0::COPIES], names[1::COPIES]
        tables["compared_file"] = {"vector_file": [file], **same}
        tables["near_duplicate"] = {
            "image_id": [min(pair) for pair in zip(first, second, strict=True)],
            "neighbour_id": [max(pair) for pair in zip(first, second, strict=True)],
            "encoder_id": same["encoder_id"] * len(first),
            "cosine": [0.99] * len(first),
        }
        tables["group_member"] = {
            "image_id": first + second,
            "group_id": first + first,
            "encoder_id": same["encoder_id"] * 2 * len(first),
            "cosine": [1.0] * len(first) + [0.99] * len(first),
        }
        tables["image_name"] = {
            "image_id": list(names),
            "encoder_id": same["encoder_id"] * count,
            "vocabulary": [self.vocabulary] * count,
            "name": [f"thing {number}" for number in generator.integers(0, 500, count).tolist()],
            "margin": generator.random(count).tolist(),
        }
        log_odds = 2 + generator.standard_normal(count)  # one in fifty is flagged
        columns = {
            "id_score": 1 / (1 + np.exp(-log_odds)),
            "log_odds": log_odds,
            "id_label": generator.integers(0, self.bank.id_count, count, dtype=np.int32),
            "id_cosine": generator.random(count, dtype=np.float32),
            "negative_label": generator.integers(self.bank.id_count, len(self.bank.labels), count, dtype=np.int32),
            "negative_cosine": generator.random(count, dtype=np.float32),
        }
        scoring = {"encoder_id": self.encoder_id, "bank_digest": self.bank.digest, "method_id": self.method.method_id}
        score = score_table(names, columns, **scoring, run_id=self.run_id)
        rows = {
            name: self.ledger.columns_table(name, {**table, "run_id": [self.run_id] * len(next(iter(table.values())))})
            for name, table in tables.items()
        }
        self.ledger.database.append(**rows, score=score)


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
