"""Reduced decoding of large JPEGs against full decoding."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from curator.decode import SCALED_DRIFT, DecodeOptions, decode_image, prepare
from curator.decode.quality import SCALED_QUALITY_DRIFT
from curator.types import Preprocess

SCALED, FULL = DecodeOptions(scaled=True), DecodeOptions(scaled=False)


def drift(data, preprocess):
    """Mean absolute difference of pixels, 0 to 255."""
    scaled, facts = prepare(data, preprocess, SCALED)
    full, full_facts = prepare(data, preprocess, FULL)
    assert replace(facts, quality=None) == replace(full_facts, quality=None)
    apart = np.abs(np.subtract(facts.quality, full_facts.quality))
    assert (apart <= SCALED_QUALITY_DRIFT).all(), apart
    return np.abs(scaled.astype(int) - full).mean()


@pytest.mark.parametrize("size", [64, 224])
def test_drift_is_bounded_on_real_photographs(shared_data, encode, size):
    files = sorted((shared_data / "objects-folder").rglob("*.jpg"))[::100]
    for file in files:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        scale = 2048 / max(image.size)
        large = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        assert 0 < drift(encode(large, "JPEG", quality=90), Preprocess(size)) <= SCALED_DRIFT, file.name


@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("size", [64, 224])
def test_drift_is_bounded_on_synthetic_photographs(large_photograph, encode, size, subsampling, resize):
    data = encode(large_photograph, "JPEG", quality=90, subsampling=subsampling)
    assert 0 < drift(data, Preprocess(size, resize=resize)) <= SCALED_DRIFT


@pytest.mark.parametrize("orientation", range(1, 9))
def test_drift_is_bounded_in_every_orientation(large_photograph, encode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(large_photograph, "JPEG", quality=90, exif=exif)
    assert 0 < drift(data, Preprocess(64)) <= SCALED_DRIFT


def test_drift_is_bounded_beyond_the_extreme_aspect(strip_photograph, encode):
    assert 0 < drift(encode(strip_photograph, "JPEG", quality=90), Preprocess(32)) <= SCALED_DRIFT


def test_the_reduced_image_keeps_its_margin_and_the_facts_their_size(large_photograph, encode):
    data = encode(large_photograph, "JPEG")
    for target in (32, 64, 100, 224, 600, 5000):
        image, facts = decode_image(data, options=DecodeOptions(scale_margin=2), target_size=target)
        assert (facts.width, facts.height) == large_photograph.size
        assert min(image.size) >= min(2 * target, min(large_photograph.size))
    assert decode_image(data, options=SCALED, target_size=64)[0].size == (192, 138)  # an eighth, rounded up


def test_small_images_are_decoded_in_full(photograph, encode):
    assert drift(encode(photograph, "JPEG"), Preprocess(64)) == 0


@pytest.mark.bench
def test_reduced_decoding_is_faster(large_photograph, encode):
    data = encode(large_photograph, "JPEG", quality=90)
    seconds = {}
    for options in (SCALED, FULL):
        started = time.process_time()
        for _ in range(10):
            prepare(data, Preprocess(64), options)
        seconds[options] = time.process_time() - started
    assert seconds[SCALED] * 1.5 < seconds[FULL]
