"""What systems share when they talk to a reasoner: conversations that remember what was said, and counts of calls.

Each reply is read by itself (EOE's code joins the texts of several turns, and fuses labels where they meet), and a
label that was heard in a conversation is not heard again, whatever its case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from curator.errors import BankError
from curator.generators.asking import Call
from curator.generators.prompts import Slot, load_prompt
from curator.generators.requests import Picture, Request, Turn


@dataclass(frozen=True, slots=True)
class Heard:
    """A label and the call that gave it."""

    text: str
    call_id: str


@dataclass(slots=True)
class Conversation:
    """One thread of turns. `heard` are its labels in order; `over` when a call failed or brought nothing new."""

    seed: int
    history: tuple[Turn, ...] = ()
    heard: dict[str, Heard] = field(default_factory=dict)
    over: bool = False

    def request(self, prompt: str, slots: Mapping[str, Slot], pictures: Sequence[Picture] = ()) -> Request:
        """The next turn. Pictures stand in this turn only: later ones find them in the history.

        `slots` may hold more than the prompt has places for.
        """
        loaded = load_prompt(prompt)
        wanted = {name: slots[name] for name in loaded.slots}
        return Request(loaded, wanted, pictures=tuple(pictures), history=self.history, seed=self.seed)

    def remember(self, call: Call) -> bool:
        """Makes an answered call part of the history; False, and nothing changes, for any other."""
        if call.status != "answered":
            return False
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


def nothing_left(system: str, calls: Iterable[Call]) -> BankError:
    """The error of a system whose calls gave nothing that may become a negative."""
    counts = tally(calls)
    return BankError(
        f"{system}: nothing is left: of {counts['asked']} calls {counts['answered']} were answered",
        hint="see `curator query calls`; labels too near to an ID label are dropped by max_cosine",
    )
