"""Labels that came with images, made comparable with the ID labels of a bank.

A label is compared without case and with `_` as a space. Class numbers and WordNet ids (`n01440764`) mean nothing to a
bank of names; a labels map gives their names. Of a WordNet id that the map does not have, WordNet itself knows the
names; but one name may stand for several of them, as `crane` for a bird and a machine, which only a map can tell apart.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curator.banks.labels import LONGEST_LABEL
from curator.banks.wordnet import load_wordnet
from curator.banks.wordnet.lexicon import word_key
from curator.errors import ConfigError
from curator.printable import text_fault
from curator.types import ObjectKind

HEADER = ("key", "label")
WNID = re.compile(r"n\d{8}")  # of a noun of WordNet 3.0, as ImageNet names its folders


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
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)  # a label that goes on is seen to
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise ConfigError(
            f"{path}: the labels map cannot be read: {fault}",
            hint='a CSV of key,label in UTF-8; a label with commas or quotes as CSV quotes it: 7,"a ""big"" dog"',
        ) from fault
    names: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        fields = [field.strip() for field in row]
        if not any(fields) or (number == 1 and tuple(map(str.lower, fields)) == HEADER):
            continue
        if len(fields) != 2 or not all(fields):
            raise ConfigError(f"{path}: line {number} is not a key and a label", hint="such as: n01440764,tench")
        if wrong := next(filter(None, (text_fault(field, longest=LONGEST_LABEL) for field in reversed(fields))), None):
            raise ConfigError(f"{path}: line {number} {wrong}", hint="such as: n01440764,tench")
        if names.setdefault(word_key(fields[0]), fields[1]) != fields[1]:
            raise ConfigError(f"{path}: line {number} gives {fields[0]!r} a second label", hint="remove one of the two")
    return LabelMap(names)


def match_labels(labels: Iterable[str], id_labels: Sequence[str], names: LabelMap) -> dict[str, int]:
    """The place of each label among the ID labels: by its name in the map, as it is, or by the nouns of a WordNet id.
    Labels that name no ID label are left out. Raises ConfigError for WordNet ids that are not clearly one ID label."""
    known = {word_key(label): place for place, label in reversed(list(enumerate(id_labels)))}
    found = {label: known.get(word_key(names.name_of(label))) for label in labels}
    for label in sorted(label for label, place in found.items() if place is None and WNID.fullmatch(label)):
        found[label] = _place_of_wnid(label, known)
    by_place: dict[int, str] = {}
    for label, place in sorted(found.items()):
        if place is None or not WNID.fullmatch(label) or word_key(label) in names.names:
            continue
        if (other := by_place.setdefault(place, label)) != label:
            raise _ambiguous(f"{other} and {label} are both", [id_labels[place]])
    return {label: place for label, place in found.items() if place is not None}


def _place_of_wnid(wnid: str, known: Mapping[str, int]) -> int | None:
    """Raises ConfigError where several ID labels are nouns of that synset."""
    try:
        lemmas = load_wordnet().synset(f"{wnid[1:]}-n").lemmas
    except KeyError:
        return None
    named = [lemma for lemma in lemmas if word_key(lemma) in known]
    if len({known[word_key(lemma)] for lemma in named}) > 1:
        raise _ambiguous(f"{wnid} is", named)
    return known[word_key(named[0])] if named else None


def _ambiguous(said: str, names: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"the labels of the reference are not clear: {said} {' and '.join(map(repr, names))} in WordNet",
        hint="say which is which in a labels map, a line each, such as n02012849,crane",
    )


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
