"""Which formats are opened, the pixel limit on their headers, and what the bytes are that no format claims.

Pillow's `Image.open` is not used: it guesses among all of its plug-ins (some run interpreters, some are stubs), hides
why a plug-in refused, and checks a pixel limit that is global state. The loop here asks the plug-ins of an allow-list
in turn, keeps the refusal of the one whose signature matched, and checks the caller's own limit.
"""

from __future__ import annotations

import codecs
import io
import struct
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from PIL import IcoImagePlugin, Image, ImageFile

from curator.decode.failures import DecodeFailure, failure_of

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
_OTHER_FORMATS = (  # offset, signature, what it is and what to do
    (0, b"\xff\x0a", "JPEG XL: convert it to JPEG or AVIF"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL: convert it to JPEG or AVIF"),
    (0, b"%PDF", "PDF: render its pages to PNG"),
    (0, b"%!PS", "PostScript: render it to PNG"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS: render it to PNG"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF: render it to PNG"),
    (0, b"icns", "ICNS: extract its largest icon"),
    (0, b"SIMPLE  =", "FITS: export it to TIFF"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR: export it to TIFF"),
    (0, b"#?RADIANCE", "Radiance HDR: export it to TIFF"),
    (128, b"DICM", "DICOM: export it to PNG or TIFF"),
    (4, b"ftypisom", "MP4 video: extract its frames"),
    (4, b"ftypmp4", "MP4 video: extract its frames"),
    (4, b"ftypqt", "QuickTime video: extract its frames"),
)


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
        if not verdict or isinstance(verdict, str):
            continue
        try:
            if name == "ICO":  # the one plug-in that decodes while it opens
                _check_pixels(*_icon_size(data), max_pixels)
            image = factory(io.BytesIO(data), "")
            _check_pixels(*image.size, max_pixels)
        except DecodeFailure:
            raise
        except Exception as fault:  # whatever a plug-in raises, it is its refusal; the next one may do better
            refusal = refusal or (failure_of(fault, format_=name) if accept else None)
            continue
        return image
    raise _what_it_is(data) or refusal or _unknown(data)


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


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise DecodeFailure("corrupt", f"the header says {width} x {height} pixels")
    if width * height > max_pixels:
        raise DecodeFailure("too_many_pixels", f"{width} x {height} is more than {max_pixels} pixels")


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


def _what_it_is(data: bytes) -> DecodeFailure | None:
    """Bytes that are surely something else than an image that is decoded here."""
    head = data[:512]
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and "HEIF" not in plugins():
        return DecodeFailure("unsupported_format", _HEIF_ADVICE)
    for offset, signature, advice in _OTHER_FORMATS:
        if head.startswith(signature, offset):
            return DecodeFailure("unsupported_format", advice)
    text = _text_of(head).lstrip("\ufeff \t\r\n")
    if text.startswith(("<svg", "<?xml")) and "<svg" in text:
        return DecodeFailure("unsupported_format", "SVG: render it to PNG")
    return DecodeFailure("text", f"begins with {text[:60]!r}") if text else None


def _text_of(head: bytes) -> str:
    """`head` as text; empty where it is none."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # its end may cut a character in two
    except UnicodeDecodeError:
        return ""
    return text if all(character.isprintable() or character in "\t\r\n\f\ufeff" for character in text) else ""


def _unknown(data: bytes) -> DecodeFailure:
    return DecodeFailure("not_an_image", f"{len(data)} bytes, the first are {data[:8].hex(' ')}")
