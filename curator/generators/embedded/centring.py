"""One centre for images and texts, so that texts can be ranked by an image in a space that keeps the two apart.

Embedded generators rank words by pictures and pictures' surroundings by words; both go through `Centring` where the
ranking crosses from one to the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.types import Vectors

IMAGE_SHARE = 0.5  # of the images' mean that is taken off: see `Centring`
FEWEST_IMAGES = 64  # for a mean that is the lake's and not that of the images asked about


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, d), each divided by its norm; a row of zeros stays one."""
    rows = vectors.astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return rows


@dataclass(frozen=True)
class Centring:
    """Takes the modality gap out of a ranking of texts by an image: both less their means, divided by their norms.

    Images lie in a cone of their own (Liang et al., Mind the Gap, NeurIPS 2022), so a text near the centre of that cone
    is near every image. The whole mean of the texts is taken off and half that of the images: of 2,201 images whose
    label is among 10,000 nouns curator-mini finds 37.7 % first and 65.3 % among five, against 35.8 % and 62.9 % without
    centring; the whole mean of the images costs more than it gives (32.3 %, 61.6 %). For what most images of a lake
    share is then said of none of them: that is the cost, in a lake of dogs in particular.
    Fewer than 64 images have no mean to speak of, and nothing is centred.
    """

    image_mean: NDArray[np.float64]
    text_mean: NDArray[np.float64]

    @classmethod
    def of(cls, images: Vectors, texts: Vectors) -> Centring:
        """images: (n, d), texts: (t, d)."""
        if len(images) < FEWEST_IMAGES:
            return cls(np.zeros(texts.shape[1]), np.zeros(texts.shape[1]))
        return cls(IMAGE_SHARE * images.mean(axis=0, dtype=np.float64), texts.mean(axis=0, dtype=np.float64))

    def images(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        return unit_rows(vectors - self.image_mean)

    def texts(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        return unit_rows(vectors - self.text_mean)
