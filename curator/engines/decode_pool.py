"""Decode processes: bytes in, pixels out, in order; one bad image costs one reject, whatever it does to its process.

Processes rather than threads, because a decoder fed with hostile bytes may crash or ask for any amount of memory.
They start from a clean interpreter (`forkserver`: the parent holds torch and threads, which must not be forked), load
Pillow and NumPy only, limit their own address space, and say nothing on stderr, where libtiff likes to talk.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

import numpy as np

from curator.decode import DecodeFailure, DecodeOptions, prepare
from curator.types import ImageFacts, Pixels, Preprocess

@dataclass(frozen=True, slots=True)
class Decoded:
    """An image as an encoder wants it: pixels (size, size, 3) uint8."""

    pixels: Pixels
    facts: ImageFacts


@dataclass(frozen=True, slots=True)
class DecodeFault:
    """Why bytes did not become pixels; see `curator.decode.REASONS`, and `decoder_crashed`."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """What became of each item of a batch, in order, and the processor time it took."""

    items: list[Decoded | DecodeFault]
    cpu_seconds: float


# What a process sends back: the pixels of the good ones stacked (one array travels faster than many), and per item
# its facts or its fault.
_Reply: TypeAlias = tuple[Pixels, list[ImageFacts | DecodeFault], float]
DecodeTask: TypeAlias = Callable[[Sequence[bytes], Preprocess, DecodeOptions], _Reply]


def decode_batch(batch: Sequence[bytes], preprocess: Preprocess, options: DecodeOptions) -> _Reply:
    """Decode each item; runs in a worker process."""
    started = time.process_time()
    pixels: list[Pixels] = []
    outcomes: list[ImageFacts | DecodeFault] = []
    for data in batch:
        try:
            square, facts = prepare(data, preprocess, options)
        except DecodeFailure as failure:
            outcomes.append(DecodeFault(failure.reason, failure.detail))
        else:
            pixels.append(square)
            outcomes.append(facts)
    stacked = np.stack(pixels) if pixels else np.zeros((0, preprocess.size, preprocess.size, 3), np.uint8)
    return stacked, outcomes, time.process_time() - started


class DecodePool:
    """A pool of decode processes. Use it in a `with`. `workers=0` decodes in the calling process."""

    def __init__(
        self,
        *,
        workers: int,
        preprocess: Preprocess,
        options: DecodeOptions,
        memory_limit_bytes: int | None = None,
        task: DecodeTask = decode_batch,
    ) -> None:
        self._workers = workers
        self._preprocess = preprocess
        self._options = options
        self._memory_limit = memory_limit_bytes
        self._task = task
        self._executor = self._start(workers) if workers else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; work that has not begun is dropped."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, batch: Sequence[bytes]) -> PendingBatch:
        """Begin to decode a batch."""
        return PendingBatch(self, batch, self._send(batch))

    def _start(self, workers: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["curator.decode"])
        return ProcessPoolExecutor(
            workers, mp_context=context, initializer=_settle_worker, initargs=(os.getpid(), self._memory_limit)
        )

    def _send(self, batch: Sequence[bytes]) -> Future[_Reply] | None:
        if self._executor is None:
            return None
        try:
            return self._executor.submit(self._task, batch, self._preprocess, self._options)
        except BrokenProcessPool:
            self._replace(self._executor)
            return self._send(batch)

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Start new processes in the place of a broken pool, once for all who find it broken."""
        if self._executor is broken:
            self._executor = self._start(self._workers)
            broken.shutdown(wait=False, cancel_futures=True)

    def decode_here(self, batch: Sequence[bytes]) -> _Reply:
        """Decode in the calling process."""
        return self._task(batch, self._preprocess, self._options)

    def decode_one_by_one(self, batch: Sequence[bytes]) -> _Reply:
        """Decode a batch that broke its process: each item in a process of its own, so that the guilty one shows."""
        replies = [self._decode_alone(data) for data in batch]
        stacked = np.concatenate([reply[0] for reply in replies])
        return stacked, [outcome for reply in replies for outcome in reply[1]], sum(reply[2] for reply in replies)

    def _decode_alone(self, data: bytes) -> _Reply:
        with self._start(1) as alone:
            try:
                return alone.submit(self._task, [data], self._preprocess, self._options).result()
            except BrokenProcessPool:
                fault = DecodeFault("decoder_crashed", "the decode process died of this image")
                return np.zeros((0, self._preprocess.size, self._preprocess.size, 3), np.uint8), [fault], 0.0


class PendingBatch:
    """A batch on its way through the pool."""

    def __init__(self, pool: DecodePool, batch: Sequence[bytes], future: Future[_Reply] | None) -> None:
        self._pool = pool
        self._batch = batch
        self._future = future

    def result(self) -> DecodedBatch:
        """Wait for the batch. A process that died costs its guilty image only; the others are decoded again."""
        if self._future is None:
            reply = self._pool.decode_here(self._batch)
        else:
            try:
                reply = self._future.result()
            except BrokenProcessPool:
                reply = self._pool.decode_one_by_one(self._batch)
        self._batch = ()
        return _unpack(reply)


def _unpack(reply: _Reply) -> DecodedBatch:
    pixels = iter(reply[0])
    items: list[Decoded | DecodeFault] = [
        outcome if isinstance(outcome, DecodeFault) else Decoded(next(pixels), outcome) for outcome in reply[1]
    ]
    return DecodedBatch(items, reply[2])


def _settle_worker(parent: int, memory_limit: int | None) -> None:
    """What a worker does once: leave Ctrl-C to the parent, be silent, be bounded, and die with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 2)
        os.close(silence)
    if memory_limit is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    _watch_parent(parent)


def _watch_parent(parent: int) -> None:
    """End this process when the parent is gone: a killed scan must not leave decoders behind."""
    import threading

    def watch() -> None:
        while True:
            try:
                os.kill(parent, 0)
            except OSError:
                os._exit(1)
            time.sleep(1.0)

    threading.Thread(target=watch, name="curator-parent-watch", daemon=True).start()
