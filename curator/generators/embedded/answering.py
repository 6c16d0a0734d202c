"""What the embedded describer, reasoner and painter share: how they read requests, answer them, and refuse them.

They see no prompt text: a request is its prompt's name, its slots, the vector of its picture and the turns before. What
cannot be answered is a final fault, since asking again would end the same way.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from curator.generators.answers import AnswerFault, read_answer
from curator.generators.requests import Reply, Request
from curator.types import Vectors

# What a follow-up may go on from, whatever it was: `far-outliers-more` asks for "more of the same kind", and EOE sends
# it after its questions about one class as well. Every other follow-up names what it goes on from.
ANY_MORE = "far-outliers-more"
OPENINGS = frozenset(
    {
        *("look-alikes", "near-outliers", "near-outliers-image", "near-irrelevant", "near-dissimilar"),
        *("far-outliers", "fine-outliers", "sketch", "elaborate", "elaborate-lake", "elaborate-words"),
    }
)


class Refused(ValueError):
    """A request that an embedded generator cannot serve, now or later."""


def answer_each(
    requests: Sequence[Request], allow: Callable[[], bool], answer: Callable[[Request], Reply]
) -> Iterator[Reply]:
    """The replies of embedded generators: one request after the other, whatever is refused as a final fault."""
    for position, request in enumerate(requests):
        if not allow():
            return
        started = perf_counter()
        try:
            reply = answer(request)
        except Refused as fault:
            reply = Reply(position, fault=str(fault), final=True)
        yield replace(reply, position=position, seconds=perf_counter() - started)


def text_slot(request: Request, name: str) -> str:
    value = request.slots.get(name)
    if not isinstance(value, str):
        raise Refused(f"the prompt {request.prompt.name} names no {name}")
    return value


def count_slot(request: Request) -> int:
    value = request.slots.get("count")
    if type(value) is not int or value < 1:
        raise Refused(f"the prompt {request.prompt.name} asks for no number of answers")
    return value


def picture_vector(request: Request) -> Vectors:
    """(d,) of the first picture. Raises Refused without one: an embedded generator has no eyes of its own."""
    vector = request.pictures[0].vector if request.pictures else None
    if vector is None:
        raise Refused(f"the prompt {request.prompt.name} needs a picture whose vector is known")
    return vector


@dataclass(frozen=True, slots=True)
class Question:
    """A request as the reasoner sees it: the slots of the turn that began it, how many answers, and what was said."""

    name: str
    request: Request
    count: int
    said: tuple[str, ...]

    @classmethod
    def of(cls, request: Request) -> Question:
        """Of a `-more` it is the question that its conversation began with: the last one that may be gone on from.
        Raises Refused where there is none."""
        asked = request.prompt.name
        name = asked.removesuffix("-more")
        count, said = count_slot(request), tuple(said_before(request))
        if name == asked:
            return cls(name, request, count, said)
        wanted = OPENINGS if asked == ANY_MORE else {name, f"{name}-lake"}
        for turn in reversed(request.history):
            if turn.request.prompt.name in wanted:
                return cls(turn.request.prompt.name, turn.request, count, said)
        raise Refused(f"the prompt {asked} goes on from a conversation that has none of {', '.join(sorted(wanted))}")

    def text(self, slot: str) -> str:
        return text_slot(self.request, slot)

    def texts(self, slot: str) -> tuple[str, ...]:
        value = self.request.slots.get(slot)
        if not isinstance(value, tuple) or not value:
            raise Refused(f"the prompt {self.request.prompt.name} names no {slot}")
        return value


def said_before(request: Request) -> Iterator[str]:
    """The labels of earlier answers; one that could not be read said nothing."""
    for turn in request.history:
        try:
            yield from read_answer(turn.request.prompt, turn.reply).labels
        except AnswerFault:
            continue


def digest_of(*parts: object) -> str:
    """12 hexadecimal digits that name what shapes answers: JSON values, and arrays by their bytes."""
    digest = hashlib.sha256()
    for part in parts:
        plain = [str(part.shape).encode(), np.ascontiguousarray(part).tobytes()] if isinstance(part, np.ndarray) else []
        digest.update(b"".join(plain) or json.dumps(part, ensure_ascii=True).encode())
    return digest.hexdigest()[:12]


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Has torch, where it is loaded, compute on one thread, and gives it back as many as it had.

    Every small product of several threads waits for the one that does not run. On two cores, of which other processes
    used one, 200 descriptions took 36.8 s with torch's own two threads and 5.1 s with one (2026-11-25).
    """
    torch: Any = sys.modules.get("torch")  # not imported: the encoder may be another's
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
