"""fsspec behind one door: connecting to a store, opening and reading its objects, and naming what went wrong.

Local paths never pass through fsspec: the standard library is faster, and keeps names that are not valid UTF-8. The
clients of stores raise errors of their own families; here they become OSErrors once, so that readers know one family.

`version` is the object's as it was listed, and empty for whichever is there: of S3 and of local files, nothing is read
under a version that is not its own (`confirm_unchanged`).
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, BinaryIO

import fsspec
from fsspec import AbstractFileSystem

from curator.errors import CuratorError, MissingExtra, SourceError
from curator.lake.encodings import copied, copied_unpacked, most_content
from curator.lake.patience import CutShort, client_settings, patiently
from curator.lake.s3 import FIRST_BLOCK_BYTES, S3File, S3Object, is_archived, is_s3
from curator.lake.versions import ChangedWhileRead, Info, confirm_local, confirm_version, version_of
from curator.printable import said_by
from curator.urls import is_http, refuse_secrets, scheme_of

PACKAGES = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs"),
            "http": ("aiohttp", "http"), "https": ("aiohttp", "http")}  # fmt: skip
BLOCK_BYTES = 8 << 20  # of one request when an object is read piece by piece
STREAM_BUFFER_BYTES = 1 << 20
ABSENT = (FileNotFoundError, NotADirectoryError)


class ClientFault(OSError):
    """A store's client failed in its own way."""


def connect(address: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL and the path in it. Makes no request.

    Raises MissingExtra where the store's package is missing, SourceError where nothing serves the scheme, UsageError
    for a URL with credentials in it.
    """
    refuse_secrets(address)
    scheme = scheme_of(address) or "file"
    try:
        kind: type[AbstractFileSystem] = fsspec.get_filesystem_class(scheme)
        filesystem = kind(**{**client_settings(scheme), **kind._get_kwargs_from_urls(address)})
    except ImportError as fault:
        if scheme in PACKAGES:
            package, extra = PACKAGES[scheme]
            raise MissingExtra(package, extra=extra, needed_for=address) from fault
        raise SourceError(f"{address}: {said_by(fault)}", hint="install the package that it names") from fault
    except (ValueError, TypeError) as fault:
        schemes = "local paths, s3://, gs://, https:// and whatever else fsspec knows"
        raise SourceError(f"{address}: {said_by(fault)}", hint=f"sources are {schemes}") from fault
    if is_s3(address):
        filesystem.retries = 1  # botocore and `patiently` repeat; a third layer would multiply them
    return filesystem, str(kind._strip_protocol(address))


def read_bytes(path: str, *, limit: int, expected: int = 0, version: str = "") -> bytes:
    """All bytes of an object, or its first `limit + 1` where it has more than `limit`. Raises OSError.

    expected: its size where that is known; it saves a request.
    """
    if scheme_of(path) is None:
        return _read_local(path, limit)
    with foreign_faults():
        filesystem, inner = connect(path)
        if is_s3(path):
            return patiently(lambda: S3Object(filesystem, inner, version).read(limit))
        return patiently(lambda: _read_whole(filesystem, inner, limit, expected))


def open_stream(path: str, *, version: str = "") -> io.BufferedReader:
    """An object opened to be read once from its start. Raises OSError, now and when it is read."""
    if not is_http(path):
        return _open(path, version)
    with foreign_faults():
        filesystem, inner = connect(path)
        # One request for the whole, which servers without ranges can answer too.
        return _guarded(lambda: filesystem.open(inner, "rb", block_size=0), STREAM_BUFFER_BYTES, is_stream=True)


def open_seekable(path: str, *, version: str = "") -> BinaryIO:
    """An object opened to be read in any order. Raises OSError, now and when it is read.

    From a web server that does not answer requests for ranges, and where a store holds it encoded, it is first copied
    to a temporary file. Raises TooMuchContent where it decodes to more than it can honestly hold.
    """
    if is_http(path) and not _serves_ranges(path):
        with open_stream(path) as stream:
            return copied(stream, most=_most_of(stream))
    if is_s3(path):
        stream, info = _open_s3(path, version)
        return copied_unpacked(stream, most=most_content(int(info["size"]))) if info["is_gzip"] else stream
    return _open(path, version)


def read_no_further(file: BinaryIO, end: int) -> None:
    """Let nothing be read ahead beyond a place in a file of `open_seekable`; what is asked for is still read."""
    raw = getattr(file, "raw", None)
    if isinstance(raw, _Guarded):
        raw.read_no_further(end)


def _read_local(path: str, limit: int) -> bytes:
    """Without a file object, which costs more than to read a small file."""
    descriptor, size = _opened_local(path)
    try:
        parts, left = [], limit + 1
        while left > 0 and (part := os.read(descriptor, min(size + 1, left))):  # the whole, and then nothing
            parts.append(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(descriptor)


def _opened_local(path: str) -> tuple[int, int]:
    """The descriptor and size of a regular file. What took its place since the listing is not waited for: opening a
    pipe may take for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "a folder, a pipe, a socket or a device, never read")
        return descriptor, status.st_size
    except BaseException:
        os.close(descriptor)
        raise


def _open_local(path: str) -> io.BufferedReader:
    return os.fdopen(_opened_local(path)[0], "rb")


def _open(path: str, version: str) -> io.BufferedReader:
    if scheme_of(path) is None:
        return _open_local(path)
    if is_s3(path):
        return _open_s3(path, version)[0]
    with foreign_faults():
        filesystem, inner = connect(path)
        return _guarded(lambda: filesystem.open(inner, "rb", block_size=BLOCK_BYTES), STREAM_BUFFER_BYTES)


def _open_s3(path: str, version: str) -> tuple[io.BufferedReader, Info]:
    """An object as it is stored, and what the store tells of it."""
    with foreign_faults():
        filesystem, inner = connect(path)
        info = patiently(S3Object(filesystem, inner).head)
        confirm_version(version, version_of(info))
        item = S3Object(filesystem, inner, version_of(info))
        return _guarded(lambda: S3File(item, int(info["size"])), FIRST_BLOCK_BYTES), info


def read_range(path: str, offset: int, size: int) -> bytes:
    """So many bytes of an object, from an offset. Raises OSError when they are not all there."""
    if is_s3(path):
        with foreign_faults():
            item = S3Object(*connect(path))
            data = patiently(lambda: item.read_range(offset, offset + size))
    else:
        with open_seekable(path) as file:
            file.seek(offset)
            data = file.read(size)
    if len(data) != size:
        raise OSError(f"it ends {size - len(data)} bytes too early")
    return data


def confirm_unchanged(path: str, *, version: str) -> None:
    """Raises ChangedWhileRead where a local file that has been read is no longer what was listed; OSError if gone.

    S3 needs no question: its every answer was compared. Of other stores a listing and an answer may write the same
    version differently, so they are not compared: if the bytes are newer than their version, the next listing shows it.
    """
    if version and scheme_of(path) is None:
        confirm_local(version, os.stat(path))  # noqa: PTH116  # a Path costs more than the look


@contextmanager
def foreign_faults() -> Iterator[None]:
    """Turns whatever a store's client raises into an OSError that names its kind; our own errors pass."""
    try:
        yield
    except (CuratorError, ChangedWhileRead, PermissionError, *ABSENT):
        raise
    # Broad on purpose: botocore, aiohttp and their like share no base; it is raised again as an OSError.
    except Exception as fault:
        if getattr(fault, "status", None) in (401, 403):
            raise PermissionError(errno.EACCES, said_by(fault)) from fault
        if isinstance(fault, OSError) and fault.errno is not None:
            raise
        raise ClientFault(errno.EIO, said_by(fault)) from fault


def failure_reason(fault: OSError) -> str:
    """The reject reason of an object that could not be read: all of them are tried again by the next scan."""
    if isinstance(fault, ChangedWhileRead):
        return "changed_while_read"
    if isinstance(fault, ABSENT):
        return "not_found"
    if is_archived(fault):
        return "archived"
    return "permission_denied" if isinstance(fault, PermissionError) else "read_failed"


def container_reason(fault: OSError, damaged: str) -> str:
    """The same for a container, whose formats report damage as OSErrors too, but without a number: then `damaged`."""
    is_of_file = fault.errno is not None or isinstance(fault, (ChangedWhileRead, PermissionError, *ABSENT))
    return failure_reason(fault) if is_of_file else damaged


class _Guarded(io.RawIOBase):
    """A remote file whose client's errors become OSErrors, and whose reads are repeated after a transient one.

    A stream cannot go back: it is opened again, and what was read of it already is passed over.
    """

    def __init__(self, opener: Callable[[], Any], *, is_stream: bool) -> None:
        self._opener = opener
        self._is_stream = is_stream
        self._file = patiently(opener)
        self._position = 0
        self._is_broken = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return not self._is_stream

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with foreign_faults():
            self._file.seek(offset, whence)
            return self.tell()

    def tell(self) -> int:
        return int(self._file.tell())

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the answer of a web server, where this is a stream of one."""
        found: Mapping[str, str] = getattr(getattr(self._file, "r", None), "headers", {})
        return found

    def read_no_further(self, end: int) -> None:
        if isinstance(self._file, S3File):
            self._file.read_no_further(end)

    def readinto(self, buffer: Any) -> int:
        with foreign_faults():
            data = patiently(lambda: self._read(len(buffer)))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read(self, count: int) -> bytes:
        if self._is_broken:
            self._file.close()
            self._file = self._opener()
            if len(_read_at_most(self._file, self._position)) < self._position:
                raise CutShort("it ended before the place where it broke off")
        self._is_broken = self._is_stream
        data: bytes = self._file.read(count)
        self._is_broken = False
        return data

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _guarded(opener: Callable[[], Any], buffer_bytes: int, *, is_stream: bool = False) -> io.BufferedReader:
    return io.BufferedReader(_Guarded(opener, is_stream=is_stream), buffer_bytes)


def _read_whole(filesystem: AbstractFileSystem, inner: str, limit: int, expected: int) -> bytes:
    if not 0 < expected <= limit:
        with filesystem.open(inner, "rb") as file:
            return _read_at_most(file, limit + 1)
    data = bytes(filesystem.cat_file(inner))
    if len(data) < expected:
        raise CutShort(f"{len(data)} bytes came of {expected}")
    return data


def _read_at_most(file: IO[bytes], count: int) -> bytes:
    """Remote streams may return less than was asked for before their end."""
    parts: list[bytes] = []
    while count > 0 and (part := file.read(min(count, BLOCK_BYTES))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _serves_ranges(url: str) -> bool:
    """Whether a web server gives the last bytes of an object alone."""
    with foreign_faults():
        filesystem, inner = connect(url)
        with filesystem.open(inner, "rb", block_size=BLOCK_BYTES) as file:
            try:
                file.seek(-1, io.SEEK_END)
                return len(patiently(lambda: file.read(1))) == 1
            except (ValueError, TypeError, NotImplementedError):  # a stream, or a server that sent the whole
                return False


def _most_of(stream: io.BufferedReader) -> int | None:
    """How many bytes may honestly come out of the answer of a web server; None where they are not encoded."""
    headers = stream.raw.headers if isinstance(stream.raw, _Guarded) else {}
    if headers.get("Content-Encoding", "identity") in ("", "identity"):
        return None
    length = headers.get("Content-Length", "")
    return most_content(int(length) if length.isdecimal() else 0)
