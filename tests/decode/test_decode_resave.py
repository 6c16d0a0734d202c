"""Images saved once more: how good a JPEG is, and what becomes of sides and bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from curator.decode import DecodeFailure, DecodeOptions, SavedFormat, format_of, prepare, resaved
from curator.decode.resave import save
from curator.types import Preprocess

OPTIONS = DecodeOptions()


def picture(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def saved(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def quality(data: bytes) -> int:
    pixels, _ = format_of(data, Preprocess(1), OPTIONS)
    assert pixels.shape == (1, 1, 3) and pixels.dtype == np.uint8
    return int(pixels[0, 0, 0])


def test_every_quality_of_libjpeg_is_read_from_its_tables():
    image = picture(8, 8)
    assert [quality(saved(image, quality=value)) for value in range(1, 101)] == list(range(1, 101))


def test_tables_of_another_program_are_taken_for_the_nearest_quality():
    between = [(a + b) // 2 for a, b in zip(*(tables(value) for value in (60, 70)), strict=True)]
    assert 60 < quality(saved(picture(8, 8), qtables=[between, between])) < 70


def tables(value: int) -> list[int]:
    return list(Image.open(io.BytesIO(saved(picture(8, 8), quality=value))).quantization[0])


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "TIFF"])
def test_what_is_no_jpeg_has_lost_nothing(form):
    assert quality(saved(picture(8, 8), form)) == 100


def test_an_image_is_saved_with_the_shortest_side_and_the_quality_that_are_asked_for():
    for size, side, expected in (((60, 40), 20, (30, 20)), ((40, 60), 80, (80, 120)), ((1, 1), 16, (16, 16))):
        data = save(picture(*size), SavedFormat(side, 35))
        assert Image.open(io.BytesIO(data)).size == expected
        assert quality(data) == 35


def test_of_a_strip_only_the_middle_is_saved():
    assert Image.open(io.BytesIO(save(picture(1, 5000), SavedFormat(100, 50)))).size == (100, 800)


def test_pixels_are_those_of_the_saved_image_and_facts_those_of_the_first_one():
    image, wanted, preprocess = picture(60, 40), SavedFormat(20, 35), Preprocess(32)
    data = saved(image, "PNG")
    pixels, facts = resaved(wanted.before(data), preprocess, OPTIONS)
    expected, _ = prepare(save(image, wanted), preprocess, OPTIONS)
    assert np.array_equal(pixels, expected)
    assert (facts.width, facts.height, facts.format) == (60, 40, "PNG")


@pytest.mark.parametrize("data", [b"", b"no image", saved(picture(64, 64), quality=90)[:300]])
def test_bad_bytes_fail_as_they_do_in_a_scan(data):
    with pytest.raises(DecodeFailure) as fault:
        resaved(SavedFormat(20, 35).before(data), Preprocess(32), OPTIONS)
    with pytest.raises(DecodeFailure) as expected:
        prepare(data, Preprocess(32), OPTIONS)
    assert fault.value.reason == expected.value.reason
