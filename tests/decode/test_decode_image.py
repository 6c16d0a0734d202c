"""Formats, facts, limits and the reasons of failure."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from curator.decode import FORMATS, REASONS, DecodeFailure, DecodeOptions, decode_image, fitting, prepare
from curator.types import Preprocess

OPTIONS = DecodeOptions()
PREPROCESS = Preprocess(32)


def failure(data, options=OPTIONS):
    with pytest.raises(DecodeFailure) as caught:
        prepare(data, PREPROCESS, options)
    fault = caught.value
    assert fault.reason in REASONS
    assert 0 < len(fault.detail) <= 200
    assert fault.detail.isprintable()
    return fault


def png_header(width, height):
    """A PNG that claims a size and has nothing else."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IDAT"


WRITABLE = ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "JPEG2000", "PPM", "ICO", "DDS", "QOI", "PCX", "SGI",
            "DIB", "TGA"]  # fmt: skip


@pytest.mark.parametrize("format_", WRITABLE)
def test_every_format_of_the_list_that_pillow_writes_is_read(encode, photograph, format_):
    image, facts = decode_image(encode(photograph, format_), options=OPTIONS)
    assert facts.format == format_
    if format_ != "ICO":  # icons are written at 128 px
        assert (image.size, facts.width, facts.height) == (photograph.size, *photograph.size)
        assert np.abs(np.asarray(image).astype(int) - np.asarray(photograph)).mean() < 12
    assert not facts.animated


def test_an_mpo_is_its_first_view(encode, photograph):
    data = encode(photograph, "MPO", save_all=True, append_images=[photograph.rotate(180)])
    image, facts = decode_image(data, options=OPTIONS)
    assert (facts.format, facts.animated) == ("MPO", False)
    assert np.abs(np.asarray(image).astype(int) - np.asarray(photograph)).mean() < 12


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_is_its_first_frame_and_says_so(encode, format_):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue", "lime")]
    image, facts = decode_image(encode(frames[0], format_, save_all=True, append_images=frames[1:]), options=OPTIONS)
    assert facts.animated
    assert image.getpixel((20, 15))[0] > 240 > 15 > image.getpixel((20, 15))[2]


def test_a_multi_page_tiff_is_its_first_page(encode):
    pages = [Image.new("RGB", (40, 30), "red"), Image.new("L", (9, 9))]
    image, facts = decode_image(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]), options=OPTIONS)
    assert (facts.width, facts.height, facts.animated) == (40, 30, False)
    assert image.getpixel((0, 0)) == (255, 0, 0)


def test_only_the_second_frame_of_an_animation_is_looked_for(encode):
    frames = [Image.new("L", (40, 30), shade) for shade in (10, 20, 30)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    third = data.rindex(b"\x21\xf9")
    with pytest.raises(EOFError):
        Image.open(io.BytesIO(data[:third])).seek(2)
    assert decode_image(data[:third], options=OPTIONS)[1].animated


@pytest.mark.parametrize("format_", ["EPS", "PDF"])
def test_formats_outside_the_list_are_named(encode, photograph, format_):
    assert failure(encode(photograph, format_)).reason == "unsupported_format"
    assert format_ not in FORMATS


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", "empty", "0 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git_lfs_pointer", "git lfs pull"),
        (b"not an image\n", "text", "not an image"),
        ("größer\n".encode() * 90, "text", "größer"),
        (b"Python is no PPM", "text", "Python"),
        (b"<!DOCTYPE html><html>404</html>", "text", "DOCTYPE"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "unsupported_format", "SVG"),
        (b"\xef\xbb\xbf  <svg/>", "unsupported_format", "SVG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 30, "unsupported_format", "JPEG XL"),
        (bytes(range(128)) + b"DICM" + b"\0" * 60, "unsupported_format", "DICOM"),
        (b"\x93\x00\x01\x02" * 50, "not_an_image", "93 00 01 02"),
        (b"\xff\xd8\xff\xe0\0\x10", "truncated", "JPEG"),
        (b"\xff\xd8\xff", "corrupt", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "truncated", "PNG"),
        (b"BM" + b"\0" * 40, "corrupt", "BMP"),
    ],
)
def test_bytes_that_are_no_image_say_what_they_are(data, reason, detail):
    fault = failure(data)
    assert fault.reason == reason
    assert detail in fault.detail


