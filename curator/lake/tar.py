"""WebDataset tars: members read in one pass, never extracted, each with its key and offset.

Members of one key (the path up to the first dot of its last part) that follow each other are one sample: images, and
perhaps a label in `.cls`, `.cls.txt`, `.label` or `.label.txt`.
"""

from __future__ import annotations

import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from curator.lake.files import file_system
from curator.lake.kinds import is_compressed, kind_of, readable
from curator.lake.options import ReadOptions
from curator.types import Datum, Reject, SourceObject

LABEL_SUFFIXES = (".cls", ".cls.txt", ".label", ".label.txt")
MAX_LABEL_BYTES = 1024
TAR_FAULTS = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError)


def read_tar(item: SourceObject, options: ReadOptions) -> Iterator[Datum | Reject]:
    """The images of a tar, in order, each with the label of its sample; what breaks the tar is its last datum."""
    sample: list[Datum | Reject] = []
    key, label = None, None
    seen: Counter[str] = Counter()
    opened = False
    try:
        filesystem, path = file_system(item.path)
        mode = "r|*" if is_compressed(item.path) else "r:"
        with filesystem.open(path, "rb") as file, tarfile.open(fileobj=file, mode=mode) as archive:
            opened = True
            for member in archive:
                if sample_key(member.name) != key:
                    yield from _labelled(sample, label)
                    key, label, sample = sample_key(member.name), None, []
                if member.isfile() and member.name.lower().endswith(LABEL_SUFFIXES):
                    label = _read_label(archive, member)
                elif kind_of(member.name) == "file":
                    sample.append(_read_member(archive, member, item, seen, options))
    except TAR_FAULTS as fault:
        yield from _labelled(sample, label)
        reason = "truncated_archive" if opened else "unreadable_archive"
        yield Reject(item.uri, item.uri, "read", reason, one_line(fault), byte_size=item.byte_size)
        return
    yield from _labelled(sample, label)


def read_member(path: str, member: str, byte_offset: int | None, byte_size: int) -> bytes:
    """The bytes of one member: by its offset, or by walking a compressed tar. Raises OSError when it is not there."""
    filesystem, inner = file_system(path)
    with filesystem.open(inner, "rb") as file:
        if byte_offset is not None:
            file.seek(byte_offset)
            return bytes(file.read(byte_size))
        seen: Counter[str] = Counter()
        with tarfile.open(fileobj=file, mode="r|*") as archive:
            for found in archive:
                if kind_of(found.name) == "file" and _unique(found.name, seen) == member:
                    content = archive.extractfile(found)
                    if content is not None:
                        return content.read()
    raise OSError(f"{path}: no member {member}")


def sample_key(name: str) -> str:
    """The WebDataset key of a member: `a/000001.seg.png` has key `a/000001`."""
    folder, separator, base = name.rpartition("/")
    return f"{folder}{separator}{base.partition('.')[0]}"


def one_line(fault: BaseException) -> str:
    """The first line of a foreign error, or its type."""
    text = str(fault).strip()
    return text.splitlines()[0][:200] if text else type(fault).__name__


def _unique(name: str, seen: Counter[str]) -> str:
    """A member's name; the second of the same name in a tar becomes `name@2`."""
    seen[name] += 1
    return readable(name) if seen[name] == 1 else f"{readable(name)}@{seen[name]}"


def _read_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, item: SourceObject, seen: Counter[str], options: ReadOptions
) -> Datum | Reject:
    name = _unique(member.name, seen)
    uri = f"{item.uri}#{name}"
    offset = None if is_compressed(item.path) else member.offset_data
    if not member.isfile():
        return Reject(uri, item.uri, "read", "not_a_regular_member", "a link or a device; never followed", member=name)
    if member.size > options.max_object_bytes:
        detail = f"{member.size} bytes, at most {options.max_object_bytes} are read"
        return Reject(uri, item.uri, "read", "too_large", detail, name, offset, member.size)
    content = archive.extractfile(member)
    data = b"" if content is None else content.read()
    if len(data) < member.size:
        raise tarfile.ReadError(f"{name} ends after {len(data)} of {member.size} bytes")
    return Datum(uri, item.uri, data, member=name, byte_offset=offset)


def _read_label(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str | None:
    content = archive.extractfile(member)
    if content is None or member.size > MAX_LABEL_BYTES:
        return None
    return content.read().decode("utf-8", "replace").strip() or None


def _labelled(sample: list[Datum | Reject], label: str | None) -> Iterator[Datum | Reject]:
    for found in sample:
        yield replace(found, source_label=label) if label and isinstance(found, Datum) else found
