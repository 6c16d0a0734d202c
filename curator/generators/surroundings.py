"""What embedded generators work with: the encoder's space, the ID labels, and vectors of images that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from curator.banks.text_cache import TextCache
from curator.types import Encoder, Vectors

if TYPE_CHECKING:
    from curator.generators.requests import Picture


def no_images() -> Vectors:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Surroundings:
    """The space that generators live in. Vectors are unit norm float32.

    encoder: a function, so that nothing is loaded before it is needed. id_texts: (C,), id_vectors: (C, d).
    image_vectors: a sample of the lake's images (n, d), perhaps none; image_pictures: the same to look at.
    id_image_vectors: of images known or taken to be ID (m, d), with `id_image_labels()` (m,) the index of each one's ID
    label.
    """

    encoder: Callable[[], Encoder]
    encoder_id: str
    text_cache: TextCache
    id_texts: tuple[str, ...]
    id_vectors: Vectors
    image_vectors: Callable[[], Vectors] = field(default=no_images)
    image_pictures: Callable[[], Sequence[Picture]] = field(default=tuple)
    id_image_vectors: Callable[[], Vectors] = field(default=no_images)
    id_image_labels: Callable[[], np.ndarray] = field(default=lambda: np.zeros(0, dtype=np.int64))
    template: str = "The nice {}."
