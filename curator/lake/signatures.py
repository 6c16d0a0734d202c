"""Signatures with which images begin: for members of a tar whose name does not say what they are.

Only signatures that nothing else has by chance; which bytes really become pixels is the decoder's business.
"""

from __future__ import annotations

import re

HEAD = 32  # bytes that are looked at
BITMAP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})  # sizes of the second header of a BMP
SIGNATURES = re.compile(
    rb"""
    \xff\xd8\xff                                                        # JPEG
    | \x89PNG\r\n\x1a\n
    | GIF8[79]a
    | RIFF....WEBP
    | II\*\0 | MM\0\* | II\+\0 | MM\0\+                                 # TIFF, BigTIFF
    | ....ftyp(avi[fs]|hei[cxms]|hev[cx]|mif1|msf1)                     # AVIF, HEIF
    | \0\0\0\x0cjP\x20\x20\r\n\x87\n | \xff\x4f\xff\x51                 # JPEG 2000
    | \0\0\0\x0cJXL\x20\r\n\x87\n
    | 8BPS\0[\1\2]
    | qoif
    | DDS\x20\x7c\0\0\0
    | \x59\xa6\x6a\x95                                                  # Sun raster
    | P[1-6]\s+(\#|[0-9]+\s+[0-9]+\s)
    """,
    re.DOTALL | re.VERBOSE,
)


def looks_like_image(head: bytes) -> bool:
    """head: the first HEAD bytes, or all where there are fewer."""
    if head[:2] == b"BM":
        return head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in BITMAP_HEADERS
    return SIGNATURES.match(head) is not None
