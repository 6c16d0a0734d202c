"""A decode task that does to its process what hostile images do. A module, so that decode processes can import it."""

from __future__ import annotations

import os
import signal
import stat
import time

import numpy as np

from curator.decode import DecodeFailure, DecodeOptions, prepare
from curator.types import ImageFacts, Pixels, Preprocess


def _channel() -> int:
    """The descriptor of the socket to the parent."""
    opened = {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208  # one of them is gone afterwards
    return next(number for number in opened if number > 2 and _is_socket(number))


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def crash_on_magic(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[Pixels, ImageFacts]:
    """Decode, but for a few magic bytes."""
    if data.startswith(b"KILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    if data.startswith(b"EXIT"):
        os._exit(7)
    if data.startswith(b"SEGV"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if data.startswith(b"SPIN"):
        while True:
            pass
    if data.startswith(b"SLEEP"):
        time.sleep(3600)
    if data.startswith(b"STOP"):
        os.kill(os.getpid(), signal.SIGSTOP)
    if data.startswith(b"BLIND"):  # to its own limit
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        while True:
            pass
    if data.startswith(b"SAY"):  # to the parent, past the code that should answer
        os.write(_channel(), data[3:])
        time.sleep(3600)
    if data.startswith(b"RAISE"):
        raise KeyError("a programming error")
    if data.startswith(b"PID"):
        raise DecodeFailure("text", str(os.getpid()))
    if data.startswith(b"BOMB"):
        try:
            np.ones(int(data[4:]), np.uint8)
        except MemoryError:
            raise DecodeFailure("out_of_memory", "bomb") from None
    return prepare(data, preprocess, options)
