"""Messages between the decode pool and a decode process, over a Unix socket.

Facts and faults of many images are columns of a message. Bytes and pixels are in shared memory (see `parcels`), whose
descriptors come from the parent only. A reply must fit what was asked before anything is made of it: a decoder that a
hostile image has taken over can send wrong pixels or none, but cannot make its parent run code, hold more than those
pixels, or wait for good (see `Patience`).
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.decode import REASONS, DecodeOptions, prepare_sampled
from curator.decode.failures import DETAIL_CHARACTERS
from curator.engines.decode_patience import Patience
from curator.engines.messages import TRACE_CHARACTERS, BadReply, receive, receive_with, send
from curator.engines.parcels import Parcel, PixelSlots, mapped
from curator.types import ImageFacts, Pixels, Preprocess, Quality

Prepare: TypeAlias = Callable[[bytes, Preprocess, DecodeOptions], tuple[Pixels, ImageFacts]]

NAME_CHARACTERS = 40  # of a format or a mode
OUTCOME_BYTES = 4096  # of JSON, for one image: its detail may be all escapes
HEADER_BYTES = 16 * TRACE_CHARACTERS
MOST_QUALITY = Quality(1.0, 1.0, 8.0, 128.0, 256.0)


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
    task: Prepare = prepare_sampled
    memory_limit_bytes: int | None = None
    cpu_seconds_per_image: float | None = None
    yielding: bool = True

    def send(self, channel: socket.socket, slots: PixelSlots) -> None:
        """Tell a process what it is for and where it writes pixels."""
        fields = {
            "preprocess": asdict(self.preprocess),
            "options": asdict(self.options),
            "task": [self.task.__module__, self.task.__qualname__],
            "limits": [self.memory_limit_bytes, self.cpu_seconds_per_image, self.yielding],
            "slots": slots.shape,
        }
        send(channel, fields, slots.descriptor)

    @classmethod
    def receive(cls, channel: socket.socket) -> tuple[DecodeJob, NDArray[np.uint8]]:
        """The job, and the slots for pixels, (slots, images, size, size, 3)."""
        fields, (descriptor,) = receive_with(channel)
        lists = {name: tuple(value) for name, value in fields["preprocess"].items() if isinstance(value, list)}
        module, name = fields["task"]
        task: Prepare = getattr(import_module(module), name)
        slots = mapped(descriptor, tuple(fields["slots"]), writable=True)
        os.close(descriptor)
        preprocess, options = Preprocess(**fields["preprocess"] | lists), DecodeOptions(**fields["options"])
        return cls(preprocess, options, task, *fields["limits"]), slots


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """Images of a parcel to decode, by offset and size in bytes, and the slot that their squares go to."""

    places: list[tuple[int, int]]
    slot: int

    def send(self, channel: socket.socket, parcel: Parcel, *, waiting: Patience) -> None:
        send(channel, [self.places, self.slot], parcel.descriptor, waiting=waiting)

    @classmethod
    def receive(cls, channel: socket.socket) -> tuple[DecodeRequest, int]:
        """The request, and the descriptor of its parcel."""
        (places, slot), (descriptor,) = receive_with(channel)
        return cls(places, slot), descriptor


@dataclass(frozen=True, slots=True)
class DecodeReply:
    """What became of a batch, in order; the squares of those decoded are in its slot, in order."""

    outcomes: tuple[ImageFacts | DecodeFault, ...]
    cpu_seconds: float

    def send(self, channel: socket.socket) -> None:
        good = [outcome for outcome in self.outcomes if isinstance(outcome, ImageFacts)]
        kinds = [(facts.format, facts.mode, facts.animated, facts.remark) for facts in good]
        distinct = list(dict.fromkeys(kinds))
        fields = {
            "count": len(self.outcomes),
            "width": [facts.width for facts in good],
            "height": [facts.height for facts in good],
            "quality": [facts.quality for facts in good],
            "kind": [distinct.index(kind) for kind in kinds],
            "kinds": distinct,
            "faults": [
                (place, outcome.reason, outcome.detail)
                for place, outcome in enumerate(self.outcomes)
                if isinstance(outcome, DecodeFault)
            ],
            "cpu_seconds": self.cpu_seconds,
        }
        send(channel, fields)

    @classmethod
    def receive(cls, channel: socket.socket, *, count: int, waiting: Patience | None = None) -> DecodeReply:
        """The reply to a batch of `count` images. Raises BadReply for anything else, and TaskBroken when the process
        sends a traceback instead."""
        fields = receive(channel, most=HEADER_BYTES + OUTCOME_BYTES * count, waiting=waiting)
        try:
            if "trace" in fields:
                raise TaskBroken(str(fields["trace"])[-TRACE_CHARACTERS:])
            if fields["count"] != count:
                raise BadReply(f"not {count} outcomes")
            outcomes = _outcomes(count, fields)
            seconds = fields["cpu_seconds"]
            if type(seconds) is not float or not math.isfinite(seconds) or seconds < 0:
                raise BadReply("no processor time")
        except (TypeError, ValueError, LookupError, AttributeError) as fault:
            raise BadReply("not a reply") from fault
        return cls(outcomes, seconds)


class TaskBroken(RuntimeError):
    """The decode task raised something else than DecodeFailure. The message is the traceback."""


def _outcomes(count: int, fields: Any) -> tuple[ImageFacts | DecodeFault, ...]:
    """Facts and faults of `count` images, in order, of columns that are as they must be."""
    faults = {place: DecodeFault(reason, detail) for place, reason, detail in fields["faults"]}
    sides = zip(fields["width"], fields["height"], map(_quality, fields["quality"]), strict=True)
    kinds = [(format_, mode, animated, remark) for format_, mode, animated, remark in fields["kinds"]]
    facts = [
        ImageFacts(width, height, *kinds[kind], quality)
        for (width, height, quality), kind in zip(sides, fields["kind"], strict=True)
        if type(width) is type(height) is type(kind) is int and 0 < width < 1 << 31 and 0 < height < 1 << 31
    ]
    if not (
        all(_is_kind(*kind) for kind in kinds)
        and all(fault.reason in REASONS and _is_line(fault.detail, DETAIL_CHARACTERS) for fault in faults.values())
        and all(type(place) is int and 0 <= place < count for place in faults)
        and len(faults) == len(fields["faults"]) == count - len(facts)
        and len(facts) == len(fields["kind"])
    ):
        raise BadReply("an outcome that cannot be")
    decoded = iter(facts)
    return tuple(faults.get(place) or next(decoded) for place in range(count))


def _quality(values: Any) -> Quality | None:
    """Measures that an image can have; not a number is beyond every bound."""
    if values is None:
        return None
    if not all(type(value) is float and 0 <= value <= most for value, most in zip(values, MOST_QUALITY, strict=True)):
        raise BadReply("measures that cannot be")
    return Quality(*values)


def _is_kind(format_: Any, mode: Any, animated: Any, remark: Any) -> bool:
    names = _is_line(format_, NAME_CHARACTERS) and _is_line(mode, NAME_CHARACTERS)
    return names and type(animated) is bool and _is_line(remark, DETAIL_CHARACTERS)


def _is_line(text: Any, limit: int) -> bool:
    """Whether it is a text that may stand in the ledger as it is."""
    return isinstance(text, str) and len(text) <= limit and text.isprintable()
