"""The headers of a tar, one after the other, without trust in what they claim.

The standard library's reader is not used beyond decoding one block: it takes a damaged header for the end of the
archive, it reads on for ever where a member claims exabytes (5 kB of tar held a scan for good), sparse maps and global
headers make it hold any amount of memory, and in some releases a PAX header of 1 MB takes it days. Here memory is
bounded by constants, and the bytes that come out of an archive by the bytes that it has.

An end mark does not end the reading, for archives are joined with `cat`: as with `tar -i`, zero blocks are passed over
and what follows is read. Where that is no archive, `BytesAfterEnd` says so.
"""

from __future__ import annotations

import gzip
import io
import math
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from curator.lake.encodings import TooMuchContent, most_content

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20
CUT_SHORT = "unexpected end of data"
MAX_EXTENSION_BYTES = 1 << 20  # of a header that only describes the next one: names, times, attributes
MAX_EXTENSIONS = 16  # of them in a row
MAX_NAME = 4096  # bytes; no file system takes a longer path
END_MARK = 2 * BLOCK  # zero bytes that end an archive; fewer may stand within one
MAX_ZEROS = 1 << 28  # bytes in a row that are looked through for another archive
MAX_COUNTED = 1 << 28  # bytes behind the end that are counted
PAX_HEADERS = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})
EXTENSIONS = PAX_HEADERS | {tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}


class BytesAfterEnd(tarfile.ReadError):
    """What comes behind the end of an archive is no other archive."""

    def __init__(self, position: int, what: str) -> None:
        super().__init__(f"reading stopped at byte {position}, behind the end of the archive: {what}")


@dataclass(frozen=True, slots=True)
class TarMember:
    """One member. `offset` is where its bytes begin in the content; `oddity` says what it is where it is no file.

    archive: which of several joined ones it is in, from 0. inside: the name of the tar in this tar that holds it.
    """

    name: str
    size: int
    offset: int
    is_folder: bool = False
    oddity: str = ""
    archive: int = 0
    inside: str = ""

    @property
    def is_regular(self) -> bool:
        return not self.oddity and not self.is_folder


