"""`[[negatives.banks]]`: the negatives of another bank version, with their texts and prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, ClassVar

from curator.banks.published import Published
from curator.banks.sources.source import Inputs, ReadLabels, SourceLabel
from curator.errors import BankError
from curator.ranges import BANK, Place, read_table
from curator.types import Bank, Label


@dataclass(frozen=True, slots=True)
class BankSource:
    """`bank` is `name`, its newest version, or `name@digest`. The other bank may have another encoder: its prompts are
    encoded again with this bank's. `mine`: its negatives have to win against the other candidates once more.
    `learned`: they keep their sources, and the new bank has what a system learnt of the other: its method goes by both.
    """

    bank: Annotated[str, BANK]
    mine: bool = False
    learned: bool = False

    repeats: ClassVar[bool] = True
    given_by: ClassVar[tuple[str, ...]] = ("bank",)
    files: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parse(cls, table: Mapping[str, object], place: Place, published: Published) -> BankSource:
        return read_table(cls, table, place)

    @property
    def banks(self) -> tuple[str, ...]:
        return (self.bank,)

    def as_mapping(self) -> Mapping[str, object]:
        """Without `learned`, which came later, where it is not set."""
        return {key: value for key, value in asdict(self).items() if key != "learned" or value}

    def read(self, inputs: Inputs) -> ReadLabels:
        bank = inputs.find_bank(self.bank)
        negatives = bank.labels[bank.id_count :]
        if not negatives:
            raise BankError(f"bank {short_address(bank)} has no negatives to take over", hint="remove it from the spec")
        labels = tuple(taken_over(label, bank) for label in negatives)
        if self.learned:
            labels = tuple(replace(new, origin=old.source) for new, old in zip(labels, negatives, strict=True))
        return ReadLabels(labels, {"bank": bank.name, "digest": bank.digest})

    def facts(self, inputs: Inputs) -> Mapping[str, object]:
        """What the new bank's spec has from the other one: which system made it, and what it learnt."""
        spec = inputs.find_bank(self.bank).spec if self.learned else {}
        return {key: spec[key] for key in ("system", "learned") if key in spec}


def taken_over(label: Label, bank: Bank) -> SourceLabel:
    """Raises BankError for a label that has no prompt, which cannot be encoded again."""
    if label.prompt is None:
        raise BankError(f"the label {label.text!r} of bank {short_address(bank)} was not made from a text")
    return SourceLabel(label.text, label.part_of_speech, f"bank:{short_address(bank)}", label.prompt)


def short_address(bank: Bank) -> str:
    return f"{bank.name}@{bank.digest[:12]}"
