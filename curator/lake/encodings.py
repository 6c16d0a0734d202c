"""Bytes that come out of what is stored: how many there may be, and what `Content-Encoding: gzip` decodes to.

S3 gives the stored bytes and tells the encoding; the clients of web servers decode by themselves. Nothing can be read
of such an object by its offset, so what is read in any order is decoded into a temporary file first. A header that is
wrong does no harm: bytes that are no gzip are taken as they are.
"""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from typing import BinaryIO

MAX_EXPANSION = 200  # bytes of content for each stored one; images in gzip have 1 to 50, zeros 1,000
EXPANSION_FREE = 1 << 29  # bytes of content that are never too many
GZIP_MAGIC = b"\x1f\x8b"
CHUNK_BYTES = 1 << 20


def most_content(stored_bytes: int) -> int:
    """How many bytes may come out of so many stored ones (gzip, tar, a page of Parquet); more is a bomb."""
    return EXPANSION_FREE + MAX_EXPANSION * stored_bytes


class TooMuchContent(Exception):
    """More comes out of a container than its stored bytes can honestly hold."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it expands to more than {limit} bytes, {MAX_EXPANSION} times what is stored")


def is_gzip(encoding: str | None) -> bool:
    """Whether a `Content-Encoding`, which may name several, says gzip."""
    return "gzip" in (encoding or "").lower().replace(" ", "").split(",")


def unpacked(data: bytes, limit: int) -> bytes:
    """What gzip decodes to, at most `limit` bytes of it; `data` itself where it is none, or damaged."""
    found, rest = b"", data
    try:
        while rest.startswith(GZIP_MAGIC) and len(found) < limit:
            decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
            found += decoder.decompress(rest, limit - len(found))
            rest = decoder.unused_data
    except zlib.error:
        return data
    return found or data


def copied(stream: io.BufferedIOBase, *, most: int | None) -> BinaryIO:
    """A temporary file of all that a stream gives. Raises TooMuchContent beyond `most` bytes, OSError."""
    copy: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # given to the caller, who closes it
    try:
        while part := stream.read(CHUNK_BYTES):
            copy.write(part)
            if most is not None and copy.tell() > most:
                raise TooMuchContent(most)
        copy.seek(0)
    except (EOFError, zlib.error) as fault:  # of gzip
        copy.close()
        raise OSError(f"its gzip encoding is damaged: {fault}") from fault
    except BaseException:
        copy.close()
        raise
    return copy


def copied_unpacked(stream: io.BufferedReader, *, most: int) -> BinaryIO:
    """The same of what a stream of gzip decodes to; the stream is closed."""
    with stream:
        is_packed = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        stream.seek(0)
        return copied(gzip.GzipFile(fileobj=stream) if is_packed else stream, most=most)
