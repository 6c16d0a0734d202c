"""The marker segments of a JPEG: its frame, its tables, and its scans with the bits they are coded in."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7)
_BARE = (0x01, *range(0xD0, 0xD9))  # markers that have no length
_DHT, _DRI, _SOS, _EOI = 0xC4, 0xDD, 0xDA, 0xD9
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # that ends the bits of a scan
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")

Symbols = tuple[bytes, bytes]  # of a Huffman table: how many codes have 1 to 16 bits, and the symbols in their order


@dataclass(frozen=True, slots=True)
class Frame:
    """What a start-of-frame segment says. `sampling`: of each component, its id, and its factors across and down."""

    marker: int
    precision: int
    width: int
    height: int
    sampling: tuple[tuple[int, int, int], ...]

    @property
    def components(self) -> int:
        return len(self.sampling)


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan. `components`: positions in the frame, with the numbers of a DC and an AC table. `first` to `last`: the
    coefficients; `high` and `low`: the bit above and the bit that it brings. `intervals`: its bits, stuffing removed,
    one item from restart to restart. `ended`: whether a marker follows, or else the data are over.
    """

    frame: Frame
    components: tuple[tuple[int, int, int], ...]
    first: int
    last: int
    high: int
    low: int
    tables: dict[int, Symbols]  # by class and number, as the segment codes them
    restart: int
    intervals: tuple[bytes, ...]
    ended: bool


class NotFollowed(Exception):
    """The segments cannot be followed to the end of the data."""


def read_frame(data: bytes) -> Frame | None:
    """The frame of a JPEG or JPEG-LS; None where there is none that holds together."""
    if not data.startswith(b"\xff\xd8"):
        return None
    try:
        return next((_frame(marker, body) for marker, body, _ in _segments(data, 2) if marker in _FRAMES), None)
    except NotFollowed:
        return None


def scans(data: bytes) -> Iterator[Scan]:
    """The scans up to the end marker or the end of the data. Raises NotFollowed."""
    frame: Frame | None = None
    tables: dict[int, Symbols] = {}
    restart, start = 0, 2
    while start < len(data):
        for marker, body, end in _segments(data, start):
            start = end
            if marker == _EOI:
                return
            if marker in _FRAMES:
                if frame is not None:
                    raise NotFollowed
                frame = _frame(marker, body)
            elif marker == _DHT:
                tables |= _tables(body)
            elif marker == _DRI:
                restart = int.from_bytes(body[:2])
            elif marker == _SOS:
                break
        else:
            raise NotFollowed
        if frame is None:
            raise NotFollowed
        found = _MARKER.search(data, start)
        bits = data[start : found.start() if found else len(data)]
        start = found.start() if found else len(data)
        yield _scan(frame, body, dict(tables), restart, bits, ended=found is not None)


def _segments(data: bytes, start: int) -> Iterator[tuple[int, bytes, int]]:
    """Marker, body and end of each segment. Raises NotFollowed where the data end, or are no segments."""
    while True:
        while data[start : start + 2] == b"\xff\xff":
            start += 1
        if len(data) < start + 2 or data[start] != 0xFF:
            raise NotFollowed
        marker = data[start + 1]
        if marker in (_EOI, *_BARE):
            yield marker, b"", start + 2
            start += 2
            continue
        size = int.from_bytes(data[start + 2 : start + 4])
        end = start + 2 + size
        if size < 2 or end > len(data):
            raise NotFollowed
        yield marker, data[start + 4 : end], end
        start = end


def _frame(marker: int, body: bytes) -> Frame:
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise NotFollowed
    precision, height, width, _ = struct.unpack_from(">BHHB", body)
    sampling = tuple((body[at], body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, len(body), 3))
    if not width or not height or any(not 1 <= factor <= 4 for _, *both in sampling for factor in both):
        raise NotFollowed
    return Frame(marker, precision, width, height, sampling)


def _tables(body: bytes) -> dict[int, Symbols]:
    found = {}
    while body:
        counts, count = body[1:17], sum(body[1:17])
        if len(body) < 17 + count:
            raise NotFollowed
        found[body[0]] = (counts, body[17 : 17 + count])
        body = body[17 + count :]
    return found


def _scan(frame: Frame, body: bytes, tables: dict[int, Symbols], restart: int, bits: bytes, *, ended: bool) -> Scan:
    names = [name for name, _, _ in frame.sampling]
    count = body[0] if body else 0
    if len(body) != 4 + 2 * count or any(body[1 + 2 * n] not in names for n in range(count)):
        raise NotFollowed
    components = tuple((names.index(body[1 + 2 * n]), body[2 + 2 * n] >> 4, body[2 + 2 * n] & 15) for n in range(count))
    first, last, both = body[-3:]
    if not ended:
        bits = bits.rstrip(b"\xff")  # half of a marker
    numbers = [marker[0] & 7 for marker in _RESTART.findall(bits)]
    if numbers != [number % 8 for number in range(len(numbers))]:
        raise NotFollowed
    parts = _RESTART.split(bits)[::2]
    intervals = tuple(part.replace(b"\xff\0", b"\xff") for part in parts)
    if any(part.count(b"\xff") != part.count(b"\xff\0") for part in parts):
        raise NotFollowed
    return Scan(frame, components, first, last, both >> 4, both & 15, tables, restart, intervals, ended)