@pytest.mark.skipif(find_spec("pillow_heif") is not None, reason="HEIF is decoded where pillow-heif is installed")
@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1"])
def test_heif_says_what_to_install(brand):
    fault = failure(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + b"\0" * 30)
    assert fault.reason == "unsupported_format"
    assert "pip install pillow-heif" in fault.detail


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "GIF", "JPEG2000"])
def test_a_cut_image_is_never_half_an_image(encode, photograph, format_):
    data = encode(photograph, format_)
    assert failure(data[: len(data) // 2]).reason in ("truncated", "corrupt")


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "BMP"])
def test_a_cut_image_is_called_truncated_where_pillow_can_tell(encode, photograph, format_):
    data = encode(photograph, format_)
    assert failure(data[: len(data) // 2]).reason == "truncated"


def test_the_pixel_limit_is_checked_on_the_header():
    fault = failure(png_header(60_000, 60_000))
    assert fault.reason == "too_many_pixels"
    assert "60000 x 60000" in fault.detail


def test_the_pixel_limit_is_inclusive(encode, photograph):
    data = encode(photograph, "JPEG")
    pixels = photograph.width * photograph.height
    assert prepare(data, PREPROCESS, DecodeOptions(max_pixels=pixels))[1].width == photograph.width
    assert failure(data, DecodeOptions(max_pixels=pixels - 1)).reason == "too_many_pixels"


def test_an_icon_cannot_hide_a_large_picture_behind_a_small_directory(monkeypatch):
    picture = png_header(60_000, 60_000)
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22) + picture
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert failure(icon).reason == "too_many_pixels"


def test_the_limit_of_pillow_plays_no_part(encode, photograph, monkeypatch):
    data = encode(photograph, "JPEG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)  # Pillow itself would refuse at twice that
    assert prepare(data, PREPROCESS, OPTIONS)[1].width == photograph.width
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert failure(png_header(60_000, 60_000)).reason == "too_many_pixels"


def test_pillow_and_the_warning_filters_are_left_as_they_were(encode, photograph):
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    prepare(encode(photograph, "JPEG"), PREPROCESS, OPTIONS)
    failure(b"nothing")
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_warnings_of_pillow_do_not_escape(encode, photograph):
    data = encode(photograph, "TIFF")
    tag = data.index(struct.pack("<HH", 256, 4))  # make the first tag claim more data than there are
    warned = data[:tag] + struct.pack("<HHII", 0x9999, 4, 1 << 20, 8) + data[tag + 12 :]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        failure(warned)  # width is gone, so it fails; what matters is the silence
    assert not caught


def test_running_out_of_memory_is_the_end_of_the_image_only(encode, photograph, monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    data = encode(photograph, "PNG")
    monkeypatch.setattr(fitting, "resized", exhausted)
    assert failure(data).reason == "out_of_memory"


@given(data=st.data())
def test_damaged_images_decode_or_fail_but_raise_nothing_else(data, damaged_originals):
    original = bytearray(data.draw(st.sampled_from(damaged_originals)))
    for _ in range(data.draw(st.integers(1, 12))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels, facts = prepare(bytes(original), PREPROCESS, DecodeOptions(max_pixels=1_000_000))
    except DecodeFailure as fault:
        assert fault.reason in REASONS
        assert re.fullmatch(r"[^\x00-\x1f]{1,200}", fault.detail)
    else:
        assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
        assert facts.width * facts.height <= 1_000_000


@pytest.fixture(scope="module")
def damaged_originals():
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (12, 16, 3), dtype=np.uint8))
    originals = []
    for format_ in WRITABLE:
        buffer = io.BytesIO()
        image.save(buffer, format_)
        originals.append(buffer.getvalue())
    return originals
