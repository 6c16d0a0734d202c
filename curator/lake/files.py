"""fsspec behind one door: connecting to a store, opening and reading its objects, and naming what went wrong.

Local paths never pass through fsspec: the standard library is faster, and keeps names that are not valid UTF-8. The
clients of stores raise errors of their own families; here they become OSErrors once, so that readers know one family.
"""

from __future__ import annotations

import errno
import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from curator.errors import CuratorError, MissingExtra, SourceError

PACKAGES = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs"),
            "http": ("aiohttp", "http"), "https": ("aiohttp", "http")}  # fmt: skip
SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
BLOCK_BYTES = 8 << 20  # of one request when an object is read piece by piece
ABSENT = (FileNotFoundError, NotADirectoryError)


class StoreFault(OSError):
    """A store's client failed in its own way."""


def scheme_of(address: str) -> str | None:
    """The scheme of a URL, in lower case; None for a local path."""
    found = SCHEME.match(address)
    return found[1].lower() if found else None


def is_http(address: str) -> bool:
    """Whether an address is a web URL, where nothing but the server's answers tells files from folders."""
    return scheme_of(address) in ("http", "https")


def connect(address: str, options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """The file system of a URL and the path in it. Makes no request.

    Raises MissingExtra where the store's package is missing, SourceError where nothing serves the scheme.
    """
    scheme = scheme_of(address) or "file"
    try:
        kind: Any = fsspec.get_filesystem_class(scheme)
        filesystem = kind(**{**kind._get_kwargs_from_urls(address), **dict(options or {})})
    except ImportError as fault:
        if scheme in PACKAGES:
            package, extra = PACKAGES[scheme]
            raise MissingExtra(package, extra=extra, needed_for=address) from fault
        raise SourceError(f"{address}: {one_line(fault)}", hint="install the package that it names") from fault
    except ValueError as fault:
        schemes = "local paths, s3://, gs://, https:// and whatever else fsspec knows"
        raise SourceError(f"{address}: {one_line(fault)}", hint=f"sources are {schemes}") from fault
    except TypeError as fault:
        raise SourceError(f"{address}: {one_line(fault)}", hint="check the storage options") from fault
    return filesystem, str(kind._strip_protocol(address))


def read_bytes(path: str, options: Mapping[str, Any], *, limit: int, expected: int = 0) -> bytes:
    """All bytes of an object, or its first `limit + 1` where it has more than `limit`. Raises OSError.

    expected: its size where that is known; it saves a request.
    """
    if scheme_of(path) is None:
        with Path(path).open("rb") as file:
            return file.read() if _size(file) <= limit else file.read(limit + 1)
    with foreign_faults():
        filesystem, inner = connect(path, options)
        if 0 < expected <= limit:
            return bytes(filesystem.cat_file(inner))
        with filesystem.open(inner, "rb") as file:
            return _read_at_most(file, limit + 1)


def open_stream(path: str, options: Mapping[str, Any]) -> io.BufferedReader:
    """An object opened to be read once from its start. Raises OSError, now and when it is read."""
    if scheme_of(path) is None:
        return Path(path).open("rb")
    with foreign_faults():
        filesystem, inner = connect(path, options)
        if is_http(path):  # one request for the whole, which servers without ranges can answer too
            return _guarded(filesystem.open(inner, "rb", block_size=0))
        return _guarded(filesystem.open(inner, "rb", block_size=BLOCK_BYTES))


def open_seekable(path: str, options: Mapping[str, Any]) -> BinaryIO:
    """An object opened to be read in any order. Raises OSError, now and when it is read.

    From a web server that does not answer requests for ranges, it is first copied to a temporary file.
    """
    if scheme_of(path) is None:
        return Path(path).open("rb")
    if is_http(path) and not _serves_ranges(path, options):
        return _spooled(path, options)
    with foreign_faults():
        filesystem, inner = connect(path, options)
        return _guarded(filesystem.open(inner, "rb", block_size=BLOCK_BYTES))


@contextmanager
def foreign_faults() -> Iterator[None]:
    """Turns whatever a store's client raises into an OSError that names its kind; our own errors pass."""
    try:
        yield
    except (CuratorError, PermissionError, *ABSENT):
        raise
    # Broad on purpose: botocore, aiohttp and their like share no base; it is raised again as an OSError.
    except Exception as fault:
        if getattr(fault, "status", None) in (401, 403):
            raise PermissionError(errno.EACCES, one_line(fault)) from fault
        if isinstance(fault, OSError) and fault.errno is not None:
            raise
        raise StoreFault(errno.EIO, one_line(fault)) from fault


def failure_reason(fault: OSError) -> str:
    """The reject reason of an object that could not be read: not_found, permission_denied or read_failed."""
    if isinstance(fault, ABSENT):
        return "not_found"
    return "permission_denied" if isinstance(fault, PermissionError) else "read_failed"


def container_reason(fault: OSError, damaged: str) -> str:
    """The same for a container, whose formats report damage as OSErrors too, but without a number: then `damaged`."""
    is_of_file = fault.errno is not None or isinstance(fault, (PermissionError, *ABSENT))
    return failure_reason(fault) if is_of_file else damaged


def one_line(fault: BaseException) -> str:
    """The first line of an error as UTF-8 text of bounded length; its type where it says nothing."""
    text = (getattr(fault, "strerror", None) or str(fault)).strip() or type(fault).__name__
    return text.splitlines()[0].encode("utf-8", "backslashreplace").decode()[:300]


class _Guarded(io.RawIOBase):
    """A remote file whose client's errors become OSErrors."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with foreign_faults():
            self._file.seek(offset, whence)
            return self.tell()

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with foreign_faults():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _guarded(file: Any) -> io.BufferedReader:
    return io.BufferedReader(_Guarded(file), 1 << 20)


def _size(file: BinaryIO) -> int:
    return file.seek(0, io.SEEK_END) - file.seek(0)


def _read_at_most(file: Any, count: int) -> bytes:
    """Remote streams may return less than was asked for before their end."""
    parts: list[bytes] = []
    while count > 0 and (part := file.read(min(count, BLOCK_BYTES))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _serves_ranges(url: str, options: Mapping[str, Any]) -> bool:
    """Whether a web server gives the last bytes of an object alone."""
    with foreign_faults():
        filesystem, inner = connect(url, options)
        with filesystem.open(inner, "rb", block_size=BLOCK_BYTES) as file:
            try:
                file.seek(-1, io.SEEK_END)
                return len(file.read(1)) == 1
            except (ValueError, TypeError, NotImplementedError):  # a stream, or a server that sent the whole
                return False


def _spooled(path: str, options: Mapping[str, Any]) -> BinaryIO:
    copy: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # given to the caller, who closes it
    try:
        with open_stream(path, options) as stream:
            while part := stream.read(BLOCK_BYTES):
                copy.write(part)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy
