"""TIFFs of layouts that Pillow does not know: many bands, floats, deep grey with alpha, one plane for each band.

tifffile reads them, strip by strip or tile by tile, so that of a hundred bands only those that are shown are held. What
is shown is a choice: the first three bands, or the first where there are fewer, with alpha on white.
"""

from __future__ import annotations

import io
import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from curator.decode.colour import eight_bits
from curator.decode.failures import DecodeFailure, check_pixels
from curator.decode.fitting import Stored

if TYPE_CHECKING:
    from tifffile import TiffPage

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_MULTIPLIED, _PLAIN = 1, 2  # kinds of alpha: its colours are multiplied by it already, or not
_ADVICE = "write it as TIFF or PNG with 8 or 16 bits a sample"


class NoDirectory(Exception):
    """The bytes are no TIFF whose first directory can be followed."""


def read_bands(data: bytes, *, max_pixels: int) -> Stored:
    """The first page. Raises NoDirectory, DecodeFailure for a layout that is not decoded, and whatever tifffile raises
    for data that are not valid."""
    page = _first_page(data)
    _check(page, len(data), max_pixels)
    first_extra = page.samplesperpixel - len(page.extrasamples)
    alpha = [first_extra + n for n, kind in enumerate(page.extrasamples) if kind in (_MULTIPLIED, _PLAIN)][:1]
    colours = [band for band in range(page.samplesperpixel) if [band] != alpha]
    colours = colours[: 3 if len(colours) >= 3 else 1]
    values = _read(page, colours + alpha)
    shown, remark = eight_bits(values[..., : len(colours)])
    if page.photometric == _WHITE_IS_ZERO:
        shown = 255 - shown
    if alpha:
        shown = _on_white(shown, values[..., -1], multiplied=page.extrasamples[alpha[0] - first_extra] == _MULTIPLIED)
    left_out = page.samplesperpixel - len(colours) - len(alpha)
    remarks = [f"first {len(colours)} of {page.samplesperpixel} bands"] * bool(left_out) + [remark] * bool(remark)
    image = Image.fromarray(shown if len(colours) == 3 else shown[..., 0]).convert("RGB")
    tag = page.tags.get(ExifTags.Base.Orientation)
    mode = f"{page.samplesperpixel} x {page.dtype}"
    orientation = tag.value if tag is not None else 1
    return Stored(image, image.size, "TIFF", mode, orientation=orientation, remark=", ".join(remarks))


def _first_page(data: bytes) -> TiffPage:
    import tifffile  # 0.2 s, for a few files of few lakes

    logging.getLogger("tifffile").propagate = False  # what it says of doubtful tags is not for the user's terminal
    try:
        page = tifffile.TiffFile(io.BytesIO(data)).pages[0]
    except MemoryError:
        raise
    except Exception as fault:  # it raises what it likes on a broken directory; Pillow has said what is wrong with it
        raise NoDirectory from fault
    if not isinstance(page, tifffile.TiffPage) or page.imagewidth < 1 or page.imagelength < 1:
        raise NoDirectory
    return page


def _check(page: TiffPage, size: int, max_pixels: int) -> None:
    """Raises DecodeFailure for what cannot be, and for what is not decoded. `size`: of the file, in bytes."""
    check_pixels(page.imagewidth, page.imagelength, max_pixels)
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if len(ends) < math.prod(page.chunked) or max(ends) > size:
        raise DecodeFailure("truncated", f"TIFF: strips or tiles up to byte {max(ends, default=0)} of {size}")
    layout = f"TIFF of {page.samplesperpixel} x {page.bitspersample} bits"
    if page.dtype is None or page.dtype.kind not in "uif" or page.imagedepth != 1:
        raise DecodeFailure("unsupported_format", f"{layout}: {_ADVICE}")
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        kind = getattr(page.photometric, "name", page.photometric)
        raise DecodeFailure("unsupported_format", f"{layout}, colours {kind}: {_ADVICE}")
    if not _can_unpack(page):
        kind = getattr(page.compression, "name", page.compression)
        raise DecodeFailure(
            "unsupported_format", f"{layout}, compression {kind}: `pip install imagecodecs`, or write it uncompressed"
        )
    if not all(page.databytecounts):
        raise DecodeFailure("unsupported_format", f"{layout} with strips or tiles left out: write it as a whole")


def _can_unpack(page: TiffPage) -> bool:
    """Some ways to compress are in the package imagecodecs, which need not be there."""
    from tifffile import TIFF

    known = page.compression == 1 or page.compression in TIFF.DECOMPRESSORS
    return known and (page.predictor == 1 or page.predictor in TIFF.UNPREDICTORS)


def _read(page: TiffPage, bands: list[int]) -> NDArray[Any]:
    """Those bands, (height, width, n)."""
    assert page.dtype is not None
    values = np.zeros((page.imagelength, page.imagewidth, len(bands)), page.dtype)
    separate = page.planarconfig == 2 and page.samplesperpixel > 1
    for segment, (plane, _, top, left, _), _ in page.segments(maxworkers=1):
        if segment is None:
            raise DecodeFailure("truncated", "TIFF: a strip or tile has no data")
        held = [plane] if separate else list(range(page.samplesperpixel))
        for place, band in enumerate(bands):
            if band in held:
                part = segment[0, :, :, held.index(band)]
                room = values[top : top + part.shape[0], left : left + part.shape[1], place]
                room[...] = part[: room.shape[0], : room.shape[1]]
    return values


def _on_white(shown: NDArray[np.uint8], alpha: NDArray[Any], *, multiplied: bool) -> NDArray[np.uint8]:
    """Colours on white, by their alpha: of integers a share of their largest value, of floats itself."""
    largest = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1.0
    share = np.nan_to_num(alpha / np.float32(largest)).clip(0.0, 1.0)[..., None]
    mixed = shown * (np.float32(1.0) if multiplied else share) + 255.0 * (1.0 - share)
    return np.rint(mixed).clip(0, 255).astype(np.uint8)
