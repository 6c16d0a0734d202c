"""Sound files of rare kinds: decoded where there is a sensible way, or named with what to do; never called damaged."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from curator.decode import DecodeFailure, DecodeOptions, decode_image, fitting, prepare
from curator.types import Preprocess

OPTIONS = DecodeOptions()
BANDS = np.arange(6 * 5 * 13).reshape(6, 5, 13)  # height, width, bands; 0 to 389


def decoded(data):
    image, facts = decode_image(data, options=OPTIONS)
    return np.asarray(image).tolist(), facts


def failure(data, options=OPTIONS):
    with pytest.raises(DecodeFailure) as caught:
        prepare(data, Preprocess(8), options)
    return caught.value


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunks(png, *chunks, after=False):
    """A PNG with more chunks before its pixels, or after them."""
    place = png.rindex(b"IEND") - 4 if after else 33
    return png[:place] + b"".join(chunks) + png[place:]


LARGE, HALF = zlib.compress(bytes(2_000_000)), zlib.compress(bytes(1_000_000))
TEXTS = {
    "zTXt": [chunk(b"zTXt", b"workflow\0\0" + LARGE)],
    "iTXt": [chunk(b"iTXt", b"workflow\0\1\0\0\0" + LARGE)],
    "iCCP": [chunk(b"iCCP", b"scanner\0\0" + LARGE)],
    "70 MB of text": [chunk(b"zTXt", b"k%d\0\0" % n + HALF) for n in range(70)],
    "a text that is named like a property of pixels": [chunk(b"tEXt", b"transparency\0\0")],
    "a large text that may tell which side is up": [chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LARGE)],
    "many of these": [chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(900_000)))] * 80,
    "broken private data": [chunk(b"prIv", b"x")[:-1] + b"?", chunk(b"pHYs", b""), chunk(b"gAMA", b"")],
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_texts_and_profiles_of_a_png_change_nothing(encode, photograph, texts, after):
    plain = encode(photograph, "PNG")
    assert decoded(with_chunks(plain, *texts, after=after)) == decoded(plain)


def test_a_text_of_a_png_that_tells_which_side_is_up_is_kept(encode, photograph):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    turned = with_chunks(encode(photograph, "PNG"), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    assert np.array_equal(decoded(turned)[0], photograph.transpose(Image.Transpose.ROTATE_270))


@pytest.mark.parametrize("where", [b"jp2h", b"jp2c"])
def test_large_boxes_before_the_pixels_of_a_jpeg_2000_change_nothing(encode, photograph, where):
    plain = encode(photograph, "JPEG2000")
    place = plain.index(where) - 4
    box = struct.pack(">I4s", 3_000_008, b"xml ") + bytes(3_000_000)
    assert decoded(plain[:place] + box + plain[place:]) == decoded(plain)


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "TIFF", "AVIF"])
def test_large_profiles_of_other_formats_change_nothing(encode, photograph, format_):
    extra = {"icc_profile": bytes(3_000_000)} if format_ != "AVIF" else {"xmp": bytes(3_000_000)}
    assert decoded(encode(photograph, format_, **extra)) == decoded(encode(photograph, format_))


def tiff(values, **settings):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, metadata=None, **settings)
    return buffer.getvalue()


def scaled(values, white):
    return np.rint(values * (255 / white)).astype(int).tolist()


@pytest.mark.parametrize("bands", [3, 5, 13])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32", "float32", "float64"])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"planarconfig": "separate"},
        {"tile": (16, 16)},
        {"rowsperstrip": 4, "compression": "zlib", "predictor": False},
        {"byteorder": ">", "bigtiff": True},
    ],
    ids=["strip", "planes", "tiles", "deflate", "big"],
)
def test_a_tiff_of_many_bands_is_its_first_three(bands, kind, layout):
    values = (BANDS % 250 if kind == "uint8" else BANDS)[..., :bands].astype(kind)
    stored = values.transpose(2, 0, 1) if "planarconfig" in layout else values
    pixels, facts = decoded(tiff(stored, photometric="minisblack", **{"planarconfig": "contig"} | layout))
    white = 255 if kind == "uint8" or values[..., :3].max() <= 255 else 1023
    assert pixels == scaled(values[..., :3].astype(float), white)
    assert (facts.width, facts.height, facts.format, facts.mode) == (5, 6, "TIFF", f"{bands} x {kind}")
    said = [f"first 3 of {bands} bands"] * (bands > 3) + [f"scaled from 0..{white}"] * (kind != "uint8")
    assert facts.remark == ", ".join(said)


def test_red_green_blue_and_infrared_are_scaled_alike_at_every_depth():
    values = np.full((2, 2, 4), 4095, np.uint16)
    pixels, facts = decoded(tiff(values, photometric="rgb", extrasamples=["unspecified"]))
    assert (pixels[0][0], facts.remark) == ([255] * 3, "first 3 of 4 bands, scaled from 0..4095")
    pixels, facts = decoded(tiff((values >> 4).astype(np.uint8), photometric="rgb", extrasamples=["unspecified"]))
    assert (pixels[0][0], facts.remark) == ([255] * 3, "first 3 of 4 bands")


@pytest.mark.parametrize(
    ("values", "shades", "remark"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [0, 128, 255], "scaled from 0..1"),
        (np.array([[-2.0, 0.0, 2.0, np.nan]], np.float32), [0, 128, 255, 0], "scaled from -2..2"),
        (np.array([[0, 2000, 4095]], np.int16), [0, 125, 255], "scaled from 0..4095"),
        (np.array([[-100, 0, 100]], np.int16), [0, 127, 255], "scaled from -100..100"),
        (np.array([[0, 65536, 131072]], np.uint32), [0, 128, 255], "scaled from 0..131072"),
        (np.array([[-128, 0, 127]], np.int8), [0, 128, 255], "scaled from -128..127"),
    ],
)
def test_deep_grey_is_scaled_and_says_from_where(values, shades, remark):
    pixels, facts = decoded(tiff(values, photometric="minisblack"))
    assert (pixels, facts.remark) == ([[[shade] * 3 for shade in shades]], remark)


def test_deep_grey_with_alpha_is_shown_on_white():
    values = np.array([[[0, 65535], [0, 0], [65535, 65535], [0, 32768]]], np.uint16)
    pixels, facts = decoded(tiff(values, photometric="minisblack", extrasamples=["unassalpha"]))
    assert ([pixel[0] for pixel in pixels[0]], facts.remark) == ([0, 255, 255, 127], "scaled from 0..65535")


def test_white_is_zero_and_turned_pictures_hold_for_every_depth():
    values = np.array([[0.0, 1.0]])
    data = tiff(values, photometric="miniswhite", extratags=[(274, 3, 1, 6, True)])
    assert decoded(data)[0] == [[[255] * 3], [[0] * 3]]


def test_a_grey_png_of_16_bits_says_how_it_is_scaled(encode):
    image = Image.fromarray(np.array([[0, 4095]], np.uint16))
    assert decoded(encode(image, "PNG"))[1].remark == "scaled from 0..4095"
    assert decoded(encode(image.convert("RGB"), "PNG"))[1].remark == ""


def test_a_tiff_that_lacks_data_or_is_too_large_is_no_rare_kind():
    data = tiff(BANDS.astype(np.uint16), photometric="minisblack", planarconfig="contig")
    offset = tifffile.TiffFile(io.BytesIO(data)).pages[0].dataoffsets[0]
    assert failure(data[: offset + 100]).reason == "truncated"
    assert failure(data, DecodeOptions(max_pixels=29)).reason == "too_many_pixels"
    packed = tiff(BANDS.astype(np.uint16), photometric="minisblack", planarconfig="contig", compression="zlib")
    place = tifffile.TiffFile(io.BytesIO(packed)).pages[0].dataoffsets[0] + 30
    broken = packed[:place] + bytes(value ^ 0xFF for value in packed[place : place + 8]) + packed[place + 8 :]
    assert failure(broken).reason == "corrupt"


def test_a_tiff_of_a_compression_that_is_not_there_says_what_to_do():
    data = bytearray(tiff(BANDS.astype(np.uint16), photometric="minisblack", planarconfig="contig"))
    place = data.index(struct.pack("<HHI", 259, 3, 1)) + 8
    data[place : place + 2] = struct.pack("<H", 34887)
    fault = failure(bytes(data))
    assert (fault.reason, "LERC" in fault.detail, "pip install imagecodecs" in fault.detail) == (
        "unsupported_format",
        True,
        True,
    )


def test_a_palette_png_without_its_palette_is_what_pillow_shows(encode, photograph):
    png = encode(photograph.convert("P"), "PNG")
    start = png.index(b"PLTE") - 4
    size = struct.unpack_from(">I", png, start)[0] + 12
    bare = png[:start] + png[start + size :]
    pixels, facts = decoded(bare)
    assert np.array_equal(pixels, Image.open(io.BytesIO(bare)).convert("RGB"))
    assert facts.remark == "no palette"


def jpeg_frame(marker, precision=8, components=3):
    body = struct.pack(">BHHB", precision, 40, 30, components) + b"".join(
        bytes((n, 0x11, 0)) for n in range(components)
    )
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", 2 + len(body)) + body + b"\xff\xda\0\x08" + bytes(90)


PSD = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 4, 4, 16, 3) + bytes(300)
CURSOR = struct.pack("<HHHBBBBHHII", 0, 2, 1, 16, 16, 0, 0, 1, 1, 0x10028, 22) + struct.pack("<I", 40) + bytes(400)
DDS = (
    b"DDS "
    + struct.pack("<7I", 124, 0x1007, 4, 4, 0, 0, 0)
    + bytes(44)
    + struct.pack("<2I4s", 32, 4, b"XYZW")
    + bytes(80)
)
UNDECODED = {
    "JPEG of 12 bits": jpeg_frame(0xC1, 12),
    "lossless JPEG of 16 bits": jpeg_frame(0xC3, 16),
    "JPEG-LS": jpeg_frame(0xF7),
    "hierarchical JPEG": jpeg_frame(0xC5),
    "JPEG of 2 components": jpeg_frame(0xC0, components=2),
    "PSD of 16 bits": PSD,
    "PSD of 32 bits": PSD.replace(b"\0\x10\0\3", b"\0\x20\0\3", 1),
    "PSB": b"8BPS\0\2" + PSD[6:],
    "DDS": DDS,
    "PFM": b"PF\n2 2\n-1.0\n" + bytes(48),
    "PAM": b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + bytes(12),
    "CUR": CURSOR,
    "FLI": struct.pack("<IHHHHHH", 900, 0xAF11, 2, 4, 4, 8, 3) + bytes(900),
    "FLC": struct.pack("<IHHHHHH", 900, 0xAF12, 2, 4, 4, 8, 3) + bytes(900),
    "DCX": struct.pack("<III", 0x3ADE68B1, 12, 0) + bytes(200),
    "BLP": b"BLP2" + bytes(200),
    "XBM": b"#define a_width 8\n#define a_height 1\nstatic char a_bits[] = { 0xff };\n",
    "XPM": b"/* XPM */\nstatic char * a[] = {\n",
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(40),
}


@pytest.mark.parametrize("name", UNDECODED)
def test_kinds_that_are_not_decoded_are_named_with_advice(name):
    fault = failure(UNDECODED[name])
    assert fault.reason == "unsupported_format", fault.detail
    words = {"lossless JPEG of 16 bits": "JPEG of 16 bits"}.get(name, name)
    assert words in fault.detail
    assert any(word in fault.detail for word in ("convert", "export", "extract", "develop"))


def test_a_true_colour_tga_is_no_cursor(encode, photograph):
    data = encode(photograph, "TGA")
    assert data.startswith(b"\0\0\2\0")
    assert decoded(data)[1].format == "TGA"


@pytest.mark.parametrize("flip", [(0xC0, 9), (0xC0, 0), (0xC0, 200)])
def test_a_jpeg_whose_header_cannot_be_is_still_damaged(flip):
    assert failure(jpeg_frame(*flip)).reason == "corrupt"


@pytest.mark.parametrize("words", ["Out of memory", "Insufficient memory (case 4)"])
def test_a_library_that_says_it_got_no_memory_is_understood(encode, photograph, monkeypatch, words):
    def exhausted(*_, **__):
        raise OSError(words)

    data = encode(photograph, "PNG")
    monkeypatch.setattr(fitting, "resized", exhausted)
    fault = failure(data)
    assert fault.reason == "out_of_memory"
    assert "decode.memory_limit_bytes" in fault.detail