class Content:
    """The bytes of an archive, uncompressed, read once from the start. `limit` says how many may have come by now."""

    def __init__(self, file: io.BufferedIOBase | BinaryIO, limit: Callable[[], int]) -> None:
        self._file = file
        self._limit = limit
        self._end = math.inf
        self.position = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises ReadError when they are not all there, TooMuchContent beyond the limit."""
        data = self.take_most(size)
        if len(data) != size:
            raise tarfile.ReadError(CUT_SHORT)
        return data

    def take_most(self, size: int) -> bytes:
        """The same, but as many as there are."""
        data = self._file.read(int(min(size, self._end - self.position)))
        self.position += len(data)
        if self.position > most_content(0) and self.position > self._limit():
            raise TooMuchContent(self._limit())
        return data

    def skip_to(self, position: int) -> None:
        while self.position < position:
            self.take(min(CHUNK, position - self.position))

    @contextmanager
    def up_to(self, position: int) -> Iterator[None]:
        """As if it ended there."""
        self._end = position
        try:
            yield
        finally:
            self._end = math.inf


def read_members(content: Content) -> Iterator[TarMember]:
    """The members in order, with the content at the bytes of each; what the caller leaves of them is skipped.

    Raises tarfile.TarError, ValueError or TooMuchContent.
    """
    archive = 0
    while True:
        block, zeros = _next_block(content)
        if not block:
            return
        archive += zeros >= END_MARK
        try:
            header = _header(block, content)
        except tarfile.HeaderError as fault:
            position = content.position - BLOCK
            if zeros:
                raise BytesAfterEnd(position, f"{_count(content, BLOCK)} follow that are no archive") from fault
            raise tarfile.ReadError(f"bad header at byte {position}: {fault}") from fault
        member, padded = _described(header, content)
        yield replace(member, archive=archive)
        content.skip_to(member.offset + padded)


def _next_block(content: Content) -> tuple[bytes, int]:
    """The next block that is not all zeros, empty at the end of the content; and the zero bytes that came before."""
    zeros = 0
    while True:
        position = content.position
        try:
            block = content.take_most(BLOCK)
        except gzip.BadGzipFile as fault:
            if zeros and "Not a gzipped file" in str(fault):
                raise BytesAfterEnd(position, "the bytes that follow in the file are no gzip") from fault
            raise
        if len(block) < BLOCK and not zeros:
            raise tarfile.ReadError(f"{CUT_SHORT}: no end mark at byte {position}")
        if block.strip(b"\0"):
            if len(block) < BLOCK:
                raise BytesAfterEnd(position, f"{len(block)} bytes follow that are no archive")
            return block, zeros
        if not block:
            return block, zeros
        zeros += len(block)
        if zeros > MAX_ZEROS:
            raise BytesAfterEnd(content.position, f"{zeros} zero bytes were no end to it, and {_count(content)} follow")


def _count(content: Content, counted: int = 0) -> str:
    """How many bytes are left, `counted` of them read already."""
    try:
        while counted <= MAX_COUNTED and (data := content.take_most(CHUNK)):
            counted += len(data)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return f"{counted} bytes or more"
    return f"{counted} bytes" if counted <= MAX_COUNTED else f"more than {MAX_COUNTED} bytes"


def _described(header: tarfile.TarInfo, content: Content) -> tuple[TarMember, int]:
    """The member that a header begins, after all headers that describe it; and its size with what fills its block."""
    pax: dict[bytes, bytes] = {}
    long_name: bytes | None = None
    for _ in range(MAX_EXTENSIONS):
        if header.type not in EXTENSIONS:
            member = _member(header, long_name, pax, content)
            return member, _padded(member.size if _has_data(header) else 0)
        data = content.take(_padded(header.size))[: header.size]  # a global one can hold no name or size of its own
        if header.type in PAX_HEADERS:
            pax.update(_pax_records(data))
        elif header.type == tarfile.GNUTYPE_LONGNAME:
            long_name = data.partition(b"\0")[0]
        header = _next_header(content)
    raise tarfile.ReadError(f"more than {MAX_EXTENSIONS} headers that describe one member")


def _next_header(content: Content) -> tarfile.TarInfo:
    """The header that has to follow at the current position."""
    position = content.position
    block = content.take_most(BLOCK)
    if len(block) < BLOCK or not block.strip(b"\0"):
        raise tarfile.ReadError(f"{CUT_SHORT}: a header describes a member that is not there")
    try:
        return _header(block, content)
    except tarfile.HeaderError as fault:
        raise tarfile.ReadError(f"bad header at byte {position}: {fault}") from fault


def _header(block: bytes, content: Content) -> tarfile.TarInfo:
    """A block as a header. Raises HeaderError for what is none."""
    header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    if header.size < 0 or (header.type in EXTENSIONS and header.size > MAX_EXTENSION_BYTES):
        raise tarfile.ReadError(f"a header claims {header.size} bytes")
    if header.type == tarfile.GNUTYPE_SPARSE and block[482]:  # its map goes on in further blocks
        while content.take(BLOCK)[504]:
            continue
    return header


def _pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """`length key=value` with a line's end, one after the other."""
    position = 0
    while position < len(data) and data[position]:
        digits, space, _ = data[position : position + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[position : position + length]
        if len(record) <= len(digits) + 2 or len(record) != length or not record.endswith(b"\n"):
            raise tarfile.ReadError("a PAX header is not well formed")
        key, _, value = record[len(digits) + 1 : -1].partition(b"=")
        yield key, value
        position += length


def _member(header: tarfile.TarInfo, long_name: bytes | None, pax: dict[bytes, bytes], content: Content) -> TarMember:
    stored = pax.get(b"GNU.sparse.name") or pax.get(b"path") or long_name
    name = header.name if stored is None else stored.decode("utf-8", "surrogateescape").rstrip("/")
    if len(name) > MAX_NAME:
        raise tarfile.ReadError(f"the name of a member has {len(name)} characters")
    size = _pax_size(pax.get(b"size"), header.size)
    oddity = ""
    if header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith(b"GNU.sparse.") for key in pax):
        oddity = "a sparse member, which no image is"
    elif not header.isreg() and not header.isdir():
        oddity = "a link or a device, never followed"
    return TarMember(name, size, content.position, header.isdir(), oddity)


def _pax_size(value: bytes | None, otherwise: int) -> int:
    if value is None:
        return otherwise
    if not value.isdigit() or len(value) > 20:
        raise tarfile.ReadError("a PAX header gives a size that is no number")
    return int(value)


def _has_data(header: tarfile.TarInfo) -> bool:
    """Links, folders and devices have none, whatever size they give."""
    return header.isreg() or header.type not in tarfile.SUPPORTED_TYPES


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
