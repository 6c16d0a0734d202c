"""Messages between the decode pool and a decode process, over a Unix socket.

A message is a JSON header and raw parts. Nothing is pickled, and a reply must fit what was asked, to the byte, before
memory is given to it: a decoder that a hostile image has taken over can send wrong pixels or none, but cannot make its
parent run code, hold more than those pixels, or wait for good (see `Patience`).
"""

from __future__ import annotations

import json
import math
import select
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from curator.decode import REASONS, DecodeOptions, prepare
from curator.decode.failures import DETAIL_CHARACTERS
from curator.engines.decode_patience import Patience
from curator.types import ImageFacts, Pixels, Preprocess

Prepare: TypeAlias = Callable[[bytes, Preprocess, DecodeOptions], tuple[Pixels, ImageFacts]]
Buffer: TypeAlias = bytes | bytearray | memoryview

NAME_CHARACTERS = 40  # of a format or a mode
OUTCOME_BYTES = 4096  # of JSON, for one image: its detail may be all escapes
TRACE_CHARACTERS = 8_000
HEADER_BYTES = 16 * TRACE_CHARACTERS
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class DecodeFault:
    """Why bytes did not become pixels: a key of `curator.decode.REASONS`, and one line of detail."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """What a decode process is for. `task` must be a function that can be imported by its name.

    memory_limit_bytes: address space that it may take beyond what it holds once it has started.
    cpu_seconds_per_image: processor time after which an image ends it.
    yielding: it leaves the cores to others, as a process of a scan; not where somebody waits for one picture.
    """

    preprocess: Preprocess
    options: DecodeOptions
    task: Prepare = prepare
    memory_limit_bytes: int | None = None
    cpu_seconds_per_image: float | None = None
    yielding: bool = True

    def send(self, channel: socket.socket) -> None:
        fields = {
            "preprocess": asdict(self.preprocess),
            "options": asdict(self.options),
            "task": [self.task.__module__, self.task.__qualname__],
            "limits": [self.memory_limit_bytes, self.cpu_seconds_per_image, self.yielding],
        }
        send(channel, fields)

    @classmethod
    def receive(cls, channel: socket.socket) -> DecodeJob:
        fields, _ = receive(channel)
        lists = {name: tuple(value) for name, value in fields["preprocess"].items() if isinstance(value, list)}
        module, name = fields["task"]
        task: Prepare = getattr(import_module(module), name)
        return cls(
            Preprocess(**fields["preprocess"] | lists), DecodeOptions(**fields["options"]), task, *fields["limits"]
        )


@dataclass(frozen=True, slots=True)
class DecodeReply:
    """What became of a batch: `pixels` (k, size, size, 3) uint8 of those decoded, `outcomes` of all in order."""

    pixels: Pixels
    outcomes: tuple[ImageFacts | DecodeFault, ...]
    cpu_seconds: float

    def send(self, channel: socket.socket) -> None:
        fields = {
            "shape": self.pixels.shape,
            "outcomes": [(isinstance(outcome, DecodeFault), asdict(outcome)) for outcome in self.outcomes],
            "cpu_seconds": self.cpu_seconds,
        }
        send(channel, fields, [self.pixels.data.cast("B")] if self.pixels.size else [])

    @classmethod
    def receive(cls, channel: socket.socket, *, count: int, size: int, waiting: Patience | None = None) -> DecodeReply:
        """The reply to a batch of `count` images for squares of `size`. Raises BadReply for anything else, and
        TaskBroken when the process sends a traceback instead."""
        square = size * size * 3
        most = [HEADER_BYTES + OUTCOME_BYTES * count, square * count]
        fields, parts = receive(channel, most=most, waiting=waiting)
        try:
            if "trace" in fields:
                raise TaskBroken(str(fields["trace"])[-TRACE_CHARACTERS:])
            outcomes = tuple(_outcome(bad, what) for bad, what in fields["outcomes"])
            decoded = sum(isinstance(outcome, ImageFacts) for outcome in outcomes)
            seconds = fields["cpu_seconds"]
            if len(outcomes) != count or sum(map(len, parts)) != square * decoded:
                raise BadReply(f"{len(outcomes)} outcomes and {sum(map(len, parts))} bytes for {count} images")
            if not isinstance(seconds, float) or not math.isfinite(seconds) or seconds < 0:
                raise BadReply("no processor time")
        except (TypeError, ValueError, LookupError, AttributeError) as fault:
            raise BadReply("not a reply") from fault
        pixels = np.frombuffer(parts[0] if parts else b"", np.uint8).reshape(decoded, size, size, 3)
        return cls(pixels, outcomes, seconds)


class TaskBroken(RuntimeError):
    """The decode task raised something else than DecodeFailure. The message is the traceback."""


class BadReply(Exception):
    """A decode process sent something that is no reply to what it was asked."""


def _outcome(bad: Any, what: Any) -> ImageFacts | DecodeFault:
    outcome = DecodeFault(**what) if bad else ImageFacts(**what)
    if isinstance(outcome, DecodeFault):
        good = outcome.reason in REASONS and _is_line(outcome.detail, DETAIL_CHARACTERS)
    else:
        sides = (outcome.width, outcome.height)
        good = all(type(side) is int and 0 < side < 1 << 31 for side in sides) and type(outcome.animated) is bool
        good = good and _is_line(outcome.format, NAME_CHARACTERS) and _is_line(outcome.mode, NAME_CHARACTERS)
        good = good and _is_line(outcome.remark, DETAIL_CHARACTERS)
    if not good:
        raise BadReply("an outcome that cannot be")
    return outcome


def _is_line(text: Any, limit: int) -> bool:
    """Whether it is a text that may stand in the ledger as it is."""
    return isinstance(text, str) and len(text) <= limit and text.isprintable()


def send(
    channel: socket.socket, header: object, parts: Sequence[Buffer] = (), *, waiting: Patience | None = None
) -> None:
    """Write one message: the number of its pieces, their sizes in bytes, the pieces."""
    pieces = [json.dumps(header).encode(), *parts]
    for piece in (struct.pack(f"<{len(pieces) + 1}Q", len(pieces), *map(len, pieces)), *pieces):
        rest = memoryview(piece)
        while rest:
            if waiting is not None:
                waiting.until(channel, select.POLLOUT)
            rest = rest[channel.send(rest[:CHUNK_BYTES]) :]


def receive(
    channel: socket.socket, *, most: Sequence[int] | None = None, waiting: Patience | None = None
) -> tuple[Any, list[bytearray]]:
    """Read one message: its header and its parts. Raises EOFError or ConnectionError when the other side is gone.

    most: how many bytes the header and the parts may have; BadReply, with nothing read of them, for more, and for a
    header that is not JSON.
    """
    (count,) = struct.unpack("<Q", _read(channel, 8, waiting))
    if most is not None and not 1 <= count <= len(most):
        raise BadReply(f"{count} pieces")
    sizes = struct.unpack(f"<{count}Q", _read(channel, 8 * count, waiting))
    if most is not None and any(size > limit for size, limit in zip(sizes, most, strict=False)):
        raise BadReply(f"pieces of {sizes} bytes")
    header, *parts = [_read(channel, size, waiting) for size in sizes]
    try:
        return json.loads(header), parts
    except (ValueError, RecursionError) as fault:
        raise BadReply("not JSON") from fault


def _read(channel: socket.socket, size: int, waiting: Patience | None) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        if waiting is not None:
            waiting.until(channel, select.POLLIN)
        count = channel.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return data
