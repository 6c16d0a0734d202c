"""The local engine: a reading thread, decode processes, and the encoder in the calling thread.

    reader thread ── chunks of bytes ──▶ decode pool ── pixels ──▶ encode ── vectors ──▶ score ──▶ ShardOutcome

Order is kept from end to end, and a batch for the encoder never spans two shards. So which images share a batch, and
with it every bit of every score, depends on the shard alone and not on timing or on where an earlier run was killed.
The queue between reader and encoder is bounded; memory does not grow with the lake.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.engines.decode_pool import DecodedBatch, DecodeFault, DecodePool, PendingBatch
from curator.lake import ReadOptions, read_shard
from curator.types import Datum, Encoder, ImageFacts, Pixels, Reject, RejectStage, Shard, Vectors

CHUNK_IMAGES = 16  # data a decode task; large enough that hand-over costs little, small enough to spread over workers
CHUNK_BYTES = 8 << 20
WINDOW_CHUNKS = 64  # decoded together, and as many read ahead

Progress = Callable[[int, int], None]  # data and bytes done since the last call


def content_id(data: bytes) -> str:
    """The id of a content: the first 32 hex digits of the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Seen:
    """A datum without its bytes. `fresh` marks the first time that this run meets the content."""

    uri: str
    object_uri: str
    member: str | None
    byte_offset: int | None
    byte_size: int
    source_label: str | None
    image_id: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class NewImage:
    """A content that got its vector in this shard."""

    image_id: str
    byte_size: int
    facts: ImageFacts


@dataclass(slots=True)
class ShardOutcome:
    """What became of every datum of a shard, in order, and the vectors of its new images, (n, d), in their order."""

    shard: Shard
    data: list[Seen | Reject]
    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    rejects: list[tuple[Reject, str | None]] = field(default_factory=list)  # with the content's id where it is known
    images: list[NewImage] = field(default_factory=list)
    duplicate_count: int = 0
    decoded_count: int = 0
    byte_count: int = 0
    decode_seconds: float = 0.0
    encode_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a content became a reject."""

    stage: RejectStage
    reason: str
    detail: str

    def of(self, item: Seen) -> Reject:
        """The reject of one location of the content."""
        return Reject(
            item.uri,
            item.object_uri,
            self.stage,
            self.reason,
            self.detail,
            item.member,
            item.byte_offset,
            item.byte_size,
        )


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A run of data of one shard: what was seen, the bytes of the fresh ones, and whether it closes the shard."""

    shard: Shard
    data: list[Seen | Reject]
    fresh: list[bytes]
    last: bool


_Decoded: TypeAlias = tuple[_Chunk, DecodedBatch]


class LocalEngine:
    """Runs shards through read, decode and encode on this machine."""

    def __init__(self, encoder: Encoder, pool: DecodePool, *, read: ReadOptions) -> None:
        self._encoder = encoder
        self._pool = pool
        self._read = read

    def run(
        self, shards: Iterable[Shard], *, known: set[bytes], progress: Progress | None = None
    ) -> Iterator[ShardOutcome]:
        """Yield one outcome for each shard, in order.

        known: ids (16 bytes) of contents that have a vector of this encoder; they are not decoded again. The engine
        adds the contents it meets. progress: called as data pass the encoder.
        """
        builders = _Builders(self._encoder, progress)
        windows = _windows(self._chunks(shards, known))
        pending = self._submit(next(windows, None))
        while pending:
            decoded = _finished(pending)
            pending = self._submit(next(windows, None))  # decoded while this window is encoded and written
            yield from builders.add(decoded)

    def _submit(self, window: list[_Chunk] | None) -> list[tuple[_Chunk, PendingBatch]]:
        return [(chunk, self._pool.submit(chunk.fresh)) for chunk in window or []]

    def _chunks(self, shards: Iterable[Shard], seen: set[bytes]) -> Iterator[_Chunk]:
        """Chunks in order, read ahead by a thread. Closing the generator stops the thread."""
        chunks: queue.Queue[_Chunk | BaseException | None] = queue.Queue(WINDOW_CHUNKS)
        stop = threading.Event()
        reader = threading.Thread(
            target=self._read_ahead, args=(shards, seen, chunks, stop), name="curator-reader", daemon=True
        )
        reader.start()
        try:
            while (item := chunks.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            while reader.is_alive():  # a reader that waits for room in the queue sees `stop` once there is some
                try:
                    chunks.get(timeout=0.05)
                except queue.Empty:
                    continue

    def _read_ahead(
        self,
        shards: Iterable[Shard],
        seen: set[bytes],
        chunks: queue.Queue[_Chunk | BaseException | None],
        stop: threading.Event,
    ) -> None:
        try:
            for shard in shards:
                for chunk in self._shard_chunks(shard, seen):
                    if stop.is_set():
                        return
                    chunks.put(chunk)
            chunks.put(None)
        except BaseException as fault:  # carried to the consumer, which raises it
            chunks.put(fault)

    def _shard_chunks(self, shard: Shard, seen: set[bytes]) -> Iterator[_Chunk]:
        data: list[Seen | Reject] = []
        fresh: list[bytes] = []
        size = 0
        for item in read_shard(shard, options=self._read):
            if isinstance(item, Reject):
                data.append(item)
            else:
                entry = self._recognise(item, seen)
                data.append(entry)
                if entry.fresh:
                    fresh.append(item.data)
                    size += len(item.data)
            if len(data) >= CHUNK_IMAGES or size >= CHUNK_BYTES:
                yield _Chunk(shard, data, fresh, last=False)
                data, fresh, size = [], [], 0
        yield _Chunk(shard, data, fresh, last=True)

    @staticmethod
    def _recognise(datum: Datum, seen: set[bytes]) -> Seen:
        image_id = content_id(datum.data)
        key = bytes.fromhex(image_id)
        fresh = key not in seen
        seen.add(key)
        return Seen(
            datum.uri,
            datum.object_uri,
            datum.member,
            datum.byte_offset,
            len(datum.data),
            datum.source_label,
            image_id,
            fresh,
        )


def _windows(chunks: Iterator[_Chunk]) -> Iterator[list[_Chunk]]:
    """Runs of chunks that are decoded together; none spans two shards."""
    window: list[_Chunk] = []
    for chunk in chunks:
        window.append(chunk)
        if chunk.last or len(window) == WINDOW_CHUNKS:
            yield window
            window = []


def _finished(window: Sequence[tuple[_Chunk, PendingBatch]]) -> list[_Decoded]:
    """Wait for all chunks of a window. Their bytes are not needed any more."""
    decoded = [(chunk, pending.result()) for chunk, pending in window]
    for chunk, _ in decoded:
        chunk.fresh.clear()
    return decoded


class _Builders:
    """Brings decoded windows to the builder of their shard."""

    def __init__(self, encoder: Encoder, progress: Progress | None) -> None:
        self._encoder = encoder
        self._progress = progress
        self._failed: dict[str, Fault] = {}
        self._open: _Builder | None = None

    def add(self, window: Sequence[_Decoded]) -> list[ShardOutcome]:
        """Encode what has come; the outcomes of the shards that are closed by it."""
        outcomes = []
        for chunk, batch in window:
            self._open = self._open or _Builder(chunk.shard, self._encoder, self._failed)
            self._open.add(chunk, batch)
            if self._progress:
                self._progress(len(chunk.data), sum(item.byte_size or 0 for item in chunk.data))
            if chunk.last:
                outcomes.append(self._open.finish())
                self._open = None
        return outcomes


class _Builder:
    """Gathers the chunks of one shard; what became of each datum is settled once all of them are encoded."""

    def __init__(self, shard: Shard, encoder: Encoder, failed: dict[str, Fault]) -> None:
        self._shard = shard
        self._encoder = encoder
        self._failed = failed  # by image id, over all shards: a copy of a bad image fails for the same reason
        self._data: list[Seen | Reject] = []
        self._facts: dict[str, ImageFacts] = {}
        self._waiting: list[tuple[str, Pixels]] = []
        self._vectors: dict[str, Vectors] = {}
        self._decode_seconds = 0.0
        self._encode_seconds = 0.0

    def add(self, chunk: _Chunk, batch: DecodedBatch) -> None:
        self._data += chunk.data
        self._decode_seconds += batch.cpu_seconds
        fresh = (item for item in chunk.data if isinstance(item, Seen) and item.fresh)
        for item, result in zip(fresh, batch.items, strict=True):
            if isinstance(result, DecodeFault):
                self._failed[item.image_id] = Fault("decode", result.reason, result.detail)
            else:
                self._facts[item.image_id] = result.facts
                self._waiting.append((item.image_id, result.pixels))
        while len(self._waiting) >= self._encoder.batch_size:
            self._encode(self._encoder.batch_size)

    def _encode(self, count: int) -> None:
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        started = time.perf_counter()
        vectors = self._encoder.encode_images(np.stack([pixels for _, pixels in batch]))
        self._encode_seconds += time.perf_counter() - started
        finite: NDArray[np.bool_] = np.all(np.isfinite(vectors), axis=1)
        for (image_id, _), vector, good in zip(batch, vectors, finite, strict=True):
            if good:
                self._vectors[image_id] = vector
            else:
                self._failed[image_id] = Fault("encode", "not_finite", "the encoder gave no finite vector for it")

    def finish(self) -> ShardOutcome:
        if self._waiting:
            self._encode(len(self._waiting))
        outcome = ShardOutcome(self._shard, self._data, decode_seconds=self._decode_seconds)
        outcome.encode_seconds = self._encode_seconds
        for item in self._data:
            self._settle(item, outcome)
        vectors = [self._vectors[image.image_id] for image in outcome.images]
        outcome.vectors = np.stack(vectors) if vectors else np.zeros((0, self._encoder.dimension), np.float32)
        return outcome

    def _settle(self, item: Seen | Reject, outcome: ShardOutcome) -> None:
        if isinstance(item, Reject):
            outcome.rejects.append((item, None))
            return
        outcome.byte_count += item.byte_size
        outcome.decoded_count += item.fresh
        if fault := self._failed.get(item.image_id):
            outcome.rejects.append((fault.of(item), item.image_id))
        elif item.fresh:
            outcome.images.append(NewImage(item.image_id, item.byte_size, self._facts[item.image_id]))
        else:
            outcome.duplicate_count += 1
