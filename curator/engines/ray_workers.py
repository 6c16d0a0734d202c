"""The workers on the machines of a Ray cluster: decoders and encoders, of the same stages as the local engine.

    ShardDecoder (one core) ── decoded chunks ──▶ ShardEncoder (a GPU, or some cores) ── EncodedShard ──▶ driver

Pixels go from a decoder to its encoder and never through the driver. The stream is bounded, so a decoder that is
faster than its encoder waits, and memory stays flat. Both can be lost at any time: they hold nothing that is not
made again from the shard.

Images are decoded in the same confined processes as on one machine. Ray itself pickles what the members of a cluster
say to each other, so all of them must be trusted; bytes of images are never unpickled.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import pyarrow as pa

from curator.decode import DecodeOptions
from curator.encoders import EncoderOptions, load_encoder
from curator.engines.batches import Encoding
from curator.engines.chunks import Chunk, shard_chunks
from curator.engines.decode_pool import DecodedBatch, DecodePool, PendingBatch
from curator.engines.known import IdTable, KnownContents
from curator.engines.stages import EncodedShard, ShardBuilder
from curator.errors import EngineError
from curator.lake import PassedOver, ReadOptions
from curator.types import Preprocess, Reject, Seen, Shard, Vectors
from curator.vectors import at_rest
from curator.version import VERSION

SHARDS_AT_ONCE = 64  # that gather a batch at an encoder; others wait
CHUNKS_AHEAD = 4  # decoded before the encoder asks for them; as many again wait in the stream

ScoreRows: TypeAlias = Callable[[Sequence[str], Vectors], pa.Table]
DecodedChunk: TypeAlias = tuple[list[Seen | Reject], PassedOver, DecodedBatch]


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker must know to do a shard as the driver would.

    score: rows of scores for vectors as a file gives them back, (n, d), in the order of the image ids.
    """

    encoder: EncoderOptions
    encoder_id: str
    preprocess: Preprocess
    decode: DecodeOptions
    read: ReadOptions
    memory_limit_bytes: int
    score: ScoreRows | None = None


@dataclass(frozen=True, slots=True)
class RayJob:
    """What a run shares with its workers: references to one copy a node, which the driver keeps alive.

    Workers get it with every call, so one that is started anew, anywhere, needs nothing of the one before.
    setup: of a WorkerSetup. known: of an IdTable.
    """

    setup: Any
    known: Any


class ShardDecoder:
    """Reads shards, recognises their contents and decodes the new ones, in one confined process."""

    def ready(self, job: RayJob) -> str:
        """Fetch what the run shares. The node it runs on."""
        _started_pool(job)
        return check_node()

    def decode(self, shard: Shard, job: RayJob) -> Iterator[DecodedChunk]:
        """The chunks of a shard in order. What other shards of this run hold is not known here: `settle` drops it."""
        setup, known, pool = *_fetched(job), _started_pool(job)
        waiting: deque[tuple[Chunk, PendingBatch]] = deque()
        for chunk in shard_chunks(shard, KnownContents(known), setup.read):
            waiting.append((chunk, pool.submit_parcel(chunk.parcel, chunk.fresh)))
            if len(waiting) > CHUNKS_AHEAD:
                yield from _finished(*waiting.popleft())
        while waiting:
            yield from _finished(*waiting.popleft())


def _finished(chunk: Chunk, pending: PendingBatch) -> Iterator[DecodedChunk]:
    batch = pending.result()
    yield chunk.data, chunk.passed, DecodedBatch(batch.outcomes, batch.pixels, batch.cpu_seconds)
    batch.release()  # it was copied into the stream


class ShardEncoder:
    """Encodes and scores the shards that decoders stream to it: several at a time, so that it need not wait for one."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def ready(self, job: RayJob) -> str:
        """Load the weights. The node it runs on."""
        self._encoding(job)
        return check_node()

    def encode(self, shard: Shard, decoder: Any, job: RayJob) -> EncodedShard:
        """Encode one shard, whose chunks the decoder sends, and score its vectors."""
        import ray

        score, encoding = _fetched(job)[0].score, self._encoding(job)
        builder = ShardBuilder(shard, encoding, failed={})
        stream = decoder.decode.options(num_returns="streaming", _generator_backpressure_num_objects=CHUNKS_AHEAD)
        for chunk in stream.remote(shard, job):
            builder.add(*ray.get(chunk))
        builder.close()
        encoded = builder.result()
        if score is not None and encoded.image_ids:
            encoded.scores = encoding.run(score, encoded.image_ids, at_rest(encoded.vectors)).result()
        return encoded

    def _encoding(self, job: RayJob) -> Encoding:
        with self._turn:  # one thread loads the weights, the others wait for them
            return _started_encoding(job)


@lru_cache(maxsize=1)
def _fetched(job: RayJob) -> tuple[WorkerSetup, IdTable]:
    import ray

    return ray.get(job.setup), ray.get(job.known)


@lru_cache(maxsize=1)
def _started_pool(job: RayJob) -> DecodePool:
    setup, _ = _fetched(job)
    limit = setup.memory_limit_bytes
    return DecodePool(
        workers=1,
        preprocess=setup.preprocess,
        options=setup.decode,
        memory_limit_bytes=limit,
        slots=CHUNKS_AHEAD + 2,
    )


@lru_cache(maxsize=1)
def _started_encoding(job: RayJob) -> Encoding:
    setup, _ = _fetched(job)
    encoder = load_encoder(setup.encoder)
    if encoder.encoder_id != setup.encoder_id:
        raise EngineError(
            f"a node of the cluster has other weights: {encoder.encoder_id}, not {setup.encoder_id}",
            hint="bring the same weights and the same versions of packages to every node",
        )
    return Encoding(encoder, buffers=SHARDS_AT_ONCE)


def check_node() -> str:
    """This node and the version of curator on it: `<node id>/<version>`."""
    import ray

    return f"{ray.get_runtime_context().get_node_id()}/{VERSION}"
