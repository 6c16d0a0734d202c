"""An image small enough to be looked at, whole, in the square that decode processes answer with.

A square holds it at its top left, and its size follows from the facts: such an answer needs no message of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curator.decode.image import DecodeOptions, decode_image
from curator.types import ImageFacts, Preprocess


def look(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[NDArray[np.uint8], ImageFacts]:
    """The image at the top left of a black square of `preprocess.size`, (size, size, 3) uint8 RGB, and its facts.

    Images are made smaller, never larger. Raises DecodeFailure only.
    """
    side = preprocess.size
    image, facts = decode_image(data, options=options, target_size=side)
    width, height = looked_size(facts, side)
    square = np.zeros((side, side, 3), np.uint8)
    small = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    square[:height, :width] = np.asarray(small)
    return square, facts


def looked_at(square: NDArray[np.uint8], facts: ImageFacts) -> Image.Image:
    """The image of a square that `look` made, in mode RGB."""
    width, height = looked_size(facts, len(square))
    return Image.fromarray(square[:height, :width])


def looked_size(facts: ImageFacts, side: int) -> tuple[int, int]:
    """Width and height with the longer one at most `side`, in the proportions of the image."""
    share = min(1.0, side / max(facts.width, facts.height))
    return max(1, round(facts.width * share)), max(1, round(facts.height * share))
