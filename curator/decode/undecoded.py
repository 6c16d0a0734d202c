"""Bytes that are not decoded here: other formats, rare kinds of known formats, text; and what to do with them.

Sound files must not be called damaged, so every kind that is known to exist is told apart by its header.
"""

from __future__ import annotations

import codecs
import struct

from PIL import PsdImagePlugin

from curator.decode.failures import CONVERT, DecodeFailure
from curator.decode.jpeg_parts import read_frame

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
    (0, b"PF\n", "PFM: convert it to TIFF"),
    (0, b"P7\n", f"PAM: {CONVERT}"),
    (0, b"P7 332", f"XV thumbnail: {CONVERT}"),
    (0, b"\xb1\x68\xde\x3a", f"DCX: {CONVERT}"),
    (0, b"BLP1", f"BLP: {CONVERT}"),
    (0, b"BLP2", f"BLP: {CONVERT}"),
    (0, b"\xabKTX ", f"KTX: {CONVERT}"),
    (0, b"/* XPM */", f"XPM: {CONVERT}"),
    (0, b"8BPS\0\2", "PSB, a large PSD: export it to PNG or JPEG"),
    (4, b"\x11\xaf", "FLI: extract a frame"),
    (4, b"\x12\xaf", "FLC: extract a frame"),
    (0, b"FUJIFILMCCD-RAW", "RAF, a raw photograph: develop it to JPEG"),
    (0, b"IIU\0", "RW2, a raw photograph: develop it to JPEG"),
    (0, b"IIRO", "ORF, a raw photograph: develop it to JPEG"),
    (4, b"ftypcrx ", "CR3, a raw photograph: develop it to JPEG"),
    (128, b"DICM", "DICOM: export it to PNG or TIFF"),
    (4, b"ftypisom", "MP4 video: extract its frames"),
    (4, b"ftypmp4", "MP4 video: extract its frames"),
    (4, b"ftypqt", "QuickTime video: extract its frames"),
)
_PSD_BITS = (1, 8, 16, 32)  # a channel
_PSD_COLOURS = (0, 1, 2, 3, 4, 7, 8, 9)  # bitmap, grey, palette, RGB, CMYK, multichannel, duotone, Lab


def what_is_not_decoded(data: bytes) -> DecodeFailure | None:
    """A format, or a kind of one, that is known and not decoded."""
    for offset, signature, advice in _OTHER_FORMATS:
        if data.startswith(signature, offset):
            return DecodeFailure("unsupported_format", advice)
    cursor = f"CUR: {CONVERT}" if is_cursor(data) else ""
    kind = _svg(data) or _xbm(data) or cursor or _jpeg(data) or _psd(data)
    return DecodeFailure("unsupported_format", kind) if kind else None


def _svg(data: bytes) -> str:
    text = _text(data).lstrip("\ufeff \t\r\n")
    return "SVG: render it to PNG" if text.startswith(("<svg", "<?xml")) and "<svg" in text else ""


def _xbm(data: bytes) -> str:
    lines = [line for line in _text(data).splitlines() if line.startswith("#define ")]
    return f"XBM: {CONVERT}" if any(line.split()[1:2] and line.split()[1].endswith("_width") for line in lines) else ""


def is_cursor(data: bytes) -> bool:
    """Whether it is a CUR. Its first bytes may be of a TGA too, so its directory has to point at a picture."""
    if not data.startswith(b"\0\0\2\0") or len(data) < 26 or data[9]:
        return False
    (offset,) = struct.unpack_from("<I", data, 18)
    return data[offset : offset + 4] in (b"\x28\0\0\0", b"\x89PNG")


def _jpeg(data: bytes) -> str:
    frame = read_frame(data)
    if frame is None:
        return ""
    if frame.marker == 0xF7:
        return f"JPEG-LS: {CONVERT}"
    if frame.marker in (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF):
        return f"hierarchical JPEG: {CONVERT}"
    if frame.precision == 12 or (frame.marker == 0xC3 and 2 <= frame.precision <= 16 and frame.precision != 8):
        return f"JPEG of {frame.precision} bits: {CONVERT}"
    return f"JPEG of {frame.components} components: {CONVERT}" if frame.components not in (1, 3, 4) else ""


def _psd(data: bytes) -> str:
    if not data.startswith(b"8BPS\0\1") or len(data) < 26:
        return ""
    bits, colours = struct.unpack_from(">HH", data, 22)
    known = bits in _PSD_BITS and colours in _PSD_COLOURS and (colours, bits) not in PsdImagePlugin.MODES
    return f"PSD of {bits} bits, colours {colours}: export it to PNG or JPEG" if known else ""


def text_of(data: bytes) -> DecodeFailure | None:
    """Why bytes that are text are no image."""
    text = _text(data).lstrip("\ufeff \t\r\n")
    return DecodeFailure("text", f"begins with {text[:60]!r}") if text else None


def _text(data: bytes) -> str:
    """The first 512 bytes as text; empty where they are none."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data[:512])  # the cut may divide a character
    except UnicodeDecodeError:
        return ""
    return text if all(character.isprintable() or character in "\t\r\n\f\ufeff" for character in text) else ""
