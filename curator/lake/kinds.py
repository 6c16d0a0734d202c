"""What a name says: the kind of object behind it, whether it is hidden, and how it is written as valid UTF-8.

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
SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini"})  # left behind by file managers


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


def is_hidden(name: str) -> bool:
    """Whether one part of a path is hidden (a leading dot) or left behind by a file manager."""
    return (name.startswith(".") and name.strip(".") != "") or name.lower() in SYSTEM_NAMES


def is_lake_name(relative: str) -> bool:
    """Whether a listing of a folder gives the object at this path, relative to the folder."""
    return kind_of(relative) is not None and not any(map(is_hidden, relative.split("/")))


def ignored_as(name: str) -> str:
    """Under which heading a listing counts a file that it does not give."""
    return suffix_of(name) or "(no suffix)"
