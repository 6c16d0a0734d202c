"""Measures of an image that say what it is worth as a picture: dark, bright, blurry, of little information.

Definitions and thresholds are those of CleanVision 0.3 (https://github.com/cleanlab/cleanvision, its
image_property module). Its library does not fit: it opens and decodes every file again in processes of its
own, and answers with pandas. Here are measures only; what they are called stands in sql/macros/assessed.sql, since what
is flagged is decided later. Where this differs:

- All is measured on a sample of the whole image, at most SIDE pixels along its longer side, taken without averaging;
  of it brightness takes every second row. So distributions stay those of the image, and cost does not grow with it.
  CleanVision takes brightness and entropy of all pixels, and edges of an averaged copy of this size.
- Edges at the margin do not count. Pillow's filter leaves greys there as they are, which CleanVision takes for edges:
  an even grey of level 200 then deviates by 52, as if it were sharp.
- Entropy is that of grey levels, as CleanVision takes it of images of one channel, so that pixels alone decide. Of
  images of three it takes all levels together, which adds the logarithm of 3; the macro adds it for all.

JPEGs that are decoded at a reduced size are averages, so their samples have fewer extremes and weaker edges:
SCALED_QUALITY_DRIFT bounds what that changes in photographs. Sums are of whole numbers and results are rounded, so
every machine finds the same bits. `python -m tests.bench.quality` shows how often images are flagged, and the cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curator.types import ImageFacts, Quality

SIDE = 64  # of the sample, in pixels; CleanVision's for blurriness
SCALED_QUALITY_DRIFT = Quality(0.1, 0.15, 1.0, 16.0, 30.0)  # absolute differences, scaled against full decode

_DARK_END, _BRIGHT_END = 0.99, 0.05  # the shares of pixels at whose brightness dark and bright images are told
_WEIGHTS = (0.241, 0.691, 0.068)  # of the squares of red, green and blue in perceived brightness
_SQUARES = [np.floor(weight * np.arange(256) ** 2 / 255**2 * 65535).astype(np.uint16) for weight in _WEIGHTS]
_WHITE = sum(int(table[-1]) for table in _SQUARES)
_TIMES_LOGARITHM = np.array([0.0] + [count * math.log2(count) for count in range(1, SIDE * SIDE + 1)])
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class SampledFacts(ImageFacts):
    """Facts with the sample that is still to be measured. Measuring many together takes half the time: between images
    the processor's caches are full of decoding."""

    sample: Image.Image | None = None

    def measured(self) -> ImageFacts:
        quality = None if self.sample is None else picture_quality(self.sample)
        return ImageFacts(
            self.width, self.height, self.format, self.mode, self.animated, self.remark, quality or self.quality
        )


def sampled(image: Image.Image) -> Image.Image:
    """The pixels that are measured, of an image of mode RGB, or RGBA without transparency; of a small one all."""
    longer = max(image.size)
    if longer <= SIDE:
        return image
    width, height = (max(1, side * SIDE // longer) for side in image.size)
    return image.resize((width, height), Image.Resampling.NEAREST)


def picture_quality(image: Image.Image) -> Quality:
    """The measures of an image of mode RGB, or RGBA without transparency."""
    image = sampled(image)
    brightest, darkest = _brightness(image)
    levels = np.frombuffer(image.convert("L").tobytes(), np.uint8)
    counts = np.bincount(levels, minlength=256)
    entropy = math.log2(len(levels)) - float(_TIMES_LOGARITHM.take(counts).sum()) / len(levels)
    return Quality(
        round(brightest, _DIGITS),
        round(darkest, _DIGITS),
        round(entropy, _DIGITS),
        round(_deviation(_edges(levels, image.width)), _DIGITS),
        round(_deviation(counts), _DIGITS),
    )


def _brightness(sample: Image.Image) -> tuple[float, float]:
    """Perceived brightness that 5 % and 99 % of the pixels do not exceed, 0-1."""
    rows = np.frombuffer(sample.tobytes(), np.uint8).reshape(sample.height, -1)
    channels = rows[:: 2 if sample.height > 1 else 1].reshape(-1, len(sample.mode))
    squares = _SQUARES[0].take(channels[:, 0])
    squares += _SQUARES[1].take(channels[:, 1])
    squares += _SQUARES[2].take(channels[:, 2])
    squares.sort()
    last = len(squares) - 1
    return math.sqrt(squares[int(_BRIGHT_END * last)] / _WHITE), math.sqrt(squares[int(_DARK_END * last)] / _WHITE)


def _edges(levels: NDArray[np.uint8], width: int) -> NDArray[np.signedinteger]:
    """How far pixels lie above the mean of the nine around them, times nine, 0-255; none for the pixels at the margin.

    Rows are one after the other in memory, so all are shifted at once; what comes from two rows is cut off at the end.
    """
    inner = len(levels) // width - 2
    if inner < 1 or width < 3:
        return np.zeros(0, np.int32)
    image = levels.astype(np.int16)
    high = image[: -2 * width] + image[width:-width]
    high += image[2 * width :]
    edges = 9 * image[width + 1 : 1 - width]
    edges[:-2] -= high[:-2]
    edges[:-2] -= high[1:-1]
    edges[:-2] -= high[2:]
    np.maximum(edges, 0, out=edges)
    np.minimum(edges, 255, out=edges)
    return edges.reshape(inner, width)[:, :-2].astype(np.int32).ravel()


def _deviation(values: NDArray[np.signedinteger]) -> float:
    """The standard deviation of whole numbers; 0 without any."""
    count = values.size
    if not count:
        return 0.0
    total, squares = int(values.sum()), int(values.dot(values))
    return math.sqrt(count * squares - total * total) / count
