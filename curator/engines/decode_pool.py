"""Decode processes: bytes in, pixels out, in order; one bad image costs one reject, whatever it does to its process.

Processes rather than threads, because a decoder fed with hostile bytes may crash, run for ever or ask for any amount
of memory. Each process has a thread here that hands it one batch at a time, so when a process dies it is known which
batch it held: the others go on untouched, and the images of that batch are tried again one by one in a fresh process.
Processes hold no state, so they are killed rather than asked when the pool closes.

Bytes go to a process as a sealed parcel and squares come back in slots of memory that it shares with the pool (see
`parcels`); a process whose slots are all taken waits. Batches must then be released in the order in which they were
submitted, and the pool cannot get stuck: the first one that is not done always has a process and a slot, or will.

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
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeAlias

import numpy as np

from curator.decode import DecodeOptions, prepare_sampled
from curator.decode.failures import DETAIL_CHARACTERS, no_memory
from curator.decode.identity import require_known_pixels
from curator.engines.decode_messages import (
    DecodeFault,
    DecodeJob,
    DecodeReply,
    DecodeRequest,
    Prepare,
    TaskBroken,
)
from curator.engines.decode_patience import IDLE_LOOKS, Hanging, Patience
from curator.engines.decode_worker import OUT_OF_MEMORY, decode_batch
from curator.engines.messages import BadReply, receive
from curator.engines.parcels import Parcel, PixelSlots, read_place
from curator.errors import CuratorError
from curator.printable import one_line
from curator.types import ImageFacts, Pixels, Preprocess

__all__ = ["DecodeFault", "DecodePool", "Decoded", "DecodedBatch", "PendingBatch"]

SLOT_IMAGES = 64  # of a batch
CPU_SECONDS_PER_IMAGE = 60.0  # images of 88 megapixels, in nine formats and modes, took 0.1 to 3.4 s
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# What an image took is kept for the next one. glibc comes to these bounds by itself once 32 MiB were freed at a time;
# until then it gives memory of an image back to the kernel and gets it again, page by page.
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image as an encoder wants it. `pixels` (size, size, 3) uint8 RGB is a view of its batch's one array."""

    pixels: Pixels
    facts: ImageFacts


