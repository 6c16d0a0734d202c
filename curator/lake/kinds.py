"""The kind of an object (image, tar, Parquet) by its name.

Listings decide by name alone, because opening 100,000 files to look inside would cost more than the scan they save.
What the bytes really are is the decoder's business.
"""

from __future__ import annotations

from curator.types import ObjectKind

IMAGE_SUFFIXES = frozenset(
    """.jpg .jpeg .jpe .jfif .png .apng .webp .avif .avifs .heic .heif .gif .bmp .dib .tif .tiff .ico .cur .icns .jp2
    .j2k .j2c .jpc .jpf .jpx .jxl .psd .tga .dds .blp .ppm .pgm .pbm .pnm .pfm .pcx .dcx .sgi .rgb .rgba .bw .mpo .qoi
    .xbm .xpm .fli .flc""".split()  # noqa: SIM905  # forty quoted strings read worse
)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})


def suffix_of(name: str) -> str:
    """The suffix of the last part of a path, in lower case with its dot; empty where there is none."""
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""


def kind_of(name: str) -> ObjectKind | None:
    """The kind of an object by its suffix; None for what is neither image nor container."""
    suffix = suffix_of(name)
    if suffix in IMAGE_SUFFIXES:
        return "file"
    if suffix in PARQUET_SUFFIXES:
        return "parquet"
    return "tar" if name.lower().endswith(TAR_SUFFIXES) and suffix else None


def could_be_a_member(relative: str) -> bool:
    """Whether an address, from its source on, may also be that of an image in a container: `set.tar#a.jpg`."""
    places = [place for place, sign in enumerate(relative) if sign == "#"]
    return any(kind_of(relative[:place]) in ("tar", "parquet") for place in places)
