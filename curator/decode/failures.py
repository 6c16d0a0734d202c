"""Reasons why bytes do not become pixels: a short list, and the place of an exception of Pillow in it."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
from PIL import Image

from curator.printable import one_line

REASONS: Mapping[str, str] = {
    "empty": "there are no bytes",
    "git_lfs_pointer": "a Git LFS pointer stands in the place of the image: `git lfs pull` fetches it",
    "text": "the bytes are text",
    "not_an_image": "no known image format begins like this",
    "unsupported_format": "a known format that is not decoded here; the detail says what to do",
    "too_many_pixels": "more pixels than decode.max_pixels, by the header",
    "truncated": "the data end before the image does",
    "corrupt": "the format is known, its data are not valid",
    "out_of_memory": "decoding took more memory than a decode process may have",
    "decoder_crashed": "the image made its decode process die",
    "decoder_timeout": "decoding took more time than one image may have, or did nothing for long",
}

CONVERT = "convert it to PNG or JPEG"

# How Pillow and the libraries below it say that data end too early; they have no exception of its own for it.
_TRUNCATION_MARKS = ("truncated", "not enough", "premature", "requires a buffer", "unexpected end", "end of file")
_MEMORY_MARKS = ("out of memory", "not enough memory", "insufficient memory", "cannot allocate", "unable to allocate")
_LIBRARY_BYTES = 12  # a pixel: coefficients of libjpeg take 6, samples of OpenJPEG 12
_NO_MEMORY = "decoding takes more than decode.memory_limit_bytes allows"
DETAIL_CHARACTERS = 200  # at most, of a detail
_LAYOUTS = ("Unsupported BMP bitfields layout",)


class DecodeFailure(Exception):
    """Bytes that do not become pixels. `reason` is a key of REASONS; `detail` is one line of at most 200 characters."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = one_line(detail, longest=DETAIL_CHARACTERS)
        super().__init__(reason, self.detail)


def failure_of(fault: Exception, *, format_: str | None = None) -> DecodeFailure:
    """The failure that an exception of a decoder amounts to. `format_` is named in the detail where it is known."""
    text = str(fault) or type(fault).__name__
    detail = f"{format_}: {text}" if format_ else text
    if isinstance(fault, MemoryError) or any(mark in text.lower() for mark in _MEMORY_MARKS):
        return no_memory(format_)
    if isinstance(fault, Image.DecompressionBombError):  # from inside a plug-in: a tile or frame larger than its header
        return DecodeFailure("too_many_pixels", detail)
    if isinstance(fault, EOFError | struct.error) or any(mark in text.lower() for mark in _TRUNCATION_MARKS):
        return DecodeFailure("truncated", detail)
    if isinstance(fault, NotImplementedError) or text in _LAYOUTS:  # known to the plug-in, and not read by it
        return DecodeFailure("unsupported_format", f"{detail}: {CONVERT}")
    return DecodeFailure("corrupt", detail)


def no_memory(format_: str | None = None) -> DecodeFailure:
    """The failure of an image that its process has no memory for."""
    return DecodeFailure("out_of_memory", f"{format_}: {_NO_MEMORY}" if format_ else _NO_MEMORY)


def has_room(width: int, height: int) -> bool:
    """Whether there is memory for what libraries need beside an image of that size. One that gets none seldom says so:
    to it and to Pillow it is one more way in which data cannot be read."""
    try:
        np.empty(_LIBRARY_BYTES * width * height, np.uint8)  # address space only: nothing is written to it
    except MemoryError:
        return False
    return True


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raises DecodeFailure for a size, by the header, that cannot be or that is beyond the limit."""
    if width < 1 or height < 1:
        raise DecodeFailure("corrupt", f"the header says {width} x {height} pixels")
    if width * height > max_pixels:
        raise DecodeFailure("too_many_pixels", f"{width} x {height} is more than {max_pixels} pixels")
