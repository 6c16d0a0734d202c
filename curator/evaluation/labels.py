"""Labels that came with images, made comparable with the ID labels of a bank.

A label is compared without case and with `_` as a space. Class numbers and WordNet ids (`n01440764`) mean nothing to a
bank of names; a labels map gives their names.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curator.banks.labels import LONGEST_LABEL
from curator.banks.wordnet.lexicon import word_key
from curator.errors import ConfigError
from curator.printable import text_fault
from curator.types import ObjectKind

HEADER = ("key", "label")


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Names of source labels, by their key; a label that is not in it is its own name."""

    names: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, source_label: str) -> str:
        return self.names.get(word_key(source_label), source_label)


def read_label_map(path: Path) -> LabelMap:
    """A table of two columns, key and label, split by tabs (`.tsv`, `.tab`, `.txt`) or commas; a first row `key,label`
    is its heading. Raises ConfigError, naming the line, for a row of another form or a key that comes twice."""
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), delimiter=delimiter))
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise ConfigError(
            f"{path}: the labels map cannot be read: {fault}", hint="a CSV of key,label in UTF-8"
        ) from fault
    names: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        fields = [field.strip() for field in row]
        if not any(fields) or (number == 1 and tuple(map(str.lower, fields)) == HEADER):
            continue
        if len(fields) != 2 or not all(fields):
            raise ConfigError(f"{path}: line {number} is not a key and a label", hint="such as: n01440764,tench")
        if (wrong := text_fault(fields[1], longest=LONGEST_LABEL)) is not None:
            raise ConfigError(f"{path}: line {number}: the label {wrong}", hint="such as: n01440764,tench")
        if names.setdefault(word_key(fields[0]), fields[1]) != fields[1]:
            raise ConfigError(f"{path}: line {number} gives {fields[0]!r} a second label", hint="remove one of the two")
    return LabelMap(names)


def label_of(uri: str, source_label: str | None, kind: ObjectKind) -> str | None:
    """The label that an image came with: that of its tar sample or Parquet row, or the folder of a loose file."""
    if source_label is not None or kind != "file":
        return source_label
    return uri.rpartition("/")[0].rpartition("/")[2] or None


def id_label_accuracy(
    predicted: Sequence[int], came_with: Sequence[str | None], id_labels: Sequence[str]
) -> tuple[int, int]:
    """How many images have their own label nearest, and how many came with a label that the bank has as an ID label.

    predicted: (n,) places in `id_labels`; came_with: (n,) the label of each image, None for none. Equal names in
    `id_labels` are one class.
    """
    keys = [word_key(label) for label in id_labels]
    known = set(keys)
    usable = [
        (keys[place], word_key(label))
        for place, label in zip(predicted, came_with, strict=True)
        if label is not None and word_key(label) in known
    ]
    return sum(nearest == own for nearest, own in usable), len(usable)
