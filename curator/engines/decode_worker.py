"""A decode process: its confinement and its work.

It is started as a plain interpreter that imports this module, not through `multiprocessing`: that would run the
caller's `__main__` again in every process, which breaks scripts without a guard, and costs start-up time. So what this
module imports is all that a decode process holds: NumPy, and `curator.decode` with the libraries that it names.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from PIL import AvifImagePlugin

from curator.decode import DecodeFailure, DecodeOptions
from curator.decode.formats import plugins
from curator.decode.quality import SampledFacts
from curator.engines.decode_messages import (
    DecodeFault,
    DecodeJob,
    DecodeReply,
    DecodeRequest,
    Prepare,
)
from curator.engines.messages import TRACE_CHARACTERS, send
from curator.engines.parcels import read_place
from curator.types import ImageFacts, Pixels, Preprocess


def decode_batch(
    batch: Iterable[bytes], job: DecodeJob, squares: Pixels, *, clock: Callable[[], float] = time.process_time
) -> DecodeReply:
    """Decode each item; the squares of those that are good go into `squares`, one after the other.

    clock: gives processor time in seconds.
    """
    started = clock()
    outcomes: list[ImageFacts | DecodeFault] = []
    good = 0
    for data in batch:
        try:
            square, facts = job.task(data, job.preprocess, job.options)
        except DecodeFailure as failure:
            outcomes.append(DecodeFault(failure.reason, failure.detail))
        else:
            squares[good] = square
            good += 1
            outcomes.append(facts)
    measured = (item.measured() if isinstance(item, SampledFacts) else item for item in outcomes)
    return DecodeReply(tuple(measured), clock() - started)


# Decode processes yield to the encoder: its threads wait for the slowest of them, so it loses more by a core that comes
# late than decoding loses by waiting.
YIELDING = 19
OUT_OF_MEMORY = 71  # the exit status that says so


def serve(descriptor: int) -> None:
    """Answer batches that come over the socket until it closes, which it does when the parent ends, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    channel = socket.socket(fileno=descriptor)
    try:
        job, slots = DecodeJob.receive(channel)
        job = _confined(job)
        send(channel, "ready")
        while True:
            request, parcel = DecodeRequest.receive(channel)
            try:
                _answer(channel, request, parcel, job, slots[request.slot])
            finally:
                os.close(parcel)
    except MemoryError:  # bytes or pixels that there is no room for, outside of any one image
        os._exit(OUT_OF_MEMORY)
    except (EOFError, ConnectionError):
        return


def _answer(channel: socket.socket, request: DecodeRequest, parcel: int, job: DecodeJob, squares: Pixels) -> None:
    try:
        reply = decode_batch((read_place(parcel, *place) for place in request.places), job, squares)
    except MemoryError:  # the images together were too much: end here, and be asked again one by one
        raise
    except Exception:  # a bug that these images bring to light; carried to the parent
        send(channel, {"trace": traceback.format_exc()[-TRACE_CHARACTERS:]})
    else:
        reply.send(channel)


def _confined(job: DecodeJob) -> DecodeJob:
    """Make this process silent, bounded, and a user of one core; `job` with its task bounded in time."""
    if job.yielding:
        os.nice(YIELDING)
    plugins()  # before the limit, so that it counts what images take only
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # other processes decode on the other cores
    silence = os.open(os.devnull, os.O_WRONLY)  # libtiff writes its complaints to stderr; they are in the rejects
    os.dup2(silence, 2)
    os.close(silence)
    if job.memory_limit_bytes is not None and sys.platform == "linux":
        _limit_memory(job.memory_limit_bytes)
    return replace(job, task=_timed(job.task, job.cpu_seconds_per_image)) if job.cpu_seconds_per_image else job


def _limit_memory(more_bytes: int) -> None:
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _timed(task: Prepare, seconds: float) -> Prepare:
    """`task`, ending this process by SIGPROF when one image takes more processor time than `seconds`."""

    def timed(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[Pixels, ImageFacts]:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            return task(data, preprocess, options)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)

    return timed
