"""What the stages of a scan cost on this machine, each measured alone on images of the sources that are planned for.

Writes nothing but a folder of its own inside the workspace, which is gone at the end.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np

from curator.engines.cost_model import StageCosts
from curator.engines.decode_pool import Decoded, DecodePool
from curator.engines.known import KnownContents
from curator.engines.local import LocalEngine
from curator.lake import content_id, open_source, plan_shards, read_shard
from curator.store import Database, Ledger, publish_snapshot
from curator.store.migrate import migrate
from curator.types import Datum, Encoder, ImageFacts, NewImage, Pixels, Seen, Shard, ShardOutcome, SourceObject, Vectors
from curator.vectors import at_rest
from curator.workspace.context import Context
from curator.workspace.judge.scoring import Scorer
from curator.workspace.scan.commit import ShardCommitter
from curator.workspace.scan.engine import decode_workers, open_pool

PLACES = 8  # of the lake that the sample is taken from
SHARD_IMAGES = 1024  # of the shards whose commit is measured
SHARDS = 4
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """Some images of a lake, read and decoded; what that took is in seconds of one core for a datum."""

    count: int
    pixels: Pixels
    facts: tuple[ImageFacts, ...]
    read: float
    decode: float
    hand_on: float
    mean_bytes: float

    @property
    def reject_share(self) -> float:
        return 1 - len(self.facts) / self.count if self.count else 0.0


def take_sample(context: Context, objects: Sequence[SourceObject], wanted: int) -> Sample:
    """Read and decode about `wanted` images from all over the objects."""
    started = time.perf_counter()
    count, data = 0, []
    for shard in _sample_shards(objects, wanted):
        for item in islice(read_shard(shard, options=context.read_options), -(-wanted // PLACES)):
            count += 1
            if isinstance(item, Datum):
                content_id(item.data)
                data.append(item.data)
    read = time.perf_counter() - started
    preprocess = context.encoder.preprocess
    limit = context.config.decode.memory_limit_bytes
    with DecodePool(workers=1, preprocess=preprocess, options=context.decode_options, memory_limit_bytes=limit) as pool:
        batch = pool.submit(data).result()
    good = [item for item in batch.items if isinstance(item, Decoded)]
    empty = np.zeros((0, preprocess.size, preprocess.size, 3), np.uint8)
    return Sample(
        count=count,
        pixels=np.stack([item.pixels for item in good]) if good else empty,
        facts=tuple(item.facts for item in good),
        read=read / max(count, 1),
        decode=batch.cpu_seconds / max(count, 1),
        hand_on=_hand_on(context, data),
        mean_bytes=sum(map(len, data)) / max(len(data), 1),
    )


@dataclass(frozen=True, slots=True)
class _FreeEncoder:
    """Costs nothing, so that what is left is the process that leads."""

    of: Encoder

    def __getattr__(self, name: str) -> object:
        return getattr(self.of, name)

    def encode_images(self, pixels: Pixels) -> Vectors:
        return np.zeros((len(pixels), self.of.dimension), np.float32)


def _hand_on(context: Context, data: Sequence[bytes]) -> float:
    """Processor seconds of this process for an image that others read and decode, from loose files to a shard."""
    with tempfile.TemporaryDirectory(prefix=".plan-", dir=context.layout.root) as folder:
        for number, content in enumerate(data):
            (Path(folder) / f"{number:06d}.png").write_bytes(content)
        found = [item for item in open_source(folder).list() if isinstance(item, SourceObject)]
        with open_pool(context, context.encoder.preprocess) as pool:
            engine = LocalEngine(cast(Encoder, _FreeEncoder(context.encoder)), pool, read=context.read_options)
            shards = list(plan_shards(found, files_per_shard=SHARD_IMAGES))
            for _ in range(2):  # once to warm up
                started = time.process_time()
                count = sum(len(outcome.data) for outcome in engine.run(shards, known=KnownContents()))
            return (time.process_time() - started) / max(count, 1)


def _sample_shards(objects: Sequence[SourceObject], wanted: int) -> Iterator[Shard]:
    """Runs of loose files from all over the lake, and some of its containers."""
    files = [item for item in objects if item.kind == "file"]
    containers = [item for item in objects if item.kind != "file"]
    chosen = [*_spread(files, wanted), *_spread(containers, PLACES)]
    seen: set[str] = set()
    for shard in plan_shards(chosen, files_per_shard=-(-wanted // PLACES)):
        if shard.kind != "parquet" or shard.objects[0].uri not in seen:  # one row group of each file
            seen.add(shard.objects[0].uri)
            yield shard


def _spread(items: Sequence[SourceObject], count: int) -> Sequence[SourceObject]:
    return items[:: max(1, len(items) // count)][:count]


def measure_costs(context: Context, scorer: Scorer, sample: Sample, *, list_object: float, images: float) -> StageCosts:
    """All costs; the sample must hold an image. images: of an object, on average."""
    encode, vectors = _encoding(context, sample.pixels)
    on_gpu = context.encoder_device.startswith("cuda")
    with tempfile.TemporaryDirectory(prefix=".plan-", dir=context.layout.root) as folder:
        commit, publish, vector_bytes, ledger_bytes = _at_rest(Path(folder), sample, scorer, vectors)
    return StageCosts(
        list_object=list_object,
        read=sample.read,
        decode=sample.decode,
        encode=encode,
        encode_cores=0 if on_gpu else decode_workers(-1),
        score=_median(lambda: scorer.score([""] * len(vectors), vectors)) * decode_workers(-1) / len(vectors),
        commit=commit,
        hand_on=sample.hand_on,
        publish=publish,
        object_images=images,
        source_bytes=sample.mean_bytes,
        vector_bytes=vector_bytes,
        ledger_bytes=ledger_bytes,
        reject_share=sample.reject_share,
    )


def _encoding(context: Context, pixels: Pixels) -> tuple[float, Vectors]:
    """Seconds for an image in a full batch, and vectors of unit norm for a shard."""
    encoder = context.encoder
    batch = pixels[np.arange(encoder.batch_size) % len(pixels)]
    vectors = encoder.encode_images(batch)  # warm
    seconds = _median(lambda: encoder.encode_images(batch)) / len(batch)
    return seconds, vectors[np.arange(SHARD_IMAGES) % len(vectors)]


def _at_rest(folder: Path, sample: Sample, scorer: Scorer, vectors: Vectors) -> tuple[float, float, float, float]:
    """Commit shards into a ledger of its own: seconds an image and to publish a byte; bytes of vectors and of rows."""
    ledger_file = folder / "ledger.duckdb"
    with Database.open(ledger_file) as database:
        migrate(database)
        ledger = Ledger(database, "plan")
        ledger.begin("plan", {})
        committer = ShardCommitter(ledger, scorer, None, folder, "lake", frozenset(), scorer.bank.encoder_id)
        outcomes = [_outcome(number, sample, scorer, vectors) for number in range(SHARDS + 1)]
        committer.commit(outcomes[0])  # warm
        database.execute("checkpoint")
        before = ledger_file.stat().st_size
        started = time.perf_counter()
        for outcome in outcomes[1:]:
            committer.commit(outcome)
        seconds = time.perf_counter() - started
        database.execute("checkpoint")
    size = ledger_file.stat().st_size
    started = time.perf_counter()
    publish_snapshot(ledger_file, folder / "snapshot.duckdb")
    publish = (time.perf_counter() - started) / size
    vector_size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    images = SHARD_IMAGES * SHARDS
    return seconds / images, publish, vector_size / (images + SHARD_IMAGES), (size - before) / images


def _outcome(number: int, sample: Sample, scorer: Scorer, vectors: Vectors) -> ShardOutcome:
    """A shard of images that are each its own content, with its scores, as workers of a cluster give it."""
    ids = [content_id(f"{number}/{place}".encode()) for place in range(SHARD_IMAGES)]
    objects = tuple(SourceObject(f"/lake/{image_id}.jpg", "", "file", 0, "1") for image_id in ids)
    shard = Shard(content_id(ids[0].encode()), "file", objects, None, objects)
    size = round(sample.mean_bytes)
    outcome = ShardOutcome(shard, [Seen(item.uri, item.uri, None, None, size, None, image_id, True, True)
                                   for item, image_id in zip(objects, ids, strict=True)])  # fmt: skip
    facts = sample.facts
    outcome.images = [NewImage(image_id, size, facts[place % len(facts)]) for place, image_id in enumerate(ids)]
    outcome.vectors = vectors
    outcome.scores = scorer.score_rows(ids, at_rest(vectors), run_id="plan")
    return outcome


def _median(work: Callable[[], object]) -> float:
    """Seconds that work takes, the median of a few rounds."""

    def seconds() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return statistics.median(seconds() for _ in range(ROUNDS))
