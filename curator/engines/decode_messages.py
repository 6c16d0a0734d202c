"""What the decode pool and a decode process say to each other over a Unix socket.

A message is a JSON header and raw parts. Nothing is pickled: a decoder that a hostile image has taken over can send
wrong pixels, but cannot make its parent run code.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from curator.decode import DecodeOptions, prepare
from curator.types import ImageFacts, Pixels, Preprocess

Prepare: TypeAlias = Callable[[bytes, Preprocess, DecodeOptions], tuple[Pixels, ImageFacts]]
Buffer: TypeAlias = bytes | bytearray | memoryview


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

    def send(self, channel: socket.socket) -> None:
        fields = {
            "preprocess": asdict(self.preprocess),
            "options": asdict(self.options),
            "task": [self.task.__module__, self.task.__qualname__],
            "limits": [self.memory_limit_bytes, self.cpu_seconds_per_image],
        }
        send(channel, fields)

    @classmethod
    def receive(cls, channel: socket.socket) -> Job:
        fields, _ = receive(channel)
        lists = {name: tuple(value) for name, value in fields["preprocess"].items() if isinstance(value, list)}
        module, name = fields["task"]
        task: Prepare = getattr(import_module(module), name)
        return cls(
            Preprocess(**fields["preprocess"] | lists), DecodeOptions(**fields["options"]), task, *fields["limits"]
        )


@dataclass(frozen=True, slots=True)
class Reply:
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
    def receive(cls, channel: socket.socket) -> Reply:
        """Raises TaskBroken when the process sends a traceback instead."""
        fields, parts = receive(channel)
        if "trace" in fields:
            raise TaskBroken(f"the decode task raised:\n{fields['trace']}")
        pixels = np.frombuffer(parts[0] if parts else b"", np.uint8).reshape(fields["shape"])
        outcomes = (DecodeFault(**what) if bad else ImageFacts(**what) for bad, what in fields["outcomes"])
        return cls(pixels, tuple(outcomes), float(fields["cpu_seconds"]))


class TaskBroken(RuntimeError):
    """The decode task raised something else than DecodeFailure: a programming error."""


def send(channel: socket.socket, header: object, parts: Sequence[Buffer] = ()) -> None:
    """Write one message: the number of its pieces, their sizes in bytes, the pieces."""
    pieces = [json.dumps(header).encode(), *parts]
    channel.sendall(struct.pack(f"<{len(pieces) + 1}Q", len(pieces), *map(len, pieces)))
    for piece in pieces:
        channel.sendall(piece)


def receive(channel: socket.socket) -> tuple[Any, list[bytearray]]:
    """Read one message: its header and its parts. Raises EOFError or ConnectionError when the other side is gone."""
    (count,) = struct.unpack("<Q", _read(channel, 8))
    sizes = struct.unpack(f"<{count}Q", _read(channel, 8 * count))
    header, *parts = [_read(channel, size) for size in sizes]
    return json.loads(header), parts


def _read(channel: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = channel.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return data
