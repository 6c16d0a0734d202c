"""The single measurements behind `make bench`."""

from __future__ import annotations

import io
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
from PIL import Image

from curator.decode import DecodeOptions, prepare
from curator.demo import photographs_folder
from curator.encoders import EncoderOptions, load_encoder
from curator.types import Encoder, Preprocess
from curator.workspace import Workspace

PHOTOGRAPHS = (
    "chelsea.png",
    "coffee.png",
    "astronaut.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
)
BANK = """\
name = "base"
[id]
labels = "labels.txt"
[negatives.wordnet]
include = ["noun.artifact"]
[mining]
method = "neglabel"
"""


@dataclass(frozen=True, slots=True)
class ScanShare:
    """A scan against the ideal: both decode and encode at their own best, all cores always busy, and nothing else."""

    scanned: float  # images/s
    decode_ms: float  # of one core, for an image
    encode_ms: float  # of all cores, for an image
    share: float
    alone_ms: float  # processor time of both by themselves, for an image
    whole_ms: float  # processor time of the scan and all that it starts, for an image
    few_seconds: float  # of a scan of ten images: what any scan takes


def photographs(count: int, *, size: tuple[int, int] = (640, 480)) -> Iterator[bytes]:
    """JPEGs cut from real photographs at seeded places, each another content."""
    generator = np.random.default_rng(0)
    sources = [Image.open(photographs_folder() / name).convert("RGB").resize((900, 700)) for name in PHOTOGRAPHS]
    for number in range(count):
        left, top = int(generator.integers(0, 900 - size[0])), int(generator.integers(0, 700 - size[1]))
        part = sources[number % len(sources)].crop((left, top, left + size[0], top + size[1]))
        part.putpixel((0, 0), (number & 255, number >> 8 & 255, 0))
        buffer = io.BytesIO()
        part.save(buffer, "JPEG", quality=88)
        yield buffer.getvalue()


def scan_share(folder: Path, address: str, images: int) -> ScanShare:
    """Measure decode and encode by themselves, before and after a whole scan of the same images."""
    lake = folder / "lake"
    lake.mkdir(parents=True)
    contents = list(photographs(images))
    for number, data in enumerate(contents):
        (lake / f"{number:06d}.jpg").write_bytes(data)
    workspace = Workspace.create(folder / "workspace", labels=["cat", "cup of coffee", "person"], encoder=address)
    workspace.layout.bank_spec("base").write_text(BANK)
    workspace.scan(lake / "000000.jpg")  # loads the encoder and builds the bank: a night does that once
    encoder = workspace._context.encoder
    sample = contents[: max(256, 2 * encoder.batch_size)]
    before = decode_seconds(sample, encoder.preprocess), *encode_seconds(sample, encoder)
    few = folder / "few"
    few.mkdir()
    for number in range(10):
        (few / f"{number}.jpg").write_bytes(contents[number] + b"few")
    started = time.perf_counter()
    workspace.scan(few)
    few_seconds = time.perf_counter() - started
    started, spent = time.perf_counter(), os.times()
    summary = workspace.scan(lake)
    seconds = (time.perf_counter() - started) / summary.data_read
    whole = sum(os.times()[:4]) - sum(spent[:4])
    after = decode_seconds(sample, encoder.preprocess), *encode_seconds(sample, encoder)
    decode, encode, spent_encoding = (statistics.mean(pair) for pair in zip(before, after, strict=True))
    ideal = decode / len(os.sched_getaffinity(0)) + encode
    return ScanShare(
        1 / seconds,
        1e3 * decode,
        1e3 * encode,
        ideal / seconds,
        1e3 * (decode + spent_encoding),
        1e3 * whole / summary.data_read,
        few_seconds,
    )


def decode_seconds(contents: list[bytes], preprocess: Preprocess) -> float:
    """Seconds of one core to make an image ready, the median of three."""
    options = DecodeOptions()
    times = []
    for _ in range(3):
        started = time.process_time()
        for data in contents:
            prepare(data, preprocess, options)
        times.append((time.process_time() - started) / len(contents))
    return statistics.median(times)


def decode_seconds_at_once(files: list[Path], preprocess: Preprocess) -> float:
    """The same of a core while all others decode as well, each its share of the files, out of memory."""
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(cores) as pool:
        all_ready = manager.Barrier(cores)
        shares = [(files[number::cores], preprocess, all_ready) for number in range(cores)]
        return statistics.mean(pool.starmap(_decode_share, shares, chunksize=1))


def _decode_share(files: list[Path], preprocess: Preprocess, all_ready: Barrier) -> float:
    contents = [path.read_bytes() for path in files]
    all_ready.wait()
    return decode_seconds(contents, preprocess)


