"""Prompts: versioned TOML files with typed slots, in this package's own wording.

A prompt is data. `[slots]` says what goes into the text and of which type; a value of another type, a missing or an
unknown one is refused, and what is put in is made one line, so that a label or a description cannot add lines of its
own to the instructions. The version is raised with every change of the text: it is part of what names a call.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

from curator.errors import ConfigError, UsageError
from curator.printable import one_line
from curator.ranges import Place, parse_toml, read_table
from curator.resources import read_folder

Slot: TypeAlias = str | int | tuple[str, ...]
SlotType: TypeAlias = Literal["text", "count", "texts"]
AnswerKind: TypeAlias = Literal["labels", "description", "groups", "picture", "verdict"]

PLACE = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One file of this folder. `answer` says which form the reply must have (see answers.py).

    `max_words` of each label or description; 0 for no limit.
    """

    name: str
    version: int
    answer: AnswerKind
    text: str
    slots: Mapping[str, SlotType]
    max_words: int = 0

    @property
    def digest(self) -> str:
        """12 hexadecimal digits of the SHA-256 of text, slots and form of the answer."""
        content = repr((self.text, sorted(self.slots.items()), self.answer, self.max_words))
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def render(self, slots: Mapping[str, Slot]) -> str:
        """The text with its slots filled. Raises UsageError for a missing, unknown or ill-typed slot."""
        if slots.keys() != self.slots.keys():
            odd = ", ".join(sorted(slots.keys() ^ self.slots.keys()))
            raise UsageError(f"prompt {self.name}: the slots do not fit: {odd}", hint=f"known: {', '.join(self.slots)}")
        filled = {name: _filled(self, name, slots[name]) for name in self.slots}
        return PLACE.sub(lambda match: filled[match[1]], self.text).strip()


def _filled(prompt: Prompt, name: str, value: Slot) -> str:
    kind = prompt.slots[name]
    good = {"text": isinstance(value, str), "texts": isinstance(value, tuple), "count": type(value) is int}[kind]
    if not good:
        raise UsageError(f"prompt {prompt.name}: the slot {name} is a {kind}, not {value!r}")
    if isinstance(value, tuple):
        return "; ".join(map(one_line, value)) or "none"
    return one_line(str(value))


def parse_prompt(name: str, text: str) -> Prompt:
    """From TOML. Raises ConfigError when slots and places in the text do not agree, or a key is unknown or missing."""
    where = f"prompt {name}"
    prompt = read_table(Prompt, parse_toml(text, where=where), Place(where, strict=True), given={"name": name})
    places = set(PLACE.findall(prompt.text))
    if places != set(prompt.slots):
        raise ConfigError(
            f"prompt {name}: its text has the places {sorted(places)}, its slots are {sorted(prompt.slots)}"
        )
    return prompt


@cache
def load_prompt(name: str) -> Prompt:
    """The shipped prompt of that name. Raises UsageError for an unknown one."""
    texts = read_folder("curator.generators.prompts", suffix=".toml")
    if name not in texts:
        raise UsageError(f"there is no prompt {name!r}", hint=f"known: {', '.join(texts)}")
    return parse_prompt(name, texts[name])
