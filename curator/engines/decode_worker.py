"""A decode process: its confinement, its work, and the messages it exchanges with the pool.

It is started as a plain interpreter that imports this module, not through `multiprocessing`: that would run the
caller's `__main__` again in every process, which breaks scripts without a guard, and costs start-up time. So what this
module imports is all that a decode process holds: NumPy, Pillow and `curator.decode`.

A message is a pickle (protocol 5) whose arrays travel beside it, without a copy, over a Unix socket.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import AvifImagePlugin

from curator.decode import DecodeFailure, DecodeOptions, prepare
from curator.decode.formats import plugins
from curator.types import ImageFacts, Pixels, Preprocess

Prepare: TypeAlias = Callable[[bytes, Preprocess, DecodeOptions], tuple[Pixels, ImageFacts]]


@dataclass(frozen=True, slots=True)
class DecodeFault:
    """Why bytes did not become pixels: a key of `curator.decode.REASONS`, and one line of detail."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Job:
    """What a decode process is for. `task` must be a function that can be imported by its name.

    memory_limit_bytes: address space that it may take beyond what it holds once it has started.
    cpu_seconds_per_image: processor time after which an image ends it.
    """

    preprocess: Preprocess
    options: DecodeOptions
    task: Prepare = prepare
    memory_limit_bytes: int | None = None
    cpu_seconds_per_image: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a batch: `pixels` (k, size, size, 3) of those decoded, `outcomes` of all in order."""

    pixels: Pixels
    outcomes: tuple[ImageFacts | DecodeFault, ...]
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """The task raised what it must not: a programming error, with its traceback."""

    trace: str


def decode_batch(batch: Sequence[bytes], job: Job, *, clock: Callable[[], float] = time.process_time) -> Reply:
    """Decode each item. `clock` gives processor time in seconds."""
    started = clock()
    pixels: list[Pixels] = []
    outcomes: list[ImageFacts | DecodeFault] = []
    for data in batch:
        try:
            square, facts = job.task(data, job.preprocess, job.options)
        except DecodeFailure as failure:
            outcomes.append(DecodeFault(failure.reason, failure.detail))
        else:
            pixels.append(square)
            outcomes.append(facts)
    return Reply(_stacked(pixels, job.preprocess.size), tuple(outcomes), clock() - started)


def _stacked(pixels: list[Pixels], size: int) -> Pixels:
    return np.stack(pixels) if pixels else np.zeros((0, size, size, 3), np.uint8)


def serve(descriptor: int) -> None:
    """Answer batches that come over the socket until it closes, which it does when the parent ends, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    channel = socket.socket(fileno=descriptor)
    with suppress(EOFError, ConnectionError):
        job = _confined(receive(channel))
        send(channel, os.getpid())
        while True:
            send(channel, _answer(receive(channel), job))


def _answer(batch: Sequence[bytes], job: Job) -> Reply | Broken:
    try:
        return decode_batch(batch, job)
    except MemoryError:  # the images together were too much: end here, and be asked again one by one
        raise
    except Exception:  # carried to the parent, which raises it there
        return Broken(traceback.format_exc())


def _timed(task: Prepare, seconds: float) -> Prepare:
    """`task`, ending this process by SIGPROF when one image takes more processor time than `seconds`."""

    def timed(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[Pixels, ImageFacts]:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            return task(data, preprocess, options)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)

    return timed


def _confined(job: Job) -> Job:
    """Make this process silent, bounded, and a user of one core; `job` with its task bounded in time."""
    plugins()  # before the limit, so that it counts what images take only
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # other processes decode on the other cores
    silence = os.open(os.devnull, os.O_WRONLY)  # libtiff writes its complaints to stderr; they are in the rejects
    os.dup2(silence, 2)
    os.close(silence)
    if job.memory_limit_bytes is not None and sys.platform == "linux":
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = held + job.memory_limit_bytes
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    return replace(job, task=_timed(job.task, job.cpu_seconds_per_image)) if job.cpu_seconds_per_image else job


def send(channel: socket.socket, message: object) -> None:
    """Write one message: count and sizes of its parts, then the parts."""
    arrays: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=arrays.append)
    parts = [memoryview(body), *(array.raw() for array in arrays)]
    channel.sendall(struct.pack(f"<{len(parts) + 1}Q", len(parts), *(part.nbytes for part in parts)))
    for part in parts:
        channel.sendall(part)


def receive(channel: socket.socket) -> Any:
    """Read one message. Raises EOFError or ConnectionError when the other side is gone."""
    (count,) = struct.unpack("<Q", _read(channel, 8))
    sizes = struct.unpack(f"<{count}Q", _read(channel, 8 * count))
    body, *arrays = [_read(channel, size) for size in sizes]
    return pickle.loads(body, buffers=arrays)


def _read(channel: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = channel.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return data
