"""What changed between two banks: labels, spec, and the facts that scores depend on.

Labels are matched by their text; of a text that occurs several times, the first matches the first. Order matters where
a method groups negatives (NegLabel), so labels that only changed place are counted, though not listed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from curator.types import Bank, Label, LabelRole

Change: TypeAlias = Literal["added", "removed", "role", "prompt"]


@dataclass(frozen=True, slots=True)
class LabelChange:
    """One label's change. `role` is the new one, of a removed label the old; `old` and `new` are what differs."""

    change: Change
    role: LabelRole
    label: str
    old: str | None = None
    new: str | None = None


@dataclass(frozen=True, slots=True)
class BankDiff:
    """`spec`: dotted key to (old, new), None where the key is missing. `moved`: the fewest labels, of those in both
    banks, whose removal leaves the others in the same order. Vectors are comparable only within one encoder."""

    changes: tuple[LabelChange, ...]
    moved: int
    spec: Mapping[str, tuple[object, object]]

    def count(self, change: Change, role: LabelRole) -> int:
        return sum(item.change == change and item.role == role for item in self.changes)


def diff_banks(old: Bank, new: Bank) -> BankDiff:
    """From `old` to `new`: removed labels in the old order, then all others in the new order."""
    before, after = _numbered(old.labels), _numbered(new.labels)
    removed = [LabelChange("removed", label.role, label.text) for key, label in before.items() if key not in after]
    changes = [change for key, label in after.items() for change in _changes(before.get(key), label)]
    place = {key: index for index, key in enumerate(before)}
    common = [place[key] for key in after if key in place]
    moved = len(common) - _longest_increasing(common)
    return BankDiff((*removed, *changes), moved, _spec_changes(old.spec, new.spec))


def dotted(tables: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested tables as one, with keys such as `mining.fraction`; a list of tables by number, as `lists.0.file`."""
    flat: dict[str, object] = {}
    for key, value in tables.items():
        if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            value = {str(number): item for number, item in enumerate(value)}
        if isinstance(value, Mapping) and value:
            flat |= dotted(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _numbered(labels: Sequence[Label]) -> dict[tuple[str, int], Label]:
    """Labels by text and how often the text was there before."""
    seen: Counter[str] = Counter()
    numbered = {}
    for label in labels:
        numbered[label.text, seen[label.text]] = label
        seen[label.text] += 1
    return numbered


def _changes(old: Label | None, new: Label) -> Iterator[LabelChange]:
    if old is None:
        yield LabelChange("added", new.role, new.text)
        return
    if old.role != new.role:
        yield LabelChange("role", new.role, new.text, old.role, new.role)
    if old.prompt != new.prompt:
        yield LabelChange("prompt", new.role, new.text, old.prompt, new.prompt)


def _longest_increasing(numbers: Sequence[int]) -> int:
    """The length of the longest increasing subsequence, by patience sorting in n log n."""
    tails: list[int] = []
    for number in numbers:
        place = bisect_left(tails, number)
        tails[place : place + 1] = [number]
    return len(tails)


def _spec_changes(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    before, after = dotted(old), dotted(new)
    keys = dict.fromkeys((*before, *after))
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}
