"""Builders of small images whose pixels can be computed by hand."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from curator.types import Preprocess

Encode = Callable[..., bytes]
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@pytest.fixture
def encode() -> Encode:
    """An image as the bytes of a file: `encode(image, "PNG", **save_parameters)`."""

    def encoded(image: Image.Image, format_: str, **parameters: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, format_, **parameters)
        return buffer.getvalue()

    return encoded


@pytest.fixture(scope="session")
def photograph() -> Image.Image:
    """A synthetic photograph, 160 x 120; all corners differ."""
    return synthetic_photograph(160, 120, seed=1)


def synthetic_photograph(width: int, height: int, *, seed: int) -> Image.Image:
    """Noise with the 1/f spectrum of natural images, whose channels are alike as those of natural images are."""
    noise = np.random.default_rng(seed).standard_normal((3, height, width))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    radius = np.hypot(rows, columns)
    radius[0, 0] = 1.0
    pixels = np.fft.irfft2(np.fft.rfft2(noise) / radius, s=(height, width))
    pixels = 0.8 * pixels[:1] + 0.2 * pixels
    pixels = (pixels - pixels.mean()) / pixels.std() * 50 + 128
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


@pytest.fixture(scope="session")
def large_photograph() -> Image.Image:
    """The same at 1,531 x 1,101, for reduced decoding: no side is a multiple of 8."""
    return synthetic_photograph(1531, 1101, seed=2)


@pytest.fixture(scope="session")
def strip_photograph() -> Image.Image:
    """The same at 2,709 x 301, beyond the extreme aspect."""
    return synthetic_photograph(2709, 301, seed=4)


def fit_by_pillow(image: Image.Image, preprocess: Preprocess) -> NDArray[np.uint8]:
    """As torchvision does it, with Pillow told to go along rows first: its 13th version chooses by itself."""
    size, side, filter_ = preprocess.size, preprocess.side, FILTERS[preprocess.interpolation]
    (width, height), (short, long) = image.size, sorted(image.size)
    scaled = int(side * long / short)
    wide, high = (scaled, side) if width == long else (side, scaled)
    if preprocess.resize == "squash":
        wide = high = size
    left, top = round((wide - size) / 2), round((high - size) / 2)
    resized = image.resize((wide, height), filter_).resize((wide, high), filter_)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def drift(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> tuple[float, int]:
    """Mean and largest absolute difference of pixels."""
    difference = np.abs(ours.astype(int) - theirs)
    return float(difference.mean()), int(difference.max())
