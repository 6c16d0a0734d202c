"""Which images are measured: one ID set, some OOD sets, each content once, no content on both sides."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from curator.banks.wordnet.lexicon import word_key


@dataclass(frozen=True, slots=True)
class Found:
    """One datum of a source: its content (None where it could not be read) and the label it came with."""

    image_id: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images of one set and what was left out of it.

    labels: of each image in the order of `image_ids`. copies: data that repeat a content of the set. unreadable: data
    that are no images. excluded: contents that are ID images as well. unlabelled: data that came without a label
    where a choice by label was asked for.
    """

    name: str
    image_ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    data: int
    copies: int = 0
    unreadable: int = 0
    excluded: int = 0
    unlabelled: int = 0


@dataclass(frozen=True, slots=True)
class EvaluationSets:
    """The ID images and the OOD sets, by name in the order given."""

    id: ImageSet
    ood: Mapping[str, ImageSet]

    @property
    def all(self) -> tuple[ImageSet, ...]:
        """The ID set first."""
        return (self.id, *self.ood.values())

    def only(self, image_ids: Container[str]) -> EvaluationSets:
        """The same sets without the images that are not among these."""
        return EvaluationSets(
            _only(self.id, image_ids), {name: _only(item, image_ids) for name, item in self.ood.items()}
        )


def _only(images: ImageSet, image_ids: Container[str]) -> ImageSet:
    kept = [pair for pair in zip(images.image_ids, images.labels, strict=True) if pair[0] in image_ids]
    return replace(images, image_ids=tuple(name for name, _ in kept), labels=tuple(label for _, label in kept))


def choose_sets(
    id_data: Sequence[Found],
    ood_data: Mapping[str, Sequence[Found]],
    *,
    id_labels: Sequence[str] | None = None,
    rest_name: str | None = None,
) -> EvaluationSets:
    """The sets to measure.

    id_labels: take only ID data that came with one of these labels. rest_name: the ID data with another label are the
    OOD set of this name. A content that is in the ID set is in no OOD set.
    """
    wanted = None if id_labels is None else {word_key(label) for label in id_labels}
    chosen = [item for item in id_data if wanted is None or _has_label(item, wanted)]
    unlabelled = 0 if wanted is None else sum(item.label is None for item in id_data)
    id_set = _image_set("id", chosen, frozenset(), unlabelled)
    ood = dict(ood_data)
    if rest_name is not None and wanted is not None:
        rest = [item for item in id_data if item.label is not None and not _has_label(item, wanted)]
        ood[rest_name] = [*ood.get(rest_name, ()), *rest]
    taken = frozenset(id_set.image_ids)
    return EvaluationSets(id_set, {name: _image_set(name, data, taken) for name, data in ood.items()})


def _has_label(item: Found, wanted: set[str]) -> bool:
    return item.label is not None and word_key(item.label) in wanted


def _image_set(name: str, data: Sequence[Found], taken: frozenset[str], unlabelled: int = 0) -> ImageSet:
    labels: dict[str, str | None] = {}
    for item in data:
        if item.image_id is not None:
            labels.setdefault(item.image_id, item.label)
    kept = {image_id: label for image_id, label in labels.items() if image_id not in taken}
    readable = sum(item.image_id is not None for item in data)
    return ImageSet(
        name,
        tuple(kept),
        tuple(kept.values()),
        data=len(data),
        copies=readable - len(labels),
        unreadable=len(data) - readable,
        excluded=len(labels) - len(kept),
        unlabelled=unlabelled,
    )
