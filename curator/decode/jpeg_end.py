"""JPEGs that end without an end marker: whether they lack nothing else.

libjpeg cannot be asked: given an end marker, it fills what is missing with grey and says so in a warning that Pillow
does not pass on. So the codes of every scan are walked here, without making pixels of them: the image is whole if each
block that its frame promises is coded in bits that are there, at full precision. Huffman codes of 8-bit images only.

Walking 1 MB takes about a second, and most data that Pillow finds too short lack blocks. libjpeg tells those fast: what
comes behind a whole image makes no difference to its pixels, and behind a cut one it is read as the next block.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from PIL import JpegImagePlugin

from curator.decode.jpeg_parts import NotFollowed, Scan, Symbols, scans

MOST_SCANS = 100
_FILLINGS = (bytes(64), b"\xaa" * 64)
_END = b"\xff\xd9"
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_SPARE = 4096  # bytes after an interval, more than one unit of blocks can take

Words = memoryview  # at each byte of an interval, that and the next two as one number
Codes = list[tuple[int, int, int]]  # by the next 16 bits: what a code takes of them, its run of zeros, its size
Walk = Callable[[Words, int, range], bool]  # over the units of an interval that has so many bits
NO_CODE = (0, 0, 0)


def lacks_its_end_only(data: bytes) -> bool:
    """Whether all of the image is there, and no end marker."""
    return not _lacks_blocks(data) and _is_whole(data)


def _lacks_blocks(data: bytes) -> bool:
    """Whether different bits behind the data make different pixels. Where not, some may be missing all the same."""
    try:
        return len({_digest(data.rstrip(b"\xff") + filling + _END) for filling in _FILLINGS}) > 1
    except (OSError, SyntaxError, ValueError):  # as Pillow refuses: then the codes decide
        return False


def _digest(data: bytes) -> bytes:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data), "")
    return hashlib.sha256(image.tobytes()).digest()


def _is_whole(data: bytes) -> bool:
    known: dict[tuple[int, int], int] = {}  # by component and coefficient, the lowest of its bits
    masks: dict[int, list[int]] = {}  # by component, of each block, a bit for each coefficient that is not zero
    scan = None
    try:
        for number, scan in enumerate(scans(data)):
            if number == MOST_SCANS or not _is_walked(scan, masks):
                return False
            last = scan.last if scan.frame.marker == _PROGRESSIVE else 63
            for component, _, _ in scan.components:
                known |= {(component, k): scan.low for k in range(scan.first, last + 1)}
    except NotFollowed:
        return False
    if scan is None or scan.ended:
        return False
    return all(known.get((component, k)) == 0 for component in range(scan.frame.components) for k in range(64))


def _is_walked(scan: Scan, masks: dict[int, list[int]]) -> bool:
    """Whether the intervals of a scan hold all of its units: single blocks, or some of each component."""
    units = _units(scan)
    walk = _walk_of(scan, masks, units)
    length = scan.restart or units
    if walk is None or len(scan.intervals) != math.ceil(units / length):
        return False
    for start, interval in zip(range(0, units, length), scan.intervals, strict=True):
        if not walk(_words(interval), 8 * len(interval), range(start, min(start + length, units))):
            return False
    return True


def _units(scan: Scan) -> int:
    frame = scan.frame
    across, down = max(h for _, h, _ in frame.sampling), max(v for _, _, v in frame.sampling)
    if len(scan.components) > 1:
        return math.ceil(frame.width / (8 * across)) * math.ceil(frame.height / (8 * down))
    _, h, v = frame.sampling[scan.components[0][0]]
    return math.ceil(math.ceil(frame.width * h / across) / 8) * math.ceil(math.ceil(frame.height * v / down) / 8)


def _walk_of(scan: Scan, masks: dict[int, list[int]], units: int) -> Walk | None:
    """How the units of this scan are coded; None where that is not known here, or cannot be."""
    frame = scan.frame
    if frame.precision != 8 or not scan.components:
        return None
    if frame.marker in _SEQUENTIAL:
        return partial(_walk_blocks, [(_dc(scan, dc), _ac(scan, ac)) for _, dc, ac in _blocks_of_unit(scan)])
    if frame.marker != _PROGRESSIVE or not scan.first <= scan.last <= 63:
        return None
    if scan.first == 0:
        blocks = _blocks_of_unit(scan)
        if scan.high:
            return partial(_walk_single_bits, len(blocks))
        return partial(_walk_blocks, [(_dc(scan, dc), None) for _, dc, _ in blocks])
    if len(scan.components) != 1:
        return None
    ((component, _, table),) = scan.components
    mask = masks.setdefault(component, [0] * units)
    walk = _walk_refinement if scan.high else _walk_coefficients
    return partial(walk, _ac(scan, table), mask, scan.first, scan.last)


def _blocks_of_unit(scan: Scan) -> list[tuple[int, int, int]]:
    """Of each block of a unit its component and tables; where components are not interleaved, a unit is a block."""
    if len(scan.components) == 1:
        return list(scan.components)
    return [one for one in scan.components for _ in range(math.prod(scan.frame.sampling[one[0]][1:]))]


def _words(interval: bytes) -> Words:
    data = np.frombuffer(interval + bytes(_SPARE), np.uint8).astype(np.uint32)
    return (data[:-2] << 16 | data[1:-1] << 8 | data[2:]).data


def _dc(scan: Scan, number: int) -> Codes:
    return _codes(scan.tables.get(number))


def _ac(scan: Scan, number: int) -> Codes:
    return _dc(scan, 0x10 | number)


@lru_cache(8)
def _codes(symbols: Symbols | None) -> Codes:
    """Every 16 bits that begin with a code; those that begin with none have NO_CODE."""
    if symbols is None:
        raise NotFollowed
    counts, values = symbols
    codes: Codes = []
    rest = iter(values)
    for length, count in enumerate(counts, start=1):
        for _ in range(count):
            symbol = next(rest)
            codes += [(length, symbol >> 4, symbol & 15)] * (1 << 16 - length)
    if len(codes) > 1 << 16:
        raise NotFollowed
    return codes + [NO_CODE] * ((1 << 16) - len(codes))


def _walk_blocks(blocks: list[tuple[Codes, Codes | None]], words: Words, bits: int, units: range) -> bool:
    """Units of whole blocks, or without `ac` of their first coefficients alone."""
    at = 0
    for _ in units:
        for dc, ac in blocks:
            taken, run, size = dc[words[at >> 3] >> 8 - (at & 7) & 0xFFFF]
            if not taken or run:
                return False
            at += taken + size
            k = 1 if ac else 64
            while k < 64 and ac:
                taken, run, size = ac[words[at >> 3] >> 8 - (at & 7) & 0xFFFF]
                if not taken:
                    return False
                at += taken + size
                k = k + run + 1 if size or run == 15 else 64
        if at > bits:
            return False
    return True


def _walk_single_bits(blocks: int, _: Words, bits: int, units: range) -> bool:
    return blocks * len(units) <= bits


def _walk_coefficients(
    ac: Codes, masks: list[int], first: int, last: int, words: Words, bits: int, units: range
) -> bool:
    """A band of coefficients for the first time; `ended`: of so many blocks no more follows."""
    at = ended = 0
    for unit in units:
        k = first
        while k <= last and not ended:
            taken, run, size = ac[words[at >> 3] >> 8 - (at & 7) & 0xFFFF]
            if not taken:
                return False
            at += taken
            if size:
                masks[unit] |= 1 << k + run
                at += size
            elif run < 15:
                ended = (1 << run) + ((words[at >> 3] >> 8 - (at & 7) & 0xFFFF) >> 16 - run)
                at += run
            k += run + 1
        ended -= bool(ended)
        if at > bits:
            return False
    return True


def _walk_refinement(ac: Codes, masks: list[int], first: int, last: int, words: Words, bits: int, units: range) -> bool:
    """One more bit of a band: for each coefficient that is not zero, and codes for those that come to be."""
    at = ended = 0
    for unit in units:
        k, mask, new = first, masks[unit], 0
        while k <= last and not ended:
            taken, run, size = ac[words[at >> 3] >> 8 - (at & 7) & 0xFFFF]
            if not taken:
                return False
            at += taken + bool(size)
            if not size and run < 15:
                ended = (1 << run) + ((words[at >> 3] >> 8 - (at & 7) & 0xFFFF) >> 16 - run)
                at += run
                break
            while k <= last and (run or mask >> k & 1):
                at += mask >> k & 1
                run -= not mask >> k & 1
                k += 1
            new |= bool(size) << k
            k += 1
        if ended:
            at += (mask >> k & (1 << last + 1 - k) - 1).bit_count() if k <= last else 0
            ended -= 1
        masks[unit] |= new
        if at > bits:
            return False
    return True
