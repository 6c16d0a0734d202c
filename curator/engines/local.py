"""The local engine: a reading thread, decode processes, and the encoder in the calling thread.

    reader thread ── chunks of bytes ──▶ decode pool ── pixels ──▶ encode ── vectors ──▶ ShardOutcome

The queue between reader and encoder is bounded; memory does not grow with the lake.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence

from curator.engines.decode_pool import DecodedBatch, DecodePool, PendingBatch
from curator.engines.known import KnownContents
from curator.engines.stages import Chunk, Fault, Progress, ShardBuilder, settle, shard_chunks
from curator.lake import ReadOptions
from curator.types import Encoder, Shard, ShardOutcome

WINDOW_CHUNKS = 64  # decoded together, and as many read ahead


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
        failed: dict[str, Fault] = {}
        builder: ShardBuilder | None = None
        windows = _windows(self._chunks(shards, known))
        pending = self._submit(next(windows, None))
        while pending:
            decoded = _finished(pending)
            pending = self._submit(next(windows, None))  # decoded while this window is encoded and written
            for chunk, batch in decoded:
                builder = builder or ShardBuilder(chunk.shard, self._encoder, failed)
                builder.add(chunk.data, chunk.passed, batch)
                if progress:
                    progress(len(chunk.data), sum(item.byte_size or 0 for item in chunk.data))
                if chunk.last:
                    encoded, builder = builder.finish(), None
                    failed |= encoded.faults
                    yield settle(encoded, failed)

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


def _finished(window: Sequence[tuple[Chunk, PendingBatch]]) -> list[tuple[Chunk, DecodedBatch]]:
    """Wait for all chunks of a window. Their bytes are not needed any more."""
    decoded = [(chunk, pending.result()) for chunk, pending in window]
    for chunk, _ in decoded:
        chunk.fresh.clear()
    return decoded
