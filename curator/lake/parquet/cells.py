"""Cells of a Parquet file as the bytes of images, or why they are none.

Bytes are taken as they are, base64 text is decoded. Of Spark's rows of pixels the bytes are those of a TGA file, which
is a header before the very rows: the same pixels always make the same bytes, and with them the same id.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from curator.lake.parquet.columns import PIXEL_FIELDS, ImageColumn
from curator.printable import printable

MAX_DETAIL = 200  # a field that is no number may be any text
MAX_URI_HEAD = 256  # characters before the comma of a data URI
SPACES = b" \t\r\n"
URL_SAFE = bytes.maketrans(b"-_", b"+/")
CHANNELS = {0: 1, 16: 3, 24: 4}  # of Spark's modes, which are OpenCV's: grey, BGR, BGRA
TGA_ID = b"pixels"  # the length of this text makes the first byte, so that no other format's signature comes out
TGA_GREY, TGA_COLOUR, TGA_TOP_LEFT, TGA_ALPHA_BITS = 3, 2, 0x20, 8
TGA_LARGEST = 0xFFFF  # of a side


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a cell gives no image: a reason and a detail of a reject."""

    reason: str
    detail: str
    byte_size: int | None = None


Content: TypeAlias = bytes | Unfit
NO_IMAGE = Unfit("null_bytes", "the row has no image bytes")


def contents(
    column: ImageColumn, batch: pa.RecordBatch, rows: Iterable[int], *, limit: int
) -> Iterator[tuple[int, int | None, Content]]:
    """What rows of a batch hold: the row, the place in its list if it is one, and the content; one at a time in memory.

    limit: larger ones are not taken out.
    """
    array = column.of(batch)
    if column.shape == "struct" and not column.is_list:
        array = pc.struct_field(array, "bytes")
    for row in rows:
        if not column.is_list:
            yield row, None, _content(array[row], column.shape, limit)
            continue
        values = array[row].values
        if not values:
            yield row, None, NO_IMAGE
            continue
        if column.shape == "struct":
            values = pc.struct_field(values, "bytes")
        for place in range(len(values)):
            yield row, place, _content(values[place], column.shape, limit)


def _content(cell: pa.Scalar, shape: str, limit: int) -> Content:
    if shape == "pixels":
        return _pixels(cell, limit)
    buffer = _buffer(cell)
    if buffer is None:
        return NO_IMAGE
    if shape == "text":
        return _decoded(buffer, limit)
    return bytes(buffer) if buffer.size <= limit else _too_large(buffer.size, limit)


def _buffer(cell: pa.Scalar) -> pa.Buffer | None:
    if isinstance(cell, pa.DictionaryScalar):
        cell = cell.value if cell.is_valid else None
    return None if cell is None else cell.as_buffer()


def _too_large(size: int, limit: int) -> Unfit:
    return Unfit("too_large", f"{size} bytes, at most {limit} are read", size)


def _decoded(text: pa.Buffer, limit: int) -> Content:
    """Of base64, with or without the head of a data URI before it."""
    if text.size // 4 * 3 > limit + MAX_URI_HEAD + 3:
        return _too_large(text.size // 4 * 3, limit)
    data = bytes(text)
    if data[:5].lower() == b"data:":
        head, comma, data = data.partition(b",")
        if not comma or len(head) > MAX_URI_HEAD or not head.lower().endswith(b";base64"):
            return Unfit("corrupt", "a data URI that is not base64")
    data = data.translate(URL_SAFE, SPACES).rstrip(b"=")
    try:
        found = binascii.a2b_base64(data + b"=" * (-len(data) % 4), strict_mode=True)
    except binascii.Error as fault:
        return Unfit("corrupt", f"the text is no base64: {fault}")
    return found if len(found) <= limit else _too_large(len(found), limit)


def _pixels(cell: pa.StructScalar, limit: int) -> Content:
    fields = {name: cell[name] for name in PIXEL_FIELDS} if cell.is_valid else {}
    data = _buffer(fields["data"]) if fields else None
    if data is None or not data.size:
        return NO_IMAGE
    if data.size > limit:
        return _too_large(data.size, limit)
    height, width, channels, mode = (fields[name].as_py() for name in PIXEL_FIELDS[:-1])
    if CHANNELS.get(mode, -1) != channels:
        detail = f"pixels of mode {mode} with {channels} channels, of which 8-bit ones are read"
        return Unfit("unsupported_format", printable(detail)[:MAX_DETAIL])
    sides = [side for side in (height, width) if isinstance(side, int) and 0 < side <= TGA_LARGEST]
    if len(sides) != 2 or sides[0] * sides[1] * channels != data.size:
        detail = f"{data.size} bytes for {width} x {height} pixels of {channels} channels"
        return Unfit("corrupt", printable(detail)[:MAX_DETAIL])
    kind = TGA_GREY if channels == 1 else TGA_COLOUR
    flags = TGA_TOP_LEFT | (TGA_ALPHA_BITS if channels == 4 else 0)
    header = struct.pack("<BBB5xHHHHBB", len(TGA_ID), 0, kind, 0, 0, width, height, 8 * channels, flags)
    return header + TGA_ID + bytes(data)
