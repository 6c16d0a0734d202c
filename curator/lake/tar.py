"""WebDataset tars: members read in one pass, never extracted, each with its key, its offset and its sample's label.

Members of one key (the path up to the first dot of its last part) that follow each other are one sample: images, and
perhaps a label in `.cls`, `.cls.txt`, `.label` or `.label.txt`. The layout is WebDataset's (Aizman et al. 2019,
arXiv:2001.01858). The standard library's reader takes a damaged header for the end of the archive; `_Member` does not,
and it bounds what a hostile header can make it read.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from curator.lake.files import container_reason, one_line, open_seekable, open_stream
from curator.lake.kinds import is_hidden, kind_of, readable
from curator.lake.options import ReadOptions
from curator.types import Datum, Reject, SourceObject

LABEL_SUFFIXES = (".cls", ".cls.txt", ".label", ".label.txt")
MAX_LABEL_BYTES = 4096
MAX_SAMPLE_ITEMS = 64  # a tar whose members all share a key is still read with bounded memory
MAX_SAMPLE_BYTES = 64 << 20
MAX_EXTENSION_BYTES = 1 << 20  # of a header that only describes the next one: names, times, attributes
EXTENSION_TYPES = frozenset({tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
                             tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK})  # fmt: skip
GZIP_MAGIC = b"\x1f\x8b"
CUT_SHORT = "unexpected end of data"
# On hostile headers the standard library raises what its arithmetic happens to raise.
ARCHIVE_FAULTS = (tarfile.TarError, EOFError, zlib.error, ValueError, LookupError, ArithmeticError, RecursionError)


def read_tar(item: SourceObject, options: ReadOptions) -> Iterator[Datum | Reject]:
    """The images of a tar, in order, each with the label of its sample; what breaks the tar is the last reject."""
    sample = _Sample()
    failure: Reject | None = None
    try:
        with _Archive(item, options) as archive:
            for member in archive.members():
                yield from sample.turn_to(sample_key(member.name))
                archive.take(member, sample)
    except OSError as fault:  # of the file, of its store, or of gzip
        failure = _container_reject(item, container_reason(fault, "unreadable_archive"), fault)
    except ARCHIVE_FAULTS as fault:
        cut = isinstance(fault, EOFError) or CUT_SHORT in str(fault)
        failure = _container_reject(item, "truncated_archive" if cut else "unreadable_archive", fault)
    yield from sample.flush()
    if failure is not None:
        yield failure


def read_range(path: str, offset: int, size: int, options: Mapping[str, Any]) -> bytes:
    """So many bytes of an uncompressed tar, from an offset. Raises OSError when they are not all there."""
    with open_seekable(path, options) as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) != size:
        raise OSError(f"it ends {size - len(data)} bytes too early")
    return data


def sample_key(name: str) -> str:
    """The WebDataset key of a member: `a/000001.seg.png` has key `a/000001`."""
    folder, separator, base = name.rpartition("/")
    return f"{folder}{separator}{base.partition('.')[0]}"


@dataclass(slots=True)
class _Sample:
    """The images of one key, held back until the next key shows that its label can no longer come."""

    key: str | None = None
    label: str | None = None
    items: list[Datum | Reject] = field(default_factory=list)
    byte_size: int = 0

    def turn_to(self, key: str) -> Iterator[Datum | Reject]:
        """Go on with a key; gives what was held of another, or what has become too much of this one."""
        if key != self.key or len(self.items) >= MAX_SAMPLE_ITEMS or self.byte_size >= MAX_SAMPLE_BYTES:
            yield from self.flush()
        if key != self.key:
            self.key, self.label = key, None

    def add(self, item: Datum | Reject) -> None:
        self.items.append(item)
        self.byte_size += len(item.data) if isinstance(item, Datum) else 0

    def flush(self) -> Iterator[Datum | Reject]:
        items, self.items, self.byte_size = self.items, [], 0
        for item in items:
            yield replace(item, source_label=self.label) if self.label and isinstance(item, Datum) else item


class _Archive:
    """An opened tar and what of it has been met. Raises OSError or one of ARCHIVE_FAULTS, now and when it is read."""

    def __init__(self, item: SourceObject, options: ReadOptions) -> None:
        self._item = item
        self._limit = options.max_object_bytes
        self._seen: Counter[str] = Counter()
        with ExitStack() as stack:
            stream = stack.enter_context(open_stream(item.path, options.storage_options))
            self._is_compressed = stream.peek(len(GZIP_MAGIC))[: len(GZIP_MAGIC)] == GZIP_MAGIC
            content: io.BufferedIOBase = gzip.GzipFile(fileobj=stream) if self._is_compressed else stream
            self._tar = stack.enter_context(
                tarfile.open(fileobj=content, mode="r|", tarinfo=_Member, errors="surrogateescape")
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def members(self) -> Iterator[tarfile.TarInfo]:
        while (member := self._tar.next()) is not None:
            self._tar.members.clear()  # type: ignore[attr-defined]  # else it grows with the archive
            yield member

    def take(self, member: tarfile.TarInfo, sample: _Sample) -> None:
        """Add what a member holds to its sample: an image, or the label."""
        if any(map(is_hidden, member.name.split("/"))) or member.isdir():
            return
        if kind_of(member.name) == "file":
            sample.add(self._image(member))
        elif member.isfile() and member.name.lower().endswith(LABEL_SUFFIXES) and member.size <= MAX_LABEL_BYTES:
            sample.label = sample.label or _label(self._content(member))

    def _image(self, member: tarfile.TarInfo) -> Datum | Reject:
        name = self._unique(readable(member.name))
        offset = None if self._is_compressed or member.issparse() else member.offset_data
        uri = f"{self._item.uri}#{name}"
        if not member.isfile():
            detail = "a link or a device, never followed"
            return Reject(uri, self._item.uri, "read", "not_a_regular_member", detail, member=name)
        if member.size > self._limit:
            detail = f"{member.size} bytes, at most {self._limit} are read"
            return Reject(uri, self._item.uri, "read", "too_large", detail, name, offset, member.size)
        return Datum(uri, self._item.uri, self._content(member), member=name, byte_offset=offset)

    def _content(self, member: tarfile.TarInfo) -> bytes:
        file = self._tar.extractfile(member)
        data = b"" if file is None else file.read()
        if len(data) != member.size:
            raise tarfile.ReadError(CUT_SHORT)
        return data

    def _unique(self, name: str) -> str:
        """A member's name; the second of the same name becomes `name@2`, which no image's own name can be."""
        self._seen[name] += 1
        return name if self._seen[name] == 1 else f"{name}@{self._seen[name]}"


class _Member(tarfile.TarInfo):
    """A header that raises where the standard one would end the archive in silence."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type in EXTENSION_TYPES and member.size > MAX_EXTENSION_BYTES):
            raise tarfile.ReadError(f"a header claims {member.size} bytes")
        return member

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the regular end
            raise
        except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError) as fault:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"{CUT_SHORT}: no end mark at byte {tarfile_.offset}") from fault
        except tarfile.InvalidHeaderError as fault:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"bad header at byte {tarfile_.offset}: {fault}") from fault


def _label(content: bytes) -> str | None:
    return content.decode("utf-8", "backslashreplace").strip() or None


def _container_reject(item: SourceObject, reason: str, fault: BaseException) -> Reject:
    return Reject(item.uri, item.uri, "read", reason, one_line(fault), byte_size=item.byte_size)
