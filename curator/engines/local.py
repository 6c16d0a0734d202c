"""The local engine: a reading thread, decode processes, and the encoder in the calling thread.

    reader thread ── chunks of bytes ──▶ decode pool ── pixels ──▶ encode ── vectors ──▶ ShardOutcome

The queue between reader and encoder is bounded; memory does not grow with the lake.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from curator.engines.decode_pool import DecodedBatch, DecodePool, PendingBatch
from curator.engines.known import KnownContents
from curator.engines.settling import settle
from curator.engines.stages import Chunk, Fault, Progress, ShardBuilder, ShardOutcome, shard_chunks
from curator.lake import ReadOptions
from curator.types import Encoder, Shard

WINDOW_CHUNKS = 64  # decoded together, and as many read ahead

_Decoded: TypeAlias = tuple[Chunk, DecodedBatch]


class LocalEngine:
    """Runs shards through read, decode and encode on this machine."""

    def __init__(self, encoder: Encoder, pool: DecodePool, *, read: ReadOptions) -> None:
        self._encoder = encoder
        self._pool = pool
        self._read = read

    def run(
        self, shards: Iterable[Shard], *, known: KnownContents, progress: Progress | None = None
    ) -> Iterator[ShardOutcome]:
        """Yield one outcome for each shard, in order.

        known: contents that have a vector of this encoder; they are not decoded again. The engine adds those it meets.
        progress: called as data pass the encoder.
        """
        builders = _Builders(self._encoder, progress)
        windows = _windows(self._chunks(shards, known))
        pending = self._submit(next(windows, None))
        while pending:
            decoded = _finished(pending)
            pending = self._submit(next(windows, None))  # decoded while this window is encoded and written
            yield from builders.add(decoded)

    def _submit(self, window: list[Chunk] | None) -> list[tuple[Chunk, PendingBatch]]:
        return [(chunk, self._pool.submit(chunk.fresh)) for chunk in window or []]

    def _chunks(self, shards: Iterable[Shard], known: KnownContents) -> Iterator[Chunk]:
        """Chunks in order, read ahead by a thread. Closing the generator stops the thread."""
        chunks: queue.Queue[Chunk | BaseException | None] = queue.Queue(WINDOW_CHUNKS)
        stop = threading.Event()
        reader = threading.Thread(
            target=self._read_ahead, args=(shards, known, chunks, stop), name="curator-reader", daemon=True
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
        known: KnownContents,
        chunks: queue.Queue[Chunk | BaseException | None],
        stop: threading.Event,
    ) -> None:
        try:
            for shard in shards:
                for chunk in shard_chunks(shard, known, self._read):
                    if stop.is_set():
                        return
                    chunks.put(chunk)
            chunks.put(None)
        except BaseException as fault:  # carried to the consumer, which raises it
            chunks.put(fault)


def _windows(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    """Runs of chunks that are decoded together; none spans two shards."""
    window: list[Chunk] = []
    for chunk in chunks:
        window.append(chunk)
        if chunk.last or len(window) == WINDOW_CHUNKS:
            yield window
            window = []


def _finished(window: Sequence[tuple[Chunk, PendingBatch]]) -> list[_Decoded]:
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
        self._open: ShardBuilder | None = None

    def add(self, window: Sequence[_Decoded]) -> list[ShardOutcome]:
        """Encode what has come; the outcomes of the shards that are closed by it."""
        outcomes = []
        for chunk, batch in window:
            self._open = self._open or ShardBuilder(chunk.shard, self._encoder, self._failed)
            self._open.add(chunk.data, chunk.passed, batch)
            if self._progress:
                self._progress(len(chunk.data), sum(item.byte_size or 0 for item in chunk.data))
            if chunk.last:
                encoded = self._open.finish()
                self._failed |= encoded.faults
                outcomes.append(settle(encoded, self._failed))
                self._open = None
        return outcomes
