"""An RGB image: as it is stored, decoded at a reduced size, and as the square that an encoder wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curator.types import Preprocess

EXTREME_ASPECT = 8  # beyond it only the centre of the image is resized
_RESAMPLE = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom, in pixels of an image


@dataclass(frozen=True, slots=True)
class Reduced:
    """How an image that was decoded at a reduced size shows the full one: within `box`, which has fractions of a pixel,
    since libjpeg rounds sizes up. `full_size` is (width, height)."""

    full_size: tuple[int, int]
    box: Box


@dataclass(frozen=True, slots=True)
class Stored:
    """An image in mode RGB as it is stored, its `orientation` still to be applied. `drafted`: where it is, reduced."""

    image: Image.Image
    full_size: tuple[int, int]
    format: str
    mode: str
    animated: bool = False
    orientation: int = 1
    drafted: Box | None = None
    remark: str = ""


def fit(image: Image.Image, preprocess: Preprocess, *, reduced: Reduced | None = None) -> NDArray[np.uint8]:
    """The square that an encoder wants, (size, size, 3) uint8 RGB, writable, from an image of mode RGB.

    Equals, bit for bit, what open_clip and torchvision do to a Pillow image before they make a tensor of it:
    antialiased resize, then centre crop (`shortest`), or antialiased resize of both sides (`squash`). With `reduced`,
    approximates that of the full image: all geometry is the full one's, only the source of the resize is smaller.

    With `resize_to` the shortest side goes there instead, and the crop takes the centre of `size`.

    `shortest` differs for an image more than 8 times as long as wide: only its central square is resized. The whole of
    it with the short side at `size` may be of any length: 1 x 5,000 pixels would become 224 x 1,120,000.
    """
    size, side, resample = preprocess.size, preprocess.side, _RESAMPLE[preprocess.interpolation]
    reduced = reduced or Reduced(image.size, (0, 0, *image.size))
    short, long = sorted(reduced.full_size)
    if preprocess.resize == "squash":
        return np.array(image.resize((size, size), resample, box=reduced.box))
    box, (wide, high) = reduced.box, (side, side)
    if long > EXTREME_ASPECT * short:
        box = _central_square(box)
    else:
        scaled = int(side * long / short)  # torchvision cuts the long side, it does not round it
        wide, high = (scaled, side) if reduced.full_size[0] == long else (side, scaled)
    left, top = round((wide - size) / 2), round((high - size) / 2)  # and rounds the offsets, halves to even
    resized = image.resize((wide, high), resample, box=box)
    return np.array(resized.crop((left, top, left + size, top + size)))


def _central_square(box: Box) -> Box:
    left, top, right, bottom = box
    side = min(right - left, bottom - top)
    left, top = (left + right - side) / 2, (top + bottom - side) / 2
    return left, top, left + side, top + side