def encode_seconds(contents: list[bytes], encoder: Encoder) -> tuple[float, float]:
    """Seconds of all cores to encode an image, in full batches, and of processor time: medians of three."""
    pixels = np.stack([prepare(data, encoder.preprocess, DecodeOptions())[0] for data in contents])
    encoder.encode_images(pixels[: encoder.batch_size])
    times, spent = [], []
    for _ in range(3):
        started, before = time.perf_counter(), time.process_time()
        encoder.encode_images(pixels)
        times.append((time.perf_counter() - started) / len(pixels))
        spent.append((time.process_time() - before) / len(pixels))
    return statistics.median(times), statistics.median(spent)


def precision_rates(address: str, *, images: int) -> dict[str, float]:
    """Images a second by dtype, measured in turns."""
    encoders = {dtype: load_encoder(EncoderOptions(address, dtype=dtype)) for dtype in ("float32", "bfloat16")}
    size = next(iter(encoders.values())).preprocess.size
    pixels = np.random.default_rng(0).integers(0, 256, (images, size, size, 3), dtype=np.uint8)
    best = dict.fromkeys(encoders, 0.0)
    for _ in range(3):
        for dtype, encoder in encoders.items():
            started = time.perf_counter()
            encoder.encode_images(pixels)
            best[dtype] = max(best[dtype], images / (time.perf_counter() - started))
    return best


def ledger_rows_per_second(folder: Path, *, rows: int, batch: int = 100_000) -> float:
    """Score rows a second into a ledger file, checkpoint included."""
    from curator.store import Database
    from curator.store.migrate import migrate
    from curator.store.tables import score_table

    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    tables = []
    for start in range(0, rows, batch):
        columns = {
            "id_score": generator.random(batch),
            "log_odds": generator.standard_normal(batch),
            "id_label": generator.integers(0, 1000, batch, dtype=np.int32),
            "id_cosine": generator.random(batch, dtype=np.float32),
            "negative_label": generator.integers(0, 10_000, batch, dtype=np.int32),
            "negative_cosine": generator.random(batch, dtype=np.float32),
        }
        names = [f"{number:032x}" for number in range(start, start + batch)]
        tables.append(
            score_table(names, columns, encoder_id="e@1", bank_digest="b" * 32, method_id="neglabel()", run_id="r")
        )
    with Database.open(folder / "ledger.duckdb") as database:
        migrate(database)
        started = time.perf_counter()
        for table in tables:
            database.append(score=table)
        database.execute("checkpoint")
        return rows / (time.perf_counter() - started)


def listing_seconds(folder: Path, *, objects: int) -> float:
    """Seconds of a scan that finds everything unchanged."""
    lake = folder / "lake"
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    for number in range(objects):
        path = lake / f"{number // 1000:03d}" / f"{number:06d}.png"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(buffer.getvalue())
    workspace = Workspace.create(folder / "workspace", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(BANK)
    workspace.scan(lake)
    again = Workspace.open(workspace.layout.root)
    started = time.perf_counter()
    summary = again.scan(lake)
    seconds = time.perf_counter() - started
    assert summary.data_read == 0, summary
    assert summary.listings[0].objects_unchanged == objects, summary
    return seconds


@dataclass(frozen=True, slots=True)
class SearchRate:
    """How fast and how well an index searches."""

    recipe: str
    rate: float  # queries/s
    recall: float  # at 10, against exact search


def mixture(count: int, dimension: int, *, centres: int = 200) -> np.ndarray:
    """Unit vectors around seeded centres, (count, dimension) float32: clusters, as embeddings have them."""
    generator = np.random.default_rng(0)
    middle = generator.standard_normal((centres, dimension)).astype(np.float32)
    vectors = middle[generator.integers(0, centres, count)]
    vectors += 0.7 * generator.standard_normal((count, dimension), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def faiss_rates(*, count: int, dimension: int, recipes: tuple[str, ...]) -> list[SearchRate]:
    """Search rates through the door, exact cosines included, by recipe over the same vectors and queries."""
    from curator.vectors import LabelCollection, Neighbours, load_recipe
    from curator.vectors.faiss_index import FaissIndex
    from tests.vectors.recall import recall_at_k

    vectors = mixture(count + 2000, dimension)
    collection, queries = LabelCollection(vectors[:count], "bench"), vectors[count:]
    exact = Neighbours(collection, FaissIndex.build(collection, load_recipe("flat")))
    found = []
    for name in recipes:
        neighbours = Neighbours(collection, FaissIndex.build(collection, load_recipe(name)))
        neighbours.nearest(queries[:100], 10)
        started = time.perf_counter()
        neighbours.nearest(queries, 10)
        rate = len(queries) / (time.perf_counter() - started)
        found.append(SearchRate(name, rate, recall_at_k(neighbours, exact, queries, 10)))
    return found
