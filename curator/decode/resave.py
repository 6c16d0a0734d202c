"""Images saved once more as JPEG, of a size and quality that is asked for, before they are made fit for an encoder.

An archive's images are all of one size and one kind of compression, and encoders see both. Where images of two archives
are compared, they are saved alike first: what then tells them apart is what they show.

Both tasks here run in decode processes and answer as `prepare` does; what they are asked stands before the bytes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curator.decode.failures import DecodeFailure
from curator.decode.fitting import EXTREME_ASPECT
from curator.decode.formats import open_image
from curator.decode.image import DecodeOptions, decode_image, failing, prepare
from curator.decode.metadata import without_metadata
from curator.types import ImageFacts, Preprocess

LOSSLESS = 100  # the quality of what is no JPEG
_HEAD = struct.Struct("<HB")
# Luminance quantisation of quality 50, in reading order: ITU-T T.81 (1992), table K.1.
_LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)


@dataclass(frozen=True, slots=True, order=True)
class SavedFormat:
    """How an image is saved: its shortest side in pixels, and its JPEG quality, 1 to 100 on the scale of libjpeg."""

    side: int
    quality: int

    def before(self, data: bytes) -> bytes:
        """What `resaved` takes for these bytes of an image."""
        return _HEAD.pack(self.side, self.quality) + data


def _table_sum(quality: int) -> int:
    """The sum of the luminance table that libjpeg makes of a quality (jcparam.c, jpeg_quality_scaling)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return int(np.clip((_LUMINANCE * scale + 50) // 100, 1, 255).sum())


_SUMS = np.array([_table_sum(quality) for quality in range(1, 101)])


def quality_of(luminance: Sequence[int]) -> int:
    """The quality, 1 to 100, at which libjpeg's luminance table has the sum nearest to this one's (64 numbers).

    Exact for tables that libjpeg made, an estimate for those of cameras and other programs. Of equally near ones, the
    highest.
    """
    distance = np.abs(_SUMS - sum(luminance))
    return int(100 - np.argmin(distance[::-1]))


def format_of(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[NDArray[np.uint8], ImageFacts]:
    """The JPEG quality of an image in the first number of its one pixel, (1, 1, 3), and its facts.

    `preprocess.size` must be 1. Of what is no JPEG the quality is LOSSLESS. Reads the header alone, where that is
    enough. Raises DecodeFailure only.
    """
    quality = LOSSLESS
    with failing():
        try:
            image = open_image(without_metadata(data), max_pixels=options.max_pixels)
        except DecodeFailure:  # decoded on another way, or not at all
            _, facts = decode_image(data, options=options)
        else:
            facts = ImageFacts(*image.size, str(image.format), image.mode, animated=False)
            if tables := getattr(image, "quantization", None):
                quality = quality_of(tables[min(tables)])
    return np.array([[[quality, 0, 0]]], np.uint8), facts


def resaved(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[NDArray[np.uint8], ImageFacts]:
    """Pixels for an encoder of an image that was first saved as `SavedFormat.before` says, (size, size, 3), and the
    facts of the image as it came. Raises DecodeFailure only."""
    wanted = SavedFormat(*_HEAD.unpack_from(data))
    image, facts = decode_image(data[_HEAD.size :], options=options, target_size=wanted.side)
    with failing():
        again = save(image, wanted)
    pixels, _ = prepare(again, preprocess, options)
    return pixels, facts


def save(image: Image.Image, wanted: SavedFormat) -> bytes:
    """An RGB image as JPEG (4:2:0) with its shortest side as wanted, made larger too where it must be.

    Of an image more than EXTREME_ASPECT times as long as wide the middle only, or a strip of one pixel would fill the
    memory.
    """
    width, height = image.size
    most = EXTREME_ASPECT * min(width, height)
    wide, high = min(width, most), min(height, most)
    left, top = (width - wide) // 2, (height - high) // 2
    share = wanted.side / min(wide, high)
    size = max(1, round(wide * share)), max(1, round(high * share))
    small = image.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + wide, top + high))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=wanted.quality, subsampling="4:2:0")
    return buffer.getvalue()
