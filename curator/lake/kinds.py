"""What an object is, by its name alone: an image, a tar, a Parquet file, or nothing that we read."""

from __future__ import annotations

from pathlib import PurePosixPath

from curator.types import ObjectKind

IMAGE_SUFFIXES = frozenset(
    """
    .jpg .jpeg .jpe .jfif .png .apng .webp .avif .avifs .heic .heif .gif .bmp .dib .tif .tiff .ico .cur .icns .jp2 .j2k
    .jpx .jpf .j2c .psd .tga .dds .blp .ppm .pgm .pbm .pnm .pcx .sgi .rgb .bw .mpo .qoi .xbm .jxl
    """.split()
)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
PARQUET_SUFFIXES = (".parquet", ".pq")
IGNORED_FOLDERS = frozenset({"__MACOSX"})


def kind_of(name: str) -> ObjectKind | None:
    """The kind of an object by the last part of its path; None for what is neither image nor container."""
    base = name.rpartition("/")[2].lower()
    if base.startswith(".") or base == "thumbs.db":
        return None
    if base.endswith(TAR_SUFFIXES):
        return "tar"
    if base.endswith(PARQUET_SUFFIXES):
        return "parquet"
    return "file" if PurePosixPath(base).suffix in IMAGE_SUFFIXES else None


def is_compressed(name: str) -> bool:
    """Whether a tar is compressed, so that its members have no offset in the file."""
    return not name.lower().endswith(".tar")


def readable(name: str) -> str:
    """`name` as valid UTF-8: bytes of a file name that are not become backslash escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
