"""Batches on their way through the encoder: one is encoded, in a thread of its own, while the next is gathered.

Squares that make up a batch as they were decoded are encoded where they are. Others are copied once to their place in
a batch, in memory that serves again and again; so are all where the encoder is on a GPU, which reads pinned memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import LifoQueue
from types import TracebackType
from typing import ParamSpec, Protocol, Self, TypeVar

import numpy as np

from curator.types import Pixels, Preprocess, Vectors

BUFFERS = 2

Given = ParamSpec("Given")
Result = TypeVar("Result")


class ImageEncoder(Protocol):
    """The part of an encoder that shards need. One that wants images in memory of its own has `pixel_buffer`, too:
    (count) -> (count, size, size, 3) uint8; None, or none, where it takes them from anywhere."""

    @property
    def batch_size(self) -> int: ...
    @property
    def dimension(self) -> int: ...
    @property
    def preprocess(self) -> Preprocess: ...

    def encode_images(self, pixels: Pixels) -> Vectors: ...


class Encoding:
    """An encoder at work in its thread, for use in a `with`. Any number of threads may gather batches for it.

    buffers: batches that are gathered or encoded at one time; whoever wants another one waits.
    """

    def __init__(self, encoder: ImageEncoder, *, buffers: int = BUFFERS) -> None:
        self._encoder = encoder
        self._make: Callable[[int], Pixels] | None = getattr(encoder, "pixel_buffer", None)
        self.batch_size, self.dimension = encoder.batch_size, encoder.dimension
        self._thread = ThreadPoolExecutor(1, "curator-encoder")
        self._free: LifoQueue[Pixels | None] = LifoQueue()
        for _ in range(buffers):
            self._free.put(None)  # made when there is no other

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def buffer(self) -> Pixels:
        """Memory for a batch, (batch_size, size, size, 3) uint8; give it to `encode` or to `give_back`."""
        found = self._free.get()
        return self._made() if found is None else found

    def give_back(self, buffer: Pixels) -> None:
        self._free.put(buffer)

    def encode(self, buffer: Pixels, count: int) -> Future[tuple[Vectors, float]]:
        """The vectors of the first images of a buffer, (count, d), and the seconds that they took. Takes the buffer."""
        return self.run(self._encode, buffer[:count], partial(self._free.put, buffer))

    @property
    def is_in_place(self) -> bool:
        """Whether `encode_in_place` may be asked for."""
        return self._make is None

    def encode_in_place(self, pixels: Pixels, release: Callable[[], None] | None) -> Future[tuple[Vectors, float]]:
        """The same of a batch in memory of somebody else's, who hears of its end. Waits for room like `buffer`."""
        room = self._free.get()

        def done() -> None:
            self._free.put(room)
            if release is not None:
                release()

        return self.run(self._encode, pixels, done)

    def run(self, work: Callable[Given, Result], /, *given: Given.args, **named: Given.kwargs) -> Future[Result]:
        """Have something done between two batches, which would fight with them for the same cores."""
        return self._thread.submit(work, *given, **named)

    def _encode(self, pixels: Pixels, done: Callable[[], None]) -> tuple[Vectors, float]:
        started = time.perf_counter()
        try:
            return self._encoder.encode_images(pixels), time.perf_counter() - started
        finally:
            done()

    def _made(self) -> Pixels:
        size = self._encoder.preprocess.size
        return self._make(self.batch_size) if self._make else np.empty((self.batch_size, size, size, 3), np.uint8)
