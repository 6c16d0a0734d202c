"""An RGB image: as it is stored, decoded at a reduced size, and as the square that an encoder wants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curator.decode.resizing import Box, resized
from curator.types import Preprocess

EXTREME_ASPECT = 8  # beyond it only the centre of the image is resized


@dataclass(frozen=True, slots=True)
class Reduced:
    """How an image that was decoded at a reduced size shows the full one: within `box`, which has fractions of a pixel,
    since libjpeg rounds sizes up. `full_size` is (width, height)."""

    full_size: tuple[int, int]
    box: Box


@dataclass(frozen=True, slots=True)
class Stored:
    """An image as it is stored, in mode RGB, or RGBA without transparency, its `orientation` still to be applied.

    `drafted`: where it is, reduced.
    """

    image: Image.Image
    full_size: tuple[int, int]
    format: str
    mode: str
    animated: bool = False
    orientation: int = 1
    drafted: Box | None = None
    remark: str = ""


def fit(image: Image.Image, preprocess: Preprocess, *, reduced: Reduced | None = None) -> NDArray[np.uint8]:
    """The square that an encoder wants, (size, size, 3) uint8 RGB, writable, from an image of mode RGB, or RGBA without
    transparency.

    What open_clip and torchvision do to an image before they make a tensor of it, within RESIZED_DRIFT of their pixels:
    antialiased resize, then centre crop (`shortest`), or antialiased resize of both sides (`squash`). With `reduced`,
    approximates that of the full image: all geometry is the full one's, only the source of the resize is smaller.

    With `resize_to` the shortest side goes there instead, and the crop takes the centre of `size`.

    `shortest` differs for an image more than 8 times as long as wide: only its central square is resized. The whole of
    it with the short side at `size` may be of any length: 1 x 5,000 pixels would become 224 x 1,120,000.
    """
    size, side = preprocess.size, preprocess.side
    reduced = reduced or Reduced(image.size, (0, 0, *image.size))
    short, long = sorted(reduced.full_size)
    box, (wide, high) = reduced.box, (side, side)
    if preprocess.resize == "squash":
        wide, high = size, size
    elif long > EXTREME_ASPECT * short:
        box = _central_square(box)
    else:
        scaled = int(side * long / short)  # torchvision cuts the long side, it does not round it
        wide, high = (scaled, side) if reduced.full_size[0] == long else (side, scaled)
    left, top = round((wide - size) / 2), round((high - size) / 2)  # and rounds the offsets, halves to even
    crop = _part(box, (wide, high), (left, top, left + size, top + size))
    square = resized(image, (size, size), preprocess.interpolation, crop)
    return np.frombuffer(bytearray(square.tobytes("raw", "RGB")), np.uint8).reshape(size, size, 3)


def _part(box: Box, size: tuple[int, int], crop: tuple[int, int, int, int]) -> Box:
    """Where in an image a crop comes from, which is of what is in `box` at `size`."""
    across, down = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
    left, top, right, bottom = crop
    return box[0] + left * across, box[1] + top * down, box[0] + right * across, box[1] + bottom * down


def _central_square(box: Box) -> Box:
    left, top, right, bottom = box
    side = min(right - left, bottom - top)
    left, top = (left + right - side) / 2, (top + bottom - side) / 2
    return left, top, left + side, top + side
