"""Decode processes: bytes in, pixels out, in order; one bad image costs one reject, whatever it does to its process.

Processes rather than threads, because a decoder fed with hostile bytes may crash, run for ever or ask for any amount
of memory. Each process has a thread here that hands it one batch at a time, so when a process dies it is known which
batch it held: the others go on untouched, and the images of that batch are tried again one by one in a fresh process.
Processes hold no state, so they are killed rather than asked when the pool closes.

The pool does not bound what is submitted: whoever submits decides how far to read ahead.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeAlias

import numpy as np

from curator.decode import DecodeOptions, prepare
from curator.decode.failures import DETAIL_CHARACTERS, no_memory
from curator.engines.decode_messages import (
    BadReply,
    DecodeFault,
    DecodeJob,
    DecodeReply,
    Prepare,
    TaskBroken,
    receive,
    send,
)
from curator.engines.decode_patience import IDLE_LOOKS, Hanging, Patience
from curator.engines.decode_worker import OUT_OF_MEMORY, decode_batch
from curator.errors import CuratorError
from curator.printable import one_line
from curator.types import ImageFacts, Pixels, Preprocess

__all__ = ["DecodeFault", "DecodePool", "Decoded", "DecodedBatch", "PendingBatch"]

CPU_SECONDS_PER_IMAGE = 60.0  # images of 88 megapixels, in nine formats and modes, took 0.1 to 3.4 s
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image as an encoder wants it. `pixels` (size, size, 3) uint8 RGB is a view of its batch's one array."""

    pixels: Pixels
    facts: ImageFacts


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """What became of each item of a batch, in order, and the processor time that decoding took."""

    items: list[Decoded | DecodeFault]
    cpu_seconds: float


PendingBatch: TypeAlias = Future[DecodedBatch]


class DecodePool:
    """A pool of decode processes, for use in a `with`. `workers=0` decodes in the calling process, for debugging.

    memory_limit_bytes: address space that a process may take for its images (Linux); more is a fault `out_of_memory`.
    cpu_seconds_per_image: more is a fault `decoder_timeout`, and so is doing nothing for `idle_looks` seconds, as
    `decode_patience` counts them.
    None of these holds with `workers=0`.
    task: what decodes one image; must be importable by its name, and raise DecodeFailure only.
    yielding: see `DecodeJob`.
    """

    def __init__(
        self,
        *,
        workers: int,
        preprocess: Preprocess,
        options: DecodeOptions,
        memory_limit_bytes: int | None = None,
        cpu_seconds_per_image: float | None = CPU_SECONDS_PER_IMAGE,
        idle_looks: int = IDLE_LOOKS,
        task: Prepare = prepare,
        yielding: bool = True,
    ) -> None:
        self._job = DecodeJob(preprocess, options, task, memory_limit_bytes, cpu_seconds_per_image, yielding)
        self._workers = [_Worker(self._job, idle_looks) for _ in range(workers)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, "curator-decode") if workers else None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def submit(self, batch: Sequence[bytes]) -> PendingBatch:
        """Begin to decode a batch. `.result()` waits for it; batches may be waited for in any order.

        Raises RuntimeError when the pool is closed. `.result()` raises CuratorError when processes cannot start, and
        CancelledError when the pool closes before the batch is done.
        """
        if self._closed:
            raise RuntimeError("the decode pool is closed")
        if self._threads is not None:
            return self._threads.submit(self._run, batch)
        done: PendingBatch = Future()
        done.set_result(_unpacked(decode_batch(batch, self._job, clock=time.thread_time)))
        return done

    def close(self) -> None:
        """End the processes at once; batches that are not done are cancelled. Does no harm when called twice."""
        self._closed = True
        if self._threads is None:
            return
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(wait=True)
        for worker in self._workers:
            worker.stop()

    def _run(self, batch: Sequence[bytes]) -> DecodedBatch:
        worker = self._idle.get()
        try:
            return _unpacked(self._decode(worker, batch))
        finally:
            self._idle.put(worker)

    def _decode(self, worker: _Worker, batch: Sequence[bytes]) -> DecodeReply:
        if not batch:
            return decode_batch(batch, self._job)
        try:
            return worker.decode(batch)
        except _WorkerFailed:
            return _joined([self._decode_alone(worker, data) for data in batch])

    def _decode_alone(self, worker: _Worker, data: bytes) -> DecodeReply:
        """Decode one image of a batch whose process died; if this one dies too, the image is guilty."""
        if self._closed:
            raise CancelledError
        try:
            return worker.decode([data])
        except _WorkerFailed as failure:
            if self._closed:
                raise CancelledError from None
            size = self._job.preprocess.size
            return DecodeReply(np.zeros((0, size, size, 3), np.uint8), (failure.fault,), 0.0)


