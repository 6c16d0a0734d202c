"""What an image is worth as a picture: measures against their definitions, worked out the plain way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageFilter

from curator.decode import DecodeOptions, prepare
from curator.decode.quality import SIDE, picture_quality
from curator.types import Preprocess


def defined(image: Image.Image) -> tuple[float, ...]:
    """The measures of an image no larger than the sample, as they are defined."""
    pixels = np.asarray(image.convert("RGB")).astype(float)
    bright = np.sort(np.sqrt(pixels[::2] ** 2 @ [0.241, 0.691, 0.068]).ravel()) / 255
    low, high = (bright[int(share * (len(bright) - 1))] for share in (0.05, 0.99))
    grey = np.asarray(image.convert("L")).astype(int)
    counts = np.bincount(grey.ravel(), minlength=256)
    shares = counts[counts > 0] / grey.size
    edges = Image.fromarray(grey.astype(np.uint8)).filter(ImageFilter.FIND_EDGES)
    inner = np.asarray(edges)[1:-1, 1:-1]
    return low, high, -(shares @ np.log2(shares)), inner.std(), counts.std()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(64, 48), (63, 64), (5, 3), (64, 3)])
def test_measures_are_what_their_definitions_say(photograph, size, mode):
    image = photograph.resize(size).convert(mode)
    assert picture_quality(image) == pytest.approx(defined(image), abs=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2), (1, 5000), (5000, 1)])
def test_images_without_an_inside_have_no_edges(size):
    quality = picture_quality(Image.new("RGB", size, "white"))
    assert quality[:4] == (1.0, 1.0, 0.0, 0.0)
    assert quality.level_deviation > 0


def test_a_large_image_is_measured_on_a_sample_that_keeps_its_extremes(large_photograph):
    quality = picture_quality(large_photograph)
    width, height = (side * SIDE // large_photograph.width for side in large_photograph.size)
    averaged = picture_quality(large_photograph.resize((width, height)))
    assert quality.edge_deviation > averaged.edge_deviation
    pixels = np.sqrt(np.asarray(large_photograph).astype(float) ** 2 @ [0.241, 0.691, 0.068]) / 255
    assert quality[:2] == pytest.approx(np.quantile(pixels, [0.05, 0.99]), abs=0.02)


def test_channels_that_are_alike_count_once(photograph, encode):
    grey, options = photograph.convert("L"), DecodeOptions()
    found = {prepare(encode(grey.convert(mode), "PNG"), Preprocess(16), options)[1].quality for mode in ("L", "RGB")}
    assert len(found) == 1 and not any(map(math.isnan, *found))


def test_measures_do_not_depend_on_the_encoder(photograph, encode):
    data = encode(photograph, "PNG")
    wanted = [Preprocess(16), Preprocess(224, "squash"), Preprocess(32, resize_to=48)]
    assert len({prepare(data, preprocess, DecodeOptions())[1].quality for preprocess in wanted}) == 1
