"""What a source of negatives is. WordNet, word lists and other banks are each one file of this shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

from curator.banks.published import Published
from curator.errors import BankError
from curator.ranges import Place
from curator.types import Bank

FindBank: TypeAlias = Callable[[str], Bank]  # `name` or `name@digest` to the bank; raises BankError


@dataclass(frozen=True, slots=True)
class SourceLabel:
    """A label as its source offers it. `prompt` is what is encoded (see prompts.py); `origin` becomes `Label.source`.

    `part_of_speech` is `noun`, `adjective` or None; mining counts None as a noun. `word` is the word inside a phrase
    that was made of it: a phrase of an ID name is an ID name too.
    """

    text: str
    part_of_speech: str | None
    origin: str
    prompt: str
    word: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.text,) if self.word is None else (self.text, self.word)


@dataclass(frozen=True, slots=True)
class ReadLabels:
    """What a source read: its labels in order, and what they were read from (file, digest), for the lineage."""

    labels: tuple[SourceLabel, ...]
    lineage: Mapping[str, object]


def no_banks(address: str) -> Bank:
    """The `find_bank` of a build that has no other banks."""
    raise BankError(f"bank {address} cannot be looked up here", hint="build in a workspace: curator bank build")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What sources may read: files relative to the workspace `root`, other banks by address."""

    root: Path
    find_bank: FindBank = no_banks


class LabelSource(Protocol):
    """A frozen dataclass of options, made from a table of the spec; its fields are the table's keys.

    `repeats`: written as `[[negatives.<kind>]]`, any number of them. `given_by`: the fields that only say where the
    labels are; the digest leaves them out. `mine`: its labels are candidates; otherwise all of them are negatives.
    `files` and `banks` are the paths and addresses it reads, so that a build system can know them.
    """

    repeats: ClassVar[bool]
    given_by: ClassVar[tuple[str, ...]]

    @property
    def mine(self) -> bool: ...
    @property
    def files(self) -> tuple[str, ...]: ...
    @property
    def banks(self) -> tuple[str, ...]: ...

    @classmethod
    def parse(cls, table: Mapping[str, object], place: Place, published: Published) -> LabelSource:
        """Checks the table of a spec and fills in defaults. Raises ConfigError that names the key."""

    def as_mapping(self) -> Mapping[str, object]:
        """Its options under the keys of the spec."""

    def read(self, inputs: Inputs) -> ReadLabels:
        """Its labels. Raises ConfigError or BankError for what cannot be read."""
