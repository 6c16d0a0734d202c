"""A decode task that does to its process what hostile images do. A module, so that decode processes can import it."""

from __future__ import annotations

import os
import signal

import numpy as np

from curator.decode import DecodeFailure, DecodeOptions, prepare
from curator.types import ImageFacts, Pixels, Preprocess


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