@dataclass(slots=True)
class DecodedBatch:
    """What became of each item of a batch, in order, and the processor time that decoding took.

    pixels: of those that were decoded, in order, (k, size, size, 3) uint8 RGB.
    """

    outcomes: tuple[ImageFacts | DecodeFault, ...]
    pixels: Pixels
    cpu_seconds: float
    _give_back: Callable[[], None] | None = None

    @property
    def items(self) -> list[Decoded | DecodeFault]:
        """The outcomes with the pixels of each."""
        pixels = iter(self.pixels)
        return [item if isinstance(item, DecodeFault) else Decoded(next(pixels), item) for item in self.outcomes]

    def release(self) -> None:
        """Say that the pixels are not needed any more: others take their place. Does no harm when called twice."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()

    def kept(self) -> DecodedBatch:
        """The same with pixels of its own; this one is released."""
        if self._give_back is None:
            return self
        kept = DecodedBatch(self.outcomes, self.pixels.copy(), self.cpu_seconds)
        self.release()
        return kept


PendingBatch: TypeAlias = Future[DecodedBatch]


class DecodePool:
    """A pool of decode processes, for use in a `with`. `workers=0` decodes in the calling process, for debugging.

    memory_limit_bytes: address space that a process may take for its images (Linux); more is a fault `out_of_memory`.
    cpu_seconds_per_image: more is a fault `decoder_timeout`, and so is doing nothing for `idle_looks` seconds, as
    `decode_patience` counts them.
    None of these holds with `workers=0`.
    task: what decodes one image; must be importable by its name, and raise DecodeFailure only.
    yielding: see `DecodeJob`.
    slots, slot_images: batches that a process may have decoded before they are released, and images of a batch.
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
        task: Prepare = prepare_sampled,
        yielding: bool = True,
        slots: int = 1,
        slot_images: int = SLOT_IMAGES,
    ) -> None:
        require_known_pixels()
        self._job = DecodeJob(preprocess, options, task, memory_limit_bytes, cpu_seconds_per_image, yielding)
        self._slots, self._slot_images = slots, slot_images
        self._workers = [_Worker(self._job, idle_looks, slots, slot_images) for _ in range(workers)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, "curator-decode") if workers else None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    @property
    def is_apart(self) -> bool:
        """Whether it has processes."""
        return bool(self._workers)

    @property
    def room(self) -> int:
        """Batches that can be decoded, or wait to be released, at one time."""
        return max(1, len(self._workers) * self._slots)

    def submit(self, batch: Sequence[bytes]) -> PendingBatch:
        """Begin to decode a batch. `.result()` waits for it; batches may be waited for in any order.

        Raises RuntimeError when the pool is closed. `.result()` raises CuratorError when processes cannot start, and
        CancelledError when the pool closes before the batch is done.
        """
        parcel = Parcel.of(batch)
        return self._begin(self._run_kept, parcel, parcel.places)

    def submit_parcel(self, parcel: Parcel, places: Sequence[tuple[int, int]]) -> PendingBatch:
        """The same for images of a parcel, at most `slot_images`. The pool closes the parcel; release the batch."""
        return self._begin(self._run, parcel, places)

    def _begin(
        self,
        run: Callable[[Parcel, Sequence[tuple[int, int]]], DecodedBatch],
        parcel: Parcel,
        places: Sequence[tuple[int, int]],
    ) -> PendingBatch:
        if self._closed:
            raise RuntimeError("the decode pool is closed")
        if self._threads is not None and places:
            return self._threads.submit(run, parcel, places)
        done: PendingBatch = Future()
        size = self._job.preprocess.size
        pixels = np.empty((len(places), size, size, 3), np.uint8)
        contents = (read_place(parcel.descriptor, *place) for place in places)
        reply = decode_batch(contents, self._job, pixels, clock=time.thread_time)
        parcel.close()
        done.set_result(_batch(reply, pixels))
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

    def _run(self, parcel: Parcel, places: Sequence[tuple[int, int]]) -> DecodedBatch:
        worker = self._idle.get()
        try:
            return self._decode(worker, parcel, places)
        finally:
            parcel.close()
            self._idle.put(worker)

    def _run_kept(self, parcel: Parcel, places: Sequence[tuple[int, int]]) -> DecodedBatch:
        """The batch with pixels of its own, decoded in parts that fit into a slot."""
        worker = self._idle.get()
        try:
            starts = range(0, len(places), self._slot_images)
            parts = [places[start : start + self._slot_images] for start in starts]
            return _joined([self._decode(worker, parcel, part).kept() for part in parts])
        finally:
            parcel.close()
            self._idle.put(worker)

    def _decode(self, worker: _Worker, parcel: Parcel, places: Sequence[tuple[int, int]]) -> DecodedBatch:
        try:
            return worker.decode(parcel, places)
        except _WorkerFailed:
            return _joined([self._decode_alone(worker, parcel, place).kept() for place in places])

    def _decode_alone(self, worker: _Worker, parcel: Parcel, place: tuple[int, int]) -> DecodedBatch:
        """Decode one image of a batch whose process died; if this one dies too, the image is guilty."""
        if self._closed:
            raise CancelledError
        try:
            return worker.decode(parcel, [place])
        except _WorkerFailed as failure:
            if self._closed:
                raise CancelledError from None
            return self._nothing(failure.fault)

    def _nothing(self, *faults: DecodeFault) -> DecodedBatch:
        size = self._job.preprocess.size
        return DecodedBatch(faults, np.zeros((0, size, size, 3), np.uint8), 0.0)


def _joined(batches: Sequence[DecodedBatch]) -> DecodedBatch:
    if len(batches) == 1:
        return batches[0]
    outcomes = tuple(outcome for batch in batches for outcome in batch.outcomes)
    pixels = np.concatenate([batch.pixels for batch in batches])
    return DecodedBatch(outcomes, pixels, sum(batch.cpu_seconds for batch in batches))


