"""The local engine: a reading process, decode processes, the encoder's thread, and the calling thread that gathers.

    reader ── parcels ──▶ decode pool ── squares ──▶ gathered ── batches ──▶ encoder ── vectors ──▶ ShardOutcome

All of it goes on side by side, over the ends of shards: while a batch is encoded the next one is gathered, and what was
encoded is settled and written. What is under way is bounded, in chunks; memory does not grow with the lake.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain

from curator.engines.batches import Encoding
from curator.engines.chunks import Chunk, Recognition, read_chunks
from curator.engines.decode_pool import DecodedBatch, DecodePool, PendingBatch
from curator.engines.known import KnownContents
from curator.engines.read_process import ReadProcess
from curator.engines.stages import Fault, Progress, ShardBuilder, settle
from curator.lake import ReadOptions
from curator.types import Encoder, Shard, ShardOutcome

READ_AHEAD = 4  # chunks that wait for a place in the pool
CLOSED = 4  # shards that wait for their last batches
MANY_OBJECTS, MANY_BYTES = 2000, 256 << 20  # less than either is read before a process for it could start


class LocalEngine:
    """Runs shards through read, decode and encode on this machine."""

    def __init__(self, encoder: Encoder, pool: DecodePool, *, read: ReadOptions) -> None:
        self._encoder = encoder
        self._pool = pool
        self._read = read
        self._reader: ReadProcess | None = None

    def run(
        self, shards: Iterable[Shard], *, known: KnownContents, progress: Progress | None = None
    ) -> Iterator[ShardOutcome]:
        """Yield one outcome for each shard, in order.

        known: contents that have a vector of this encoder; they are not decoded again. The engine adds those it meets.
        progress: called as data are on their way to the encoder.
        """
        failed: dict[str, Fault] = {}
        builder: ShardBuilder | None = None
        closed: deque[ShardBuilder] = deque()
        with Encoding(self._encoder) as encoding:
            for chunk, batch in self._decoded(shards, known):
                builder = builder or ShardBuilder(chunk.shard, encoding, failed)
                builder.add(chunk.data, chunk.passed, batch)
                if progress:
                    progress(len(chunk.data), sum(item.byte_size or 0 for item in chunk.data))
                if chunk.last:
                    failed |= builder.close()
                    closed.append(builder)
                    builder = None
                while closed and (closed[0].is_done or len(closed) > CLOSED):
                    yield _settled(closed.popleft(), failed)
            while closed:
                yield _settled(closed.popleft(), failed)

    def _decoded(self, shards: Iterable[Shard], known: KnownContents) -> Iterator[tuple[Chunk, DecodedBatch]]:
        """Chunks with what became of them, in order. No more are under way than the pool has room for."""
        waiting: deque[tuple[Chunk, PendingBatch]] = deque()
        for chunk in self._chunks(shards, known):
            waiting.append((chunk, self._pool.submit_parcel(chunk.parcel, chunk.fresh)))
            while len(waiting) > self._pool.room or (waiting and waiting[0][1].done()):
                done, pending = waiting.popleft()
                yield done, pending.result()
        for chunk, pending in waiting:
            yield chunk, pending.result()

    def _chunks(self, shards: Iterable[Shard], known: KnownContents) -> Iterator[Chunk]:
        """Chunks in order, read ahead by a thread, and for it by a process where there is more than a little to read.
        Closing the generator stops both."""
        chunks: queue.Queue[Chunk | BaseException | None] = queue.Queue(READ_AHEAD)
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
                if self._reader is not None:
                    self._reader.kill()
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
            with ExitStack() as leaving:
                rest = iter(shards)
                few, are_many = _first_few(rest)
                if are_many and self._pool.is_apart:
                    self._reader = leaving.enter_context(ReadProcess(self._read))
                for shard in chain(few, rest):
                    read = self._reader.chunks(shard) if self._reader else read_chunks(shard, self._read)
                    for chunk in map(Recognition(shard, known), read):
                        if stop.is_set():
                            return
                        chunks.put(chunk)
            chunks.put(None)
        except BaseException as fault:  # carried to the consumer, which raises it
            chunks.put(fault)


def _first_few(shards: Iterator[Shard]) -> tuple[list[Shard], bool]:
    """Shards until reading them costs more than to start a process for it, or all; whether it does."""
    few: list[Shard] = []
    met: set[str] = set()
    total = 0
    for shard in shards:
        few.append(shard)
        total += sum(item.byte_size for item in shard.objects if item.uri not in met)
        met.update(item.uri for item in shard.objects)
        if len(met) >= MANY_OBJECTS or total >= MANY_BYTES:
            return few, True
    return few, False


def _settled(builder: ShardBuilder, failed: dict[str, Fault]) -> ShardOutcome:
    encoded = builder.result()
    failed |= encoded.faults
    return settle(encoded, failed)
