"""What the labels that reference images came with mean to a bank: which ID label each is, and which name none.

Systems that learn from ID images by their class must not guess: ImageNet's folders are called `n01440764`, and where no
label names an ID label every image would get the nearest one in silence. A folder that is a source itself is no label,
as it may well be called `known-id`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from curator.banks.wordnet.lexicon import word_key
from curator.errors import UsageError
from curator.evaluation.classes import class_list
from curator.evaluation.labels import LabelMap, label_of, match_labels
from curator.store import Database
from curator.types import Bank, ObjectKind
from curator.workspace.context import Context
from curator.workspace.logs import log

IMAGENET = "imagenet1k"
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class ReferenceLabels:
    """places: of labels as they came, the index of the ID label that each names. images: of each label, these and
    those that name none; unlabelled: images without one."""

    places: Mapping[str, int] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    unlabelled: int = 0

    def place_of(self, uri: str, source_label: str | None, kind: ObjectKind) -> int | None:
        """The index of the ID label of an image, None where its label names none."""
        return self.places.get(label_of(uri, source_label, kind) or "")

    @property
    def unknown(self) -> list[str]:
        """Labels that name no ID label, the most frequent first."""
        return sorted(self.images.keys() - self.places.keys(), key=lambda label: (-self.images[label], label))

    @property
    def account(self) -> dict[str, object]:
        """Images by how they got their ID label, and the labels that name none: JSON values for the lineage."""
        named = sum(self.images[label] for label in self.places)
        rest = self.unlabelled + sum(self.images[label] for label in self.unknown)
        counts = {"by_label": named, "by_nearest": 0, "left_out": rest}
        if not named:
            counts |= {"by_nearest": rest, "left_out": 0}
        return {**counts, "unknown": self.unknown}

    @property
    def fault(self) -> str | None:
        """A line where images came with labels and none of them names an ID label."""
        if self.places or not self.unknown:
            return None
        some = ", ".join(self.unknown[:EXAMPLES])
        return f"none of the {len(self.unknown)} labels of the reference images is an ID label, such as {some}"

    @property
    def partly_unknown(self) -> str | None:
        """A line where labels of some images name an ID label, and those of others none."""
        if not (self.places and self.unknown):
            return None
        count, total = sum(self.images[label] for label in self.unknown), self.unlabelled + sum(self.images.values())
        more = ", …" if len(self.unknown) > EXAMPLES else ""
        some = ", ".join(self.unknown[:EXAMPLES])
        return f"{count} of {total} reference images have labels that are no ID label ({some}{more})"


def reference_labels(context: Context, database: Database, bank: Bank) -> ReferenceLabels:
    """Raises ConfigError for a labels map that cannot be read, and for labels that are not clear."""
    names = context.label_map
    sources = {row["source"].rstrip("/") for row in database.rows("list_reference_sources")}
    roots = sources | {source.rpartition("/")[0] for source in sources}  # the folder of a file or of a plain glob
    rows = database.rows("count_reference_labels")
    came = [None if names is None else label_of(row["folder"], row["source_label"], row["kind"]) for row in rows]
    places = match_labels(filter(None, came), bank.id_texts, with_imagenet(names or LabelMap(), bank))
    images: Counter[str] = Counter()
    unlabelled = 0
    for row, label in zip(rows, came, strict=True):
        is_root = row["source_label"] is None and row["folder"].rstrip("/") in roots
        if label is None or (is_root and label not in places):
            unlabelled += row["images"]
        else:
            images[label] += row["images"]
    return ReferenceLabels({label: places[label] for label in images if label in places}, images, unlabelled)


def with_imagenet(names: LabelMap, bank: Bank) -> LabelMap:
    """ImageNet's names of WordNet ids too, where they are ID labels: published as they are, two ids may share one."""
    known = {word_key(text) for text in bank.id_texts}
    shipped = class_list(IMAGENET, where="labels_map").label_map.names
    return LabelMap({**{key: name for key, name in shipped.items() if word_key(name) in known}, **names.names})


def require_labels(labels: ReferenceLabels, what: str) -> None:
    """Raises UsageError where images came with labels and none of them names an ID label of the bank."""
    if labels.fault is not None:
        raise UsageError(
            f"{what}: {labels.fault}",
            hint="name them by --labels-map FILE (CSV of key,label; or scan.labels_map; imagenet1k ships), or say "
            "--labels-map nearest: each image is of its nearest ID label then",
        )


def look_at_labels(context: Context, database: Database, bank: Bank) -> None:
    """For what does not need them: raises UsageError for a labels map that names nothing; without one it is a warning
    for systems that will, and one where only some labels name an ID label."""
    labels = reference_labels(context, database, bank)
    if context.config.scan.labels_map:
        require_labels(labels, f"labels map {context.config.scan.labels_map}")
    elif labels.fault is not None:
        log.warning("%s; banks that learn by class want --labels-map", labels.fault)
    elif labels.partly_unknown is not None:
        log.warning("%s: a labels map tells what they mean", labels.partly_unknown)
