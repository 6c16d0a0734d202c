"""What a system sees of the world around one parent bank: images of the lake, ID images, texts, and pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curator.generators.asking import Asking, Call
from curator.generators.requests import Picture
from curator.methods import BankScorer
from curator.systems.cleaning import Cleaner, CleaningRules
from curator.types import Bank, Encoder, Vectors


@dataclass(frozen=True)
class LakeSample:
    """Images with their scores under NegLabel on the parent bank, in the order of `image_ids`.

    vectors: (n, d) as stored. id_score: (n,) in [0, 1]. id_label: (n,) the index of the nearest ID label.
    """

    image_ids: tuple[str, ...]
    vectors: Vectors
    id_score: NDArray[np.float64]
    id_label: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.image_ids)

    def take(self, places: NDArray[np.intp]) -> LakeSample:
        """The images at these places, in this order."""
        ids = tuple(self.image_ids[place] for place in places.tolist())
        return LakeSample(ids, self.vectors[places], self.id_score[places], self.id_label[places])

    def sorted_by_id(self) -> LakeSample:
        """In the order of image ids, so that nothing depends on the order in which images came."""
        return self.take(np.argsort(np.array(self.image_ids, dtype=object), kind="stable"))

    def lowest_first(self) -> LakeSample:
        """In the order of scores, the least ID first; equal ones by id."""
        by_id = self.sorted_by_id()
        return by_id.take(np.argsort(by_id.id_score, kind="stable"))

    def joined(self, other: LakeSample) -> LakeSample:
        """Both samples, one after the other."""
        return LakeSample(
            self.image_ids + other.image_ids,
            np.concatenate([self.vectors, other.vectors]),
            np.concatenate([self.id_score, other.id_score]),
            np.concatenate([self.id_label, other.id_label]),
        )


@dataclass(frozen=True, slots=True)
class IdImage:
    """A reference image. id_label: the index of its ID label. pixels: width times height."""

    image_id: str
    id_label: int
    pixels: int
    byte_size: int


def select_images(images: Iterable[IdImage], per_class: int) -> list[IdImage]:
    """Of each class the images with the most bytes a pixel, the first ones `per_class`; of equal ones by id.

    Classes in the order of their labels. After SynOOD, where ratios are numbers: its code sorts them as strings, 9.5
    above 10.
    """
    by_class: dict[int, list[IdImage]] = defaultdict(list)
    for image in images:
        by_class[image.id_label].append(image)
    return [
        image
        for label in sorted(by_class)
        for image in sorted(
            by_class[label], key=lambda image: (-image.byte_size / max(image.pixels, 1), image.image_id)
        )[:per_class]
    ]


@dataclass(frozen=True, slots=True)
class Suspects:
    """Images of the lake to learn from, by id: `ood` are taken for OOD, no more than calibrated p-values say there are,
    `kept` for ID: they score as well as the better half of the reference."""

    ood: tuple[str, ...]
    kept: tuple[str, ...]


class World(Protocol):
    """A workspace around one parent bank, as systems see it. Reads only; all vectors are of unit norm."""

    @property
    def parent(self) -> Bank:
        """The bank that a system starts from."""

    @property
    def encoder(self) -> Encoder: ...

    @property
    def device(self) -> str:
        """Where streams compute: auto, cpu or a CUDA device."""

    @property
    def base_scorer(self) -> BankScorer:
        """NegLabel on the parent bank: what ANTS, AdaNeg and TANL start from."""

    @property
    def arrival_order(self) -> tuple[str, ...]:
        """Ids of all images of the lake as they arrived. Raises UsageError when there is none."""

    @property
    def id_images(self) -> tuple[IdImage, ...]:
        """The reference images of ID classes, by id."""

    @property
    def suspects(self) -> Suspects | None:
        """The images to learn from; None: by the published rule, from whatever the lake holds."""

    def sample_ids(self, most: int) -> list[str]:
        """Ids of the lake's images, sorted; the first `most`, 0 for all. Raises UsageError when there is none."""

    def look_up(self, image_ids: Sequence[str]) -> LakeSample:
        """Lake images with their scores under NegLabel on the parent bank, in this order."""

    def lake_vectors(self, image_ids: Sequence[str]) -> Vectors:
        """The stored vectors of lake images, (n, d), in this order."""

    def reference_vectors(self, image_ids: Sequence[str]) -> Vectors:
        """The stored vectors of reference images, (n, d), in this order."""

    def neighbours(self, vectors: Vectors, k: int) -> Sequence[Sequence[tuple[str, float]]]:
        """The k nearest images of the lake of each vector (n, d), with their cosines."""

    def picture(self, image_id: str, vector: Vectors) -> Picture:
        """A stored image that a model may look at; its bytes are read when it does."""

    def painted_picture(self, asking: Asking, call: Call) -> Picture:
        """What a painter's call made, to look at, with the vector that it has, or is."""

    def painted_vectors(self, asking: Asking, calls: Sequence[Call]) -> Vectors:
        """The vectors (n, d) of what painter's calls made, one for each. Raises GeneratorError for what has none."""

    def encode(self, prompts: Sequence[str]) -> Vectors:
        """Prompts to vectors, (n, d)."""

    def cleaner(self, rules: CleaningRules) -> Cleaner:
        """The guard of generated labels against the ID labels of the parent."""

    def whole_corpus(self) -> Bank:
        """The parent bank with all candidates that its negatives were mined from in place of these."""
