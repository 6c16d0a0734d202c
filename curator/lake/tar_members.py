"""The headers of a tar, one after the other, without trust in what they claim.

The standard library's reader is not used beyond decoding one block: it takes a damaged header for the end of the
archive, it reads on for ever where a member claims exabytes (5 kB of tar held a scan for good), sparse maps and global
headers make it hold any amount of memory, and in some releases a PAX header of 1 MB takes it days. Here memory is
bounded by constants, and the bytes that come out of an archive by the bytes that it has.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20
CUT_SHORT = "unexpected end of data"
MAX_EXTENSION_BYTES = 1 << 20  # of a header that only describes the next one: names, times, attributes
MAX_EXTENSIONS = 16  # of them in a row
MAX_NAME = 4096  # bytes; no file system takes a longer path
MAX_EXPANSION = 200  # bytes of content for each stored one; images in gzip have 1 to 50, zeros 1,000
EXPANSION_FREE = 1 << 29  # bytes of content that are never too many
PAX_HEADERS = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})
EXTENSIONS = PAX_HEADERS | {tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}


def most_content(stored_bytes: int) -> int:
    """How many bytes may come out of so many stored ones; more is a decompression bomb."""
    return EXPANSION_FREE + MAX_EXPANSION * stored_bytes


class TooMuchContent(Exception):
    """More comes out of a container than its stored bytes can honestly hold."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it expands to more than {limit} bytes, {MAX_EXPANSION} times what is stored")


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `offset` is where its bytes begin in the content; `oddity` says what it is where it is no file."""

    name: str
    size: int
    offset: int
    is_folder: bool = False
    oddity: str = ""

    @property
    def is_regular(self) -> bool:
        return not self.oddity and not self.is_folder


class Content:
    """The bytes of an archive, uncompressed, read once from the start. `limit` says how many may have come by now."""

    def __init__(self, file: io.BufferedIOBase | BinaryIO, limit: Callable[[], int]) -> None:
        self._file = file
        self._limit = limit
        self.position = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises ReadError when they are not all there, TooMuchContent beyond the limit."""
        data = self.take_most(size)
        if len(data) != size:
            raise tarfile.ReadError(CUT_SHORT)
        return data

    def take_most(self, size: int) -> bytes:
        """The same, but as many as there are."""
        data = self._file.read(size)
        self.position += len(data)
        if self.position > EXPANSION_FREE and self.position > self._limit():
            raise TooMuchContent(self._limit())
        return data

    def skip_to(self, position: int) -> None:
        while self.position < position:
            self.take(min(CHUNK, position - self.position))


def read_members(content: Content) -> Iterator[Member]:
    """The members in order, with the content at the bytes of each; what the caller leaves of them is skipped.

    Raises tarfile.TarError, ValueError or TooMuchContent.
    """
    while (header := _next_header(content)) is not None:
        pax: dict[bytes, bytes] = {}
        long_name: bytes | None = None
        for _ in range(MAX_EXTENSIONS):
            if header.type not in EXTENSIONS:
                break
            data = _extension(header, content)
            if header.type in PAX_HEADERS:
                pax.update(_pax_records(data))
            elif header.type == tarfile.GNUTYPE_LONGNAME:
                long_name = data.partition(b"\0")[0]
            header = _next_header(content)
            if header is None:
                raise tarfile.ReadError(f"{CUT_SHORT}: a header describes a member that is not there")
        else:
            raise tarfile.ReadError(f"more than {MAX_EXTENSIONS} headers that describe one member")
        member = _member(header, long_name, pax, content)
        yield member
        content.skip_to(_padded(member.offset + (member.size if _has_data(header) else 0)))


def _next_header(content: Content) -> tarfile.TarInfo | None:
    """The header at the current position; None at the end mark."""
    position = content.position
    block = content.take_most(BLOCK)
    if len(block) < BLOCK:
        raise tarfile.ReadError(f"{CUT_SHORT}: no end mark at byte {position}")
    if not block.strip(b"\0"):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as fault:
        raise tarfile.ReadError(f"bad header at byte {position}: {fault}") from fault
    if header.size < 0 or (header.type in EXTENSIONS and header.size > MAX_EXTENSION_BYTES):
        raise tarfile.ReadError(f"a header claims {header.size} bytes")
    if header.type == tarfile.GNUTYPE_SPARSE and block[482]:  # its map goes on in further blocks
        while content.take(BLOCK)[504]:
            continue
    return header


def _extension(header: tarfile.TarInfo, content: Content) -> bytes:
    """What a header says of the next one. A global one is passed over: it cannot hold a name or a size of its own."""
    return content.take(_padded(header.size))[: header.size]


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


def _member(header: tarfile.TarInfo, long_name: bytes | None, pax: dict[bytes, bytes], content: Content) -> Member:
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
    return Member(name, size, content.position, header.isdir(), oddity)


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