def _joined(replies: Sequence[DecodeReply]) -> DecodeReply:
    pixels = np.concatenate([reply.pixels for reply in replies])
    outcomes = tuple(outcome for reply in replies for outcome in reply.outcomes)
    return DecodeReply(pixels, outcomes, sum(reply.cpu_seconds for reply in replies))


def _unpacked(reply: DecodeReply) -> DecodedBatch:
    pixels: Iterator[Pixels] = iter(reply.pixels)
    return DecodedBatch(
        [outcome if isinstance(outcome, DecodeFault) else Decoded(next(pixels), outcome) for outcome in reply.outcomes],
        reply.cpu_seconds,
    )


class _WorkerFailed(Exception):
    """A decode process gave no answer. `fault` is what an image that it held alone becomes."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.fault = DecodeFault(reason, detail)


def _death(status: int, job: DecodeJob) -> _WorkerFailed:
    """Of a process that ended by itself. `status` is its exit status, negative for a signal."""
    if status == -signal.SIGPROF:
        return _WorkerFailed("decoder_timeout", f"took more than {job.cpu_seconds_per_image:g} s of processor time")
    if status == OUT_OF_MEMORY:
        return _WorkerFailed("out_of_memory", no_memory().detail)
    with contextlib.suppress(ValueError):
        return _WorkerFailed("decoder_crashed", f"killed its decode process by {signal.Signals(-status).name}")
    return _WorkerFailed("decoder_crashed", f"its decode process ended with status {status}")


class _Worker:
    """One decode process and the socket to it; starts a fresh one after a death. Used by one thread at a time."""

    def __init__(self, job: DecodeJob, idle_looks: int) -> None:
        self._job = job
        self._idle_looks = idle_looks
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket
        self._ready = False
        self._start()

    def decode(self, batch: Sequence[bytes]) -> DecodeReply:
        """Raises _WorkerFailed; the next call finds a process that is fit for work."""
        if self._process is None:
            self._start()
        if not self._ready:
            self._greet()
        try:
            return self._ask(batch)
        except (EOFError, ConnectionError):
            raise _death(self.stop(), self._job) from None
        except Hanging as hang:
            self._end()
            raise _WorkerFailed("decoder_timeout", str(hang)) from None
        except BadReply as fault:
            self._end()
            raise _WorkerFailed("decoder_crashed", f"its decode process sent nonsense: {fault}") from None
        except TaskBroken as fault:
            raise _WorkerFailed(
                "decoder_crashed", one_line(str(fault).strip().rpartition("\n")[2], longest=DETAIL_CHARACTERS)
            ) from fault

    def _ask(self, batch: Sequence[bytes]) -> DecodeReply:
        assert self._process is not None
        seconds = self._job.cpu_seconds_per_image
        limit = None if seconds is None else seconds * (len(batch) + 1)  # the process itself counts by image
        patience = Patience(self._process.pid, cpu_seconds=limit, idle_looks=self._idle_looks)
        send(self._channel, None, batch, waiting=patience)
        return DecodeReply.receive(self._channel, count=len(batch), size=self._job.preprocess.size, waiting=patience)

    def _end(self) -> None:
        """End a process that is not to be trusted any more."""
        self.kill()
        self.stop()

    def kill(self) -> None:
        """End the process now. The one method that another thread may call."""
        if (process := self._process) is not None:
            process.kill()

    def stop(self) -> int:
        """End the process and forget it; its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        self._channel.close()
        try:
            return process.wait(timeout=1.0)  # it has ended, or is about to: its socket is closed
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _start(self) -> None:
        """Start the process; it imports while the caller goes on."""
        self._ready = False
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = start_process(theirs)

    def _greet(self) -> None:
        """Tell a new process its job and wait until it has settled."""
        try:
            self._job.send(self._channel)
            receive(self._channel)
        except (EOFError, ConnectionError):
            raise CuratorError(
                f"a decode process cannot start (exit status {self.stop()})", hint="its own message is above, on stderr"
            ) from None
        self._ready = True


def start_process(channel: socket.socket) -> subprocess.Popen[bytes]:
    """A decode process that listens at `channel`, which the caller may close."""
    code = f"from curator.engines.decode_worker import serve; serve({channel.fileno()})"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code],  # -P: a `PIL` in the current folder is data, not code
        pass_fds=[channel.fileno()],
        env=os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        process_group=0,  # Ctrl-C on the terminal reaches the parent only, even while a process still imports
    )
