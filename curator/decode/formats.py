"""The formats that are opened, and the limit in pixels on their headers.

Pillow's `Image.open` is not used: it guesses among all of its plug-ins (some run interpreters, some are stubs), hides
why a plug-in refused, and checks a pixel limit that is global state. The loop here asks the plug-ins of an allow-list
in turn, keeps the refusal of the one whose signature matched, and checks the caller's own limit.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from PIL import IcoImagePlugin, Image, ImageFile

from curator.decode.failures import DecodeFailure, check_pixels, failure_of, has_room, no_memory
from curator.decode.undecoded import is_cursor, text_of, what_is_not_decoded

# Format to plug-in, in the order of asking. TGA is last: it has no signature and takes what looks like its header.
# Left out: what runs an interpreter or draws (EPS, WMF, PDF), what holds measurements (FITS, HDF5, GRIB), game
# textures and icon containers other than ICO, and stubs. MPO comes as JPEG; HEIF joins where pillow-heif is installed.
FORMATS: Mapping[str, str] = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "WEBP": "WebPImagePlugin",
    "AVIF": "AvifImagePlugin",
    "GIF": "GifImagePlugin",
    "TIFF": "TiffImagePlugin",
    "BMP": "BmpImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "PPM": "PpmImagePlugin",
    "ICO": "IcoImagePlugin",
    "PSD": "PsdImagePlugin",
    "DDS": "DdsImagePlugin",
    "QOI": "QoiImagePlugin",
    "PCX": "PcxImagePlugin",
    "SGI": "SgiImagePlugin",
    "SUN": "SunImagePlugin",
    "DIB": "BmpImagePlugin",
    "TGA": "TgaImagePlugin",
}

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_HEIF_ADVICE = "HEIF: `pip install pillow-heif`, or convert it to JPEG or AVIF"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def open_image(data: bytes, *, max_pixels: int) -> ImageFile.ImageFile:
    """The image with its header read and no pixel decoded. Raises DecodeFailure."""
    if not data:
        raise DecodeFailure("empty", "0 bytes")
    if data.startswith(_LFS_POINTER):
        raise DecodeFailure("git_lfs_pointer", "run `git lfs pull` in the source")
    refusal: DecodeFailure | None = None
    prefix = data[:16].ljust(16, b"\0")  # some plug-ins unpack it unseen
    for name in plugins():
        factory, accept = Image.OPEN[name]
        verdict = accept is None or accept(prefix)  # a text says that this build of Pillow lacks the codec
        if not verdict or isinstance(verdict, str) or (name == "TGA" and is_cursor(data)):
            continue
        try:
            if name == "ICO":  # the one plug-in that decodes while it opens
                check_pixels(*_icon_size(data), max_pixels)
            if name == "WEBP":  # takes memory for its pixels while it opens
                check_pixels(*_webp_size(data), max_pixels)
                if not has_room(*_webp_size(data)):
                    raise no_memory(name)
            image = factory(io.BytesIO(data), "")
            check_pixels(*image.size, max_pixels)
        except DecodeFailure:
            raise
        except Exception as fault:  # whatever a plug-in raises, it is its refusal; the next one may do better
            refusal = refusal or (failure_of(fault, format_=name) if accept else None)
            continue
        return image
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS and "HEIF" not in plugins():
        raise DecodeFailure("unsupported_format", _HEIF_ADVICE)
    unknown = DecodeFailure("not_an_image", f"{len(data)} bytes, the first are {data[:8].hex(' ')}")
    raise what_is_not_decoded(data) or text_of(data) or refusal or unknown


@cache
def plugins() -> tuple[str, ...]:
    """Import the plug-ins of the allow-list, which registers them with Pillow; their formats in the order of asking."""
    for module in FORMATS.values():
        import_module(f"PIL.{module}")
    try:
        heif = import_module("pillow_heif")
    except ImportError:
        return tuple(FORMATS)
    heif.register_heif_opener()
    return ("HEIF", *FORMATS)


def _icon_size(data: bytes) -> tuple[int, int]:
    """Size of the largest icon by its own header; the directory of an ICO cannot say more than 256 x 256."""
    offset = IcoImagePlugin.IcoFile(io.BytesIO(data)).entry[0].offset
    if data[offset : offset + 8] == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack_from(">II", data, offset + 16)
        return width, height
    header_size, width, height = struct.unpack_from("<Iii", data, offset)
    if header_size == 12:
        width, height = struct.unpack_from("<HH", data, offset + 4)
    return abs(width), abs(height) // 2 or 1  # the mask is stored below the picture


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of the canvas, by its first chunk."""
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        (both,) = struct.unpack_from("<I", data, 21)
        return 1 + (both & 0x3FFF), 1 + (both >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF
