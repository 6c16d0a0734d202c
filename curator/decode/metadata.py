"""Images without what says nothing about their pixels: texts, profiles and private data, which may be large or broken.

Pillow unpacks the texts of a PNG while it opens one, and refuses an image whose texts are large; OpenJPEG gives up
where a box before the pixels is. So these parts are cut out before a decoder sees them: one walk over the heads of
chunks or boxes, and one copy of what stays. JPEG, WebP, AVIF, GIF and TIFF need none of it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")  # beside the critical chunks, whose names begin upper-case
_ORIENTING = (b"XML:com.adobe.xmp", b"Raw profile type exif")  # texts that may say which side is up
_TEXT_BYTES = 1 << 20  # of all of these together, once they are unpacked

_JPEG2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
_JPEG2000_PIXELS = (b"jP  ", b"ftyp", b"jp2h", b"jp2c")


def without_metadata(data: bytes) -> bytes:
    """The same image, for a decoder; `data` itself where there is nothing to cut."""
    if data.startswith(_PNG):
        return _joined(data, list(_png_parts(data)))
    if data.startswith(_JPEG2000):
        return _joined(data, list(_jpeg2000_parts(data)))
    return data


def _joined(data: bytes, parts: list[tuple[int, int]]) -> bytes:
    """The parts of `data`, each from and to a byte, in order."""
    runs: list[list[int]] = []
    for start, end in parts:
        if runs and runs[-1][1] == start:
            runs[-1][1] = end
        else:
            runs.append([start, end])
    if runs == [[0, len(data)]]:
        return data
    view = memoryview(data)
    return b"".join(view[start:end] for start, end in runs)


def _png_parts(data: bytes) -> Iterator[tuple[int, int]]:
    """What stays of a PNG. Where its chunks cannot be followed any more, all the rest stays: the decoder says why."""
    yield 0, len(_PNG)
    start, room = len(_PNG), _TEXT_BYTES
    while start + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, start)
        name, end = data[start + 4 : start + 8], start + size + 12
        if end > len(data):
            break
        cost = 0 if name[:1].isupper() or name in _PNG_PIXELS else _orienting_bytes(name, data[start + 8 : end - 4])
        if cost <= room:
            room -= cost
            yield start, end
        start = end
        if name == b"IEND":
            return
    yield start, len(data)


def _orienting_bytes(name: bytes, text: bytes) -> int:
    """The bytes of a text that may tell an orientation, unpacked; more than there is room for where it may not."""
    keyword, _, rest = text.partition(b"\0")
    if name not in (b"tEXt", b"zTXt", b"iTXt") or keyword not in _ORIENTING:
        return _TEXT_BYTES + 1
    if name == b"iTXt" and rest[:1] == b"\1":
        rest = rest[2:].split(b"\0", 2)[-1]
    elif name == b"zTXt":
        rest = rest[1:]
    else:
        return len(rest)
    try:
        return len(zlib.decompressobj().decompress(rest, _TEXT_BYTES + 1))
    except zlib.error:
        return _TEXT_BYTES + 1


def _jpeg2000_parts(data: bytes) -> Iterator[tuple[int, int]]:
    """What stays of a JPEG 2000 file; as for PNG."""
    start = 0
    while start + 16 <= len(data):
        size, name = struct.unpack_from(">I4s", data, start)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
        end = start + size
        if size < 8 or end > len(data):  # 0 is a box that goes on to the end
            break
        if name in _JPEG2000_PIXELS:
            yield start, end
        start = end
    yield start, len(data)