def _batch(reply: DecodeReply, pixels: Pixels, give_back: Callable[[], None] | None = None) -> DecodedBatch:
    """pixels: of a slot, the decoded ones first."""
    good = sum(isinstance(outcome, ImageFacts) for outcome in reply.outcomes)
    return DecodedBatch(reply.outcomes, pixels[:good], reply.cpu_seconds, give_back)


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
    """One decode process, the socket to it and the memory that it shares; starts a fresh one after a death.

    Used by one thread at a time.
    """

    def __init__(self, job: DecodeJob, idle_looks: int, slots: int, slot_images: int) -> None:
        self._job = job
        self._idle_looks = idle_looks
        self._slots_wanted = slots, slot_images
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket
        self._slots: PixelSlots | None = None
        self._ready = False
        self._closed = False
        self._start()

    def decode(self, parcel: Parcel, places: Sequence[tuple[int, int]]) -> DecodedBatch:
        """Raises _WorkerFailed; the next call finds a process that is fit for work."""
        if self._process is None:
            self._start()
        slots = self._slots if self._ready else self._greet()
        assert slots is not None
        slot = slots.free.get()
        if slot is None or self._closed:
            raise CancelledError
        try:
            reply = self._ask(parcel, DecodeRequest(list(places), slot))
        except (EOFError, ConnectionError):
            raise _death(self.stop(), self._job) from None
        except Hanging as hang:
            self._end()
            raise _WorkerFailed("decoder_timeout", str(hang)) from None
        except BadReply as fault:
            self._end()
            raise _WorkerFailed("decoder_crashed", f"its decode process sent nonsense: {fault}") from None
        except TaskBroken as fault:
            slots.free.put(slot)
            raise _WorkerFailed(
                "decoder_crashed", one_line(str(fault).strip().rpartition("\n")[2], longest=DETAIL_CHARACTERS)
            ) from fault
        return _batch(reply, slots.squares(slot), partial(slots.free.put, slot))

    def _ask(self, parcel: Parcel, request: DecodeRequest) -> DecodeReply:
        assert self._process is not None
        seconds, count = self._job.cpu_seconds_per_image, len(request.places)
        limit = None if seconds is None else seconds * (count + 1)  # the process itself counts by image
        patience = Patience(self._process.pid, cpu_seconds=limit, idle_looks=self._idle_looks)
        request.send(self._channel, parcel, waiting=patience)
        return DecodeReply.receive(self._channel, count=count, waiting=patience)

    def _end(self) -> None:
        """End a process that is not to be trusted any more."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def kill(self) -> None:
        """End the process now, and whoever waits for a slot. The one method that another thread may call."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()
        if (slots := self._slots) is not None:
            slots.free.put(None)

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

    def _greet(self) -> PixelSlots:
        """Tell a new process its job and wait until it has settled."""
        slots, images = self._slots_wanted
        self._slots = PixelSlots(slots=slots, images=images, size=self._job.preprocess.size)
        try:
            self._job.send(self._channel, self._slots)
            receive(self._channel)
        except (EOFError, ConnectionError):
            raise CuratorError(
                f"a decode process cannot start (exit status {self.stop()})", hint="its own message is above, on stderr"
            ) from None
        finally:
            self._slots.close()  # it is mapped, on both sides
        self._ready = True
        return self._slots


def start_process(channel: socket.socket, module: str = "decode_worker") -> subprocess.Popen[bytes]:
    """A decode process, or one of another module with `serve`, that listens at `channel`, which may be closed."""
    code = f"from curator.engines.{module} import serve; serve({channel.fileno()})"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code],  # -P: a `PIL` in the current folder is data, not code
        pass_fds=[channel.fileno()],
        env=os.environ | _ONE_THREAD | _KEPT_MEMORY | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        process_group=0,  # Ctrl-C on the terminal reaches the parent only, even while a process still imports
    )
