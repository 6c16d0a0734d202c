"""WebDataset tars: members read in one pass, never extracted, each with its key, its offset and its sample's label.

Members of one key (the path up to the first dot of its last part) that follow each other are one sample: images, and
perhaps a label in `.cls`, `.cls.txt`, `.label` or `.label.txt`. The layout is WebDataset's (Aizman et al. 2019,
arXiv:2001.01858). How headers are read, and what hostile ones may claim, is in `members.py`.

A tar in a tar is read as if its members were the outer one's, `train.tar#n01.tar#n01_1.jpg`: so the training images of
ImageNet come. One further down, or a compressed one, is only counted. Members that are no images are counted, too, as
a listing counts files; those without a suffix that says what they are, are known by their first bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from curator.lake.encodings import GZIP_MAGIC, TooMuchContent, most_content
from curator.lake.files import confirm_unchanged, container_reason, open_stream
from curator.lake.kinds import kind_of
from curator.lake.options import ReadOptions
from curator.lake.passed import EMPTY_TAR, PARQUET_INSIDE, TAR_INSIDE, PassedOver, passed_as, suffix_heading
from curator.lake.signatures import HEAD, looks_like_image
from curator.lake.tar.members import CUT_SHORT, BytesAfterEnd, Content, TarMember, read_members
from curator.printable import readable, said_by
from curator.types import Datum, Reject, SourceObject

LABEL_SUFFIXES = (".cls", ".cls.txt", ".label", ".label.txt")
MAX_LABEL_BYTES = 4096
MAX_SAMPLE_ITEMS = 64  # a tar whose members all share a key is still read with bounded memory
MAX_SAMPLE_BYTES = 64 << 20
MAX_IMAGES = 1_000_000  # of one tar: the rows and vectors of a shard are held until it is done
MAX_NOTED = 64 << 20  # characters of names and labels of one tar, for the same reason
LARGEST = 2**63 - 1  # of a size in the ledger; a header may claim more
# On hostile headers the standard library raises what its arithmetic happens to raise.
HEADER_FAULTS = (tarfile.TarError, ValueError, LookupError, ArithmeticError, RecursionError)
ARCHIVE_FAULTS = (*HEADER_FAULTS, EOFError, zlib.error)


def read_tar(item: SourceObject, options: ReadOptions, passed: PassedOver | None = None) -> Iterator[Datum | Reject]:
    """The images of a tar, in order, each with the label of its sample; what breaks the tar is the last reject.

    passed: is given what was passed over.
    """
    sample = _Sample()
    failure: Reject | None = None
    try:
        with _Archive(item, options, PassedOver() if passed is None else passed) as archive:
            for found in archive.members():
                if isinstance(found, Reject):
                    yield from sample.flush()
                    yield found
                else:
                    yield from sample.turn_to(_key(found))
                    archive.take(found, sample)
        confirm_unchanged(item.path, version=item.version)
    except OSError as fault:  # of the file, of its store, or of gzip
        failure = _container_reject(item, container_reason(fault, "unreadable_archive"), fault)
    except TooMuchContent as fault:
        failure = _container_reject(item, "expands_too_far", fault)
    except ARCHIVE_FAULTS as fault:
        failure = _container_reject(item, archive_reason(fault), fault)
    yield from sample.flush()
    if failure is not None:
        yield failure


def archive_reason(fault: BaseException) -> str:
    if isinstance(fault, BytesAfterEnd):
        return "bytes_after_end"
    return "truncated_archive" if isinstance(fault, EOFError) or CUT_SHORT in str(fault) else "unreadable_archive"


def _key(member: TarMember) -> tuple[int, str, str]:
    """What the members of one sample share; archives that are joined have none in common."""
    return member.archive, member.inside, sample_key(member.name)


def sample_key(name: str) -> str:
    """The WebDataset key of a member: `a/000001.seg.png` has key `a/000001`."""
    folder, separator, base = name.rpartition("/")
    return f"{folder}{separator}{base.partition('.')[0]}"


@dataclass(slots=True)
class _Sample:
    """The images of one key, held back until the next key shows that its label can no longer come."""

    key: tuple[int, str, str] | None = None
    label: str | None = None
    items: list[Datum | Reject] = field(default_factory=list)
    byte_size: int = 0

    def turn_to(self, key: tuple[int, str, str]) -> Iterator[Datum | Reject]:
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

    def __init__(self, item: SourceObject, options: ReadOptions, passed: PassedOver) -> None:
        self._item = item
        self._passed = passed
        self._limit = options.max_object_bytes
        self._seen: Counter[bytes] = Counter()
        self._noted = 0  # characters of names and labels
        with ExitStack() as stack:
            stream = stack.enter_context(open_stream(item.path, version=item.version))
            self._is_compressed = stream.peek(len(GZIP_MAGIC))[: len(GZIP_MAGIC)] == GZIP_MAGIC
            content: io.BufferedIOBase = gzip.GzipFile(fileobj=stream) if self._is_compressed else stream
            self._content = Content(content, lambda: most_content(item.byte_size or stream.tell()))
            self._stack = stack.pop_all()

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def members(self) -> Iterator[TarMember | Reject]:
        """The members; in the place of a tar those that it holds, and a reject where it is broken."""
        is_empty = True
        for member in read_members(self._content):
            is_empty = False
            if member.is_regular and _heading(member) is None and member.name.lower().endswith(".tar"):
                yield from self._members_inside(member)
            else:
                yield member
        if is_empty:
            self._passed.note(EMPTY_TAR)

    def _members_inside(self, outer: TarMember) -> Iterator[TarMember | Reject]:
        is_empty, end = True, outer.offset + outer.size
        try:
            with self._content.up_to(end):
                for member in read_members(self._content):
                    is_empty = False
                    if member.is_regular and member.offset + member.size > end:
                        raise tarfile.ReadError(CUT_SHORT)
                    yield replace(member, inside=outer.name)
        except HEADER_FAULTS as fault:
            yield self._reject(outer, archive_reason(fault), said_by(fault))
            return
        if is_empty:
            self._passed.note(EMPTY_TAR)

    def take(self, member: TarMember, sample: _Sample) -> None:
        """Add what a member holds to its sample: an image, or the label. What is neither is counted."""
        if member.is_folder:
            return
        heading, kind = _heading(member), kind_of(member.name)
        if heading is not None:
            self._passed.note(heading)
        elif kind == "file":
            sample.add(self._image(member))
        elif kind is not None:
            self._passed.note(TAR_INSIDE if kind == "tar" else PARQUET_INSIDE)
        elif member.is_regular and member.name.lower().endswith(LABEL_SUFFIXES) and member.size <= MAX_LABEL_BYTES:
            sample.label = sample.label or self._note(_label(self._content.take(member.size)))
        elif member.is_regular and looks_like_image(head := self._content.take(min(member.size, HEAD))):
            sample.add(self._image(member, head))
        else:
            self._passed.note(suffix_heading(readable(member.name)))

    def _image(self, member: TarMember, head: bytes = b"") -> Datum | Reject:
        """head: what was read of it already."""
        if not member.is_regular:
            return self._reject(member, "not_a_regular_member", member.oddity)
        if member.size > self._limit:
            detail = f"{member.size} bytes, at most {self._limit} are read"
            return self._reject(member, "too_large", detail, size=min(member.size, LARGEST))
        name, offset = self._place(member)
        data = head + self._content.take(member.size - len(head))
        return Datum(f"{self._item.uri}#{name}", self._item.uri, data, member=name, byte_offset=offset)

    def _reject(self, member: TarMember, reason: str, detail: str, *, size: int | None = None) -> Reject:
        name, offset = self._place(member)
        uri = f"{self._item.uri}#{name}"
        return Reject(uri, self._item.uri, "read", reason, detail, name, None if size is None else offset, size)

    def _place(self, member: TarMember) -> tuple[str, int | None]:
        """The name of a member, which no other has, and where its bytes are in the file, if they are."""
        name = f"{member.inside}#{member.name}" if member.inside else member.name
        return self._unique(readable(name)), None if self._is_compressed else member.offset

    def _unique(self, name: str) -> str:
        """A member's name; the second of the same name becomes `name@2`, which no image's own name can be.

        Counted by hash, since a hostile archive may hold a million long names. Raises ReadError for too many images.
        """
        key = hashlib.blake2b(name.encode(), digest_size=16).digest()
        self._seen[key] += 1
        if len(self._seen) > MAX_IMAGES or self._seen[key] > MAX_IMAGES:
            raise tarfile.ReadError(f"it holds more than {MAX_IMAGES} images: cut it into several tars")
        self._note(name)
        return name if self._seen[key] == 1 else f"{name}@{self._seen[key]}"

    def _note(self, text: str | None) -> str | None:
        """`text`, which the rows of this tar will hold. Raises ReadError when all of it becomes too much."""
        self._noted += len(text or "")
        if self._noted > MAX_NOTED:
            raise tarfile.ReadError(f"its names and labels have more than {MAX_NOTED} characters")
        return text


def _heading(member: TarMember) -> str | None:
    """Under which heading a member is passed over for its name alone."""
    return next(filter(None, map(passed_as, member.name.split("/"))), None)


def _label(content: bytes) -> str | None:
    return content.decode("utf-8", "backslashreplace").strip() or None


def _container_reject(item: SourceObject, reason: str, fault: BaseException) -> Reject:
    return Reject(item.uri, item.uri, "read", reason, said_by(fault), byte_size=item.byte_size)
