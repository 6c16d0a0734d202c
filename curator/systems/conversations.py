"""What systems share when they talk to a reasoner: conversations that remember what was said, and counts of calls.

Each reply is read by itself (EOE's code joins the texts of several turns, and fuses labels where they meet), and a
label that was heard in a conversation is not heard again, whatever its case.

A model holds so many tokens of a conversation. Lists of classes that are too long are thinned out, and a conversation
that outgrows the model forgets its oldest turns, but never the one that began it and never its picture. What a text
takes is estimated from its length, and corrected by what the model said that the turns before took.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from curator.errors import BankError
from curator.generators.asking import Call
from curator.generators.prompts import Slot, load_prompt
from curator.generators.requests import BYTES_A_TOKEN, Picture, Request, Turn
from curator.systems.cleaning import Cleaned, looser, losses


@dataclass(frozen=True, slots=True)
class Heard:
    """A label and the call that gave it."""

    text: str
    call_id: str


FILLED = 0.95  # of the room: turns differ in how many tokens a byte is
CLASSES_SHARE = 4  # a list of classes may take one part of so many of what a conversation may have


@dataclass(slots=True)
class Conversation:
    """One thread of turns. `heard` are its labels in order; `over` when a call failed or brought nothing new.

    opening: the prompt whose turn is never forgotten. room: tokens that the model has for all of it before the answer,
    None for no limit. forgotten: turns left out. counted: tokens that the model counted of the last request, and those
    that were estimated of it.
    """

    seed: int
    opening: str = ""
    room: int | None = None
    history: tuple[Turn, ...] = ()
    heard: dict[str, Heard] = field(default_factory=dict)
    over: bool = False
    forgotten: int = 0
    counted: tuple[int, int] = (1, 1)

    def request(self, prompt: str, slots: Mapping[str, Slot], pictures: Sequence[Picture] = ()) -> Request:
        """The next turn, after as much of the history as fits. Pictures stand in this turn only: later ones find them
        in the history. `slots` may hold more than the prompt has places for."""
        loaded = load_prompt(prompt)
        wanted = {name: slots[name] for name in loaded.slots}
        made = Request(loaded, wanted, pictures=tuple(pictures), history=self.history, seed=self.seed)
        while self.room is not None and self._expected(made) > FILLED * self.room and self._forget():
            made = replace(made, history=self.history)
        return made

    def _expected(self, request: Request) -> float:
        """Tokens that the model will count: what is new in full, since pictures may take less than is estimated."""
        counted, estimated = self.counted
        return max(request.tokens + counted - estimated, request.tokens * counted / estimated)

    def _forget(self) -> bool:
        """Leaves the oldest turn out that may be; False where there is none."""
        for place, turn in enumerate(self.history):
            if turn.request.prompt.name != self.opening:
                self.history = self.history[:place] + self.history[place + 1 :]
                self.forgotten += 1
                return True
        return False

    def remember(self, call: Call) -> bool:
        """Makes an answered call part of the history; False, and nothing changes, for any other."""
        if call.status != "answered":
            return False
        counted = call.facts.get("prompt_tokens")
        if isinstance(counted, int) and counted > 0:
            self.counted = counted, call.request.tokens
        self.history = (*self.history, call.turn)
        return True

    def hear(self, call: Call) -> list[Heard]:
        """Remembers a call and takes its labels in. Returns those that are new to the conversation, in order."""
        new = {}
        if self.remember(call):
            found = ((label.casefold(), Heard(label, call.call_id)) for label in call.labels)
            new = {key: heard for key, heard in found if key not in self.heard}
        self.heard |= new
        self.over = not new
        return list(new.values())


def portions(texts: Sequence[str], room: int | None) -> list[tuple[str, ...]]:
    """Lists that each may stand in a prompt: one of all texts, or several where it is too long, each drawn evenly."""
    listed = math.ceil(len("; ".join(texts).encode()) / BYTES_A_TOKEN)
    count = 1 if room is None else max(1, math.ceil(listed * CLASSES_SHARE / room))
    return [tuple(texts[first::count]) for first in range(min(count, max(1, len(texts))))]


def tally(calls: Iterable[Call]) -> dict[str, int]:
    """How many calls there were and how they ended; of how many the reply held thoughts, was cut off at its limit of
    tokens, or was a description longer than it was asked for, where any was."""
    counts = {"asked": 0, "answered": 0, "rejected": 0, "failed": 0}
    for call in calls:
        counts["asked"] += 1
        counts[call.status] += 1
        remarks = {
            "with_thoughts": "thought_characters" in call.facts or "reasoning_tokens" in call.facts,
            "cut_off": call.facts.get("finish_reason") == "length",
            "shortened": call.answer is not None and "words_cut" in call.answer.dropped,
        }
        for remark in (name for name, holds in remarks.items() if holds):
            counts[remark] = counts.get(remark, 0) + 1
    return counts


def seed_of(seed: int, *names: str) -> int:
    """31 bits drawn by seed and names: what is drawn for one thing does not depend on what else is drawn."""
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def nothing_left(system: str, calls: Iterable[Call], cleaned: Sequence[Cleaned] = ()) -> BankError:
    """The error of a system whose calls gave nothing that may become a negative. cleaned: what became of their
    labels."""
    counts, lost, other = tally(calls), losses(cleaned), looser(cleaned)
    said = f"{system}: nothing is left: of {counts['asked']} calls {counts['answered']} were answered"
    hint = "see `curator query calls`"
    if other is not None:
        hint = f"`-s max_cosine={other[0]:.2f}` keeps {other[1]} of them; see `curator query calls`"
    return BankError(f"{said}; {lost}" if lost else said, hint=hint)
