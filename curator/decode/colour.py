"""8-bit RGB of an image in any mode of Pillow, as a viewer would show it.

CMYK is converted by Pillow's formula and colour profiles are not applied, as in the training data of the encoders.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_DEPTHS = (8, 10, 12, 14, 16)  # bits per sample that sensors and scanners give
_STRIP_PIXELS = 1 << 20  # deep images are scaled in strips, so that float64 costs little memory


def shown(image: Image.Image) -> tuple[Image.Image, str]:
    """`image`, of any mode and loaded, in mode RGB, and a remark on what was chosen on the way; mostly empty.

    Transparency goes on white, which is what a page or a viewer shows; dropping alpha, as `convert("RGB")` does, would
    show whatever colours an editor left beneath. Raises ValueError for a mode that Pillow cannot convert.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        grey, remark = _deep_grey(image)
        return grey.convert("RGB"), remark
    if image.mode in ("P", "PA") and image.palette is None:
        return image.convert("RGB"), "no palette"
    return _shallow(image), ""


def _shallow(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        # Pillow's typing allows None, which is returned only for `inPlace`.
        return ImageCms.applyTransform(image, _lab_to_srgb()) or image
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


@cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _deep_grey(image: Image.Image) -> tuple[Image.Image, str]:
    values = np.asarray(image)
    grey, remark = eight_bits(values)
    transparent = image.info.get("transparency")  # PNG: the one grey value that is transparent
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey), remark


def eight_bits(values: NDArray[Any]) -> tuple[NDArray[np.uint8], str]:
    """Samples (height, width, …) as 8 bits, and a remark that names the map.

    Which is one linear map for all of them, from [black, white] of `_grey_range` to [0, 255]; none for bytes.
    """
    if values.dtype == np.uint8:
        return values, ""
    black, white = _grey_range(*_extremes(values), floating=values.dtype.kind == "f")
    return _scaled(values, black, white), f"scaled from {black:g}..{white:g}"


def _extremes(values: NDArray[Any]) -> tuple[float, float]:
    """The least and the largest finite value; (inf, -inf) where none is finite."""
    if values.dtype.kind != "f":
        return float(values.min()), float(values.max())
    finite = np.isfinite(values)
    return float(values.min(where=finite, initial=np.inf)), float(values.max(where=finite, initial=-np.inf))


def _grey_range(low: float, high: float, *, floating: bool) -> tuple[float, float]:
    """The values that become black and white, from the least and the largest value of the image.

    Files seldom say how many of their bits are used, and 12-bit data in a 16-bit file would come out black. So white
    is the largest value of the smallest usual depth (8, 10, 12, 14, 16 bits) that holds the image; floats up to 1 are
    fractions. Values below 0 or above 65,535 (heights, Hounsfield units) have no usual white: least to largest.
    """
    if low > high:  # no finite value at all
        return 0.0, 1.0
    if low < 0 or high > 65_535:
        return low, high
    if floating and high <= 1.0:
        return 0.0, 1.0
    return 0.0, float(next(2**bits - 1 for bits in _DEPTHS if high <= 2**bits - 1))


def _scaled(values: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    """Rounded to the nearest of 256 greys. Not-a-number is black, infinities are black and white."""
    height, width = values.shape[:2]
    grey = np.empty(values.shape, np.uint8)
    step = max(1, _STRIP_PIXELS // width)
    factor = 255.0 / (white - black) if white > black else 0.0
    for top in range(0, height, step):
        strip = np.nan_to_num(values[top : top + step].astype(np.float64), nan=black, posinf=white, neginf=black)
        grey[top : top + step] = np.rint((strip - black) * factor)
    return grey
