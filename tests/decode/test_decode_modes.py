"""Every mode of pixels, as a person would see it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from curator.decode import DecodeOptions, decode_image

OPTIONS = DecodeOptions()
ORIENTATION = 0x0112
# What was done to an upright image when it was stored with that orientation.
STORED = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}


def decoded(data):
    image, facts = decode_image(data, options=OPTIONS)
    assert image.mode == "RGB"
    assert image.size == (facts.width, facts.height)
    return np.asarray(image), facts


def far(left, right):
    return np.abs(np.asarray(left).astype(int) - np.asarray(right)).mean()


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_shown_upright(encode, photograph, format_, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    pixels, facts = decoded(encode(STORED[orientation](photograph), format_, exif=exif, quality=95))
    assert (facts.width, facts.height) == photograph.size
    assert far(pixels, photograph) < 6


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_unknown_orientation_is_ignored(encode, photograph, value):
    exif = Image.Exif()
    exif[ORIENTATION] = value
    assert np.array_equal(decoded(encode(photograph, "PNG", exif=exif))[0], photograph)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0not a directory at all",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\x7f\0\0\0\x70",  # orientation as endless text
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\0\0\0\x70",
    ],
)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_malformed_exif_is_ignored(encode, photograph, format_, exif):
    data = encode(photograph, format_, exif=exif, quality=95)
    assert far(decoded(data)[0], photograph) < 6


def test_a_cmyk_jpeg_shows_its_colours(encode, photograph):
    data = encode(photograph.convert("CMYK"), "JPEG", quality=95)
    pixels, facts = decoded(data)
    assert facts.mode == "CMYK"
    assert far(pixels, photograph) < 3


def test_a_ycck_jpeg_shows_its_colours(encode, photograph):
    # Adobe stores inverted CMYK, and for YCCK turns the inverted CMY into YCbCr: build those planes, then set the
    # transform flag of the Adobe segment from 0 (CMYK) to 2 (YCCK). Pillow inverts what it writes as CMYK.
    luma = Image.fromarray(255 - np.asarray(photograph)).convert("YCbCr").split()
    planes = [plane.point(lambda value: 255 - value) for plane in luma]
    data = bytearray(encode(Image.merge("CMYK", [*planes, Image.new("L", photograph.size, 0)]), "JPEG", quality=95))
    flag = data.index(b"Adobe") + 11
    assert data[flag] == 0
    data[flag] = 2
    pixels, facts = decoded(bytes(data))
    assert facts.mode == "CMYK"
    assert far(pixels, photograph) < 3


def test_lab_is_converted_through_its_profile(encode, photograph):
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    pixels, facts = decoded(encode(ImageCms.applyTransform(photograph, to_lab), "TIFF"))
    assert facts.mode == "LAB"
    assert far(pixels, photograph) < 3


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_transparency_is_shown_on_white(encode, mode):
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    data = encode(image.convert(mode), "TIFF" if mode == "PA" else "PNG")
    assert decoded(data)[0][0].tolist() == [[0, 0, 0], [255, 255, 255], [127, 127, 127]]


def test_a_transparent_palette_entry_is_shown_on_white(encode):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    for transparency in (1, b"\xff\x00"):
        assert decoded(encode(image, "PNG", transparency=transparency))[0][0].tolist() == [[255, 0, 0], [255] * 3]
    assert decoded(encode(image, "PNG"))[0][0].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert decoded(encode(image, "GIF", transparency=1))[0][0].tolist() == [[255, 0, 0], [255] * 3]


@pytest.mark.parametrize(("mode", "colour"), [("L", 7), ("RGB", (7, 7, 7)), ("I;16", 7 * 257), ("1", 0)])
def test_a_transparent_colour_of_a_png_is_shown_on_white(encode, mode, colour):
    shade = 0 if mode == "1" else 7
    image = Image.new(mode, (2, 1), colour)
    image.putpixel((1, 0), {"L": 90, "RGB": (90, 90, 90), "I;16": 65_535, "1": 1}[mode])
    transparent = decoded(encode(image, "PNG", transparency=colour))[0][0, 0].tolist()
    assert (transparent, decoded(encode(image, "PNG"))[0][0, 0].tolist()) == ([255] * 3, [shade] * 3)


def test_bilevel_and_grey_are_shown_as_they_are(encode):
    bilevel = Image.new("1", (2, 1))
    bilevel.putpixel((1, 0), 1)
    grey = Image.new("L", (2, 1), 100)
    for format_ in ("PNG", "TIFF"):
        assert decoded(encode(bilevel, format_))[0][0].tolist() == [[0] * 3, [255] * 3]
        assert decoded(encode(grey, format_))[0][0].tolist() == [[100] * 3] * 2


def deep(values, dtype):
    return Image.fromarray(np.array([values], dtype))


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 257, 128 * 257, 65_535], np.uint16, [0, 1, 128, 255]),  # all 16 bits are used
        ([0, 2048, 4095], np.uint16, [0, 128, 255]),  # a 12-bit sensor in a 16-bit file
        ([0, 512, 1023], np.uint16, [0, 128, 255]),
        ([0, 8192, 16_383], np.uint16, [0, 128, 255]),
        ([0, 7, 255], np.uint16, [0, 7, 255]),  # 8 bits in a 16-bit file
        ([0, 32_768, 65_535], np.int32, [0, 128, 255]),
        ([-1024, 0, 3072], np.int32, [0, 64, 255]),  # Hounsfield units: least to largest
        ([0, 2**30, 2**31 - 1], np.int32, [0, 128, 255]),
        ([-5, -5, -5], np.int32, [0, 0, 0]),
        ([0.0, 0.5, 1.0], np.float32, [0, 128, 255]),  # fractions
        ([0.25, 0.5, 0.75], np.float32, [64, 128, 191]),  # fractions are not stretched
        ([0.0, 100.0, 255.0], np.float32, [0, 100, 255]),
        ([-1.0, 0.0, 1.0], np.float32, [0, 128, 255]),
        ([np.nan, np.inf, 0.5, -np.inf], np.float32, [0, 255, 128, 0]),
        ([np.nan, np.nan, np.nan], np.float32, [0, 0, 0]),
    ],
)
def test_deep_grey_becomes_8_bits_by_a_fixed_rule(encode, values, dtype, expected):
    pixels, _ = decoded(encode(deep(values, dtype), "TIFF"))
    assert pixels[0].tolist() == [[shade] * 3 for shade in expected]


def test_big_endian_and_large_deep_images_follow_the_same_rule(encode):
    values = np.arange(65_536, dtype=np.uint16).repeat(33).reshape(33, 65_536, order="F")
    expected = np.rint(values / 257.0)
    little = encode(Image.fromarray(values), "TIFF")
    big = encode(Image.fromarray(values.astype(">u2")), "TIFF")
    for data in (little, big, encode(Image.fromarray(values), "PNG")):
        assert np.array_equal(decoded(data)[0][..., 0], expected)
