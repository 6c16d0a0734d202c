"""Reading a shard: the bytes of its data, in order, or the reason why not; and one datum again, by where it was seen.

Loose files are read a few at a time, because on an object store and on network disks their cost is waiting. What is
waiting to be taken is bounded in number and in bytes. What reads Parquet is imported where there is some: Arrow takes
longer to import than a thousand loose files to read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from curator.errors import SourceError
from curator.lake.files import confirm_unchanged, failure_reason, read_bytes, read_range
from curator.lake.options import ReadOptions
from curator.lake.passed import PassedOver
from curator.lake.tar.reading import read_tar
from curator.printable import readable, said_by
from curator.types import Datum, ObjectKind, Reject, Shard, SourceObject

MAX_WAITING_BYTES = 256 << 20


def read_shard(shard: Shard, *, options: ReadOptions, passed: PassedOver | None = None) -> Iterator[Datum | Reject]:
    """Everything in a shard, in an order that depends on the shard alone. Bad data are rejects.

    passed: is given what was passed over in it.

    Raises MissingExtra or SourceError only where no object of the store could ever be read: a package that is missing,
    options that do not fit.
    """
    if shard.kind == "tar":
        return read_tar(shard.objects[0], options, passed)
    if shard.kind == "parquet":
        from curator.lake.parquet.reading import read_parquet

        return read_parquet(shard.objects[0], shard.row_group, options, passed)
    return _read_files(shard.objects, options)


def read_datum(
    path: str,
    kind: ObjectKind,
    *,
    member: str | None = None,
    byte_offset: int | None = None,
    byte_size: int | None = None,
    options: ReadOptions | None = None,
) -> bytes:
    """The bytes of one image again, by where it was seen.

    path, kind: of the object. member, byte_offset, byte_size: as its datum had them; offset and size together spare
    walking the tar. The object may have changed since: compare the hash. Raises SourceError when it is not there.
    """
    from curator.lake.parquet.reading import FILE_FAULTS, Cell

    options = options or ReadOptions()
    item = SourceObject(path, path, kind, 0, "")
    try:
        if kind == "file":
            found: Datum | Reject | None = _read_file(item, options)
        elif kind == "tar" and byte_offset is not None and byte_size is not None:
            return read_range(path, byte_offset, byte_size)
        elif kind == "tar":
            found = next((datum for datum in read_tar(item, options) if datum.member == member), None)
        else:
            return _one(next(read_rows(path, [str(Cell.parse(member or "0"))], options=options))[1])
    except FILE_FAULTS as fault:
        raise _gone(path, member, said_by(fault)) from fault
    return _one(_data_of(found, path, member))


def _one(data: bytes | SourceError) -> bytes:
    if isinstance(data, SourceError):
        raise data
    return data


def read_rows(
    path: str, members: Collection[str], *, options: ReadOptions
) -> Iterator[tuple[str, bytes | SourceError]]:
    """Images of one Parquet file again, by where they were, in the order of the file, or why they are not there.

    It is read once, for each of the columns that were named. Raises ValueError for what is no place in such a file.
    """
    from curator.lake.parquet.reading import Cell, read_cells

    item = SourceObject(path, path, "parquet", 0, "")
    cells = {member: Cell.parse(member) for member in members}
    left = set(members)
    broken: Datum | Reject | None = None
    for column in sorted({cell.column for cell in cells.values()}, key=str):
        for found in read_cells(item, {cell.row for cell in cells.values() if cell.column == column}, column, options):
            if found.member is None:
                broken = found  # the file, or a row group
            elif found.member in left:
                left.remove(found.member)
                yield found.member, _data_of(found, path, found.member)
    for member in sorted(left):
        yield member, _data_of(broken, path, member)


def _data_of(found: Datum | Reject | None, path: str, member: str | None) -> bytes | SourceError:
    if isinstance(found, Datum):
        return found.data
    return _gone(path, member, "it is no longer there" if found is None else f"{found.reason}: {found.detail}")


def _gone(path: str, member: str | None, why: str) -> SourceError:
    place = path if member is None else f"{path}#{member}"
    return SourceError(f"{readable(place)}: {why}", hint="scan its source again: curator scan SOURCE")


LOCAL_READ_THREADS = 2  # on a local disk more of them only get in each other's way (measured: 8 take twice the time)
LOCAL_RUN = 8  # files that a thread reads at a time there, where handing over one costs as much as reading it


def _read_files(objects: Sequence[SourceObject], options: ReadOptions) -> Iterator[Datum | Reject]:
    """Loose files in order, read ahead by threads."""
    is_remote = "://" in objects[0].path
    wanted = options.read_threads if is_remote else min(options.read_threads, LOCAL_READ_THREADS)
    threads = ThreadPoolExecutor(wanted, thread_name_prefix="curator-read")
    waiting: deque[tuple[int, Future[list[Datum | Reject]]]] = deque()
    waiting_bytes = 0
    try:
        for run in _runs(objects, 1 if is_remote else LOCAL_RUN):
            size = sum(item.byte_size for item in run)
            while waiting and (len(waiting) >= 2 * wanted or waiting_bytes + size > MAX_WAITING_BYTES):
                taken, future = waiting.popleft()
                waiting_bytes -= taken
                yield from future.result()
            waiting.append((size, threads.submit(_read_run, run, options)))
            waiting_bytes += size
        while waiting:
            yield from waiting.popleft()[1].result()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _runs(objects: Sequence[SourceObject], longest: int) -> Iterator[list[SourceObject]]:
    """Consecutive files, together no larger than a small part of what may wait; a larger one is alone."""
    run: list[SourceObject] = []
    size = 0
    for item in objects:
        if run and (len(run) == longest or size + item.byte_size > MAX_WAITING_BYTES // 16):
            yield run
            run, size = [], 0
        run.append(item)
        size += item.byte_size
    if run:
        yield run


def _read_run(run: Sequence[SourceObject], options: ReadOptions) -> list[Datum | Reject]:
    return [_read_file(item, options) for item in run]


def _read_file(item: SourceObject, options: ReadOptions) -> Datum | Reject:
    limit = options.max_object_bytes
    if item.byte_size > limit:
        return _too_large(item, item.byte_size, limit)
    try:
        data = read_bytes(item.path, limit=limit, expected=item.byte_size, version=item.version)
        if len(data) > limit:
            return _too_large(item, len(data), limit)
        confirm_unchanged(item.path, version=item.version)
    except OSError as fault:
        return Reject(
            item.uri, item.uri, "read", failure_reason(fault), said_by(fault), byte_size=item.byte_size or None
        )
    return Datum(item.uri, item.uri, data)


def _too_large(item: SourceObject, size: int, limit: int) -> Reject:
    detail = f"{size} bytes or more, at most {limit} are read"
    return Reject(item.uri, item.uri, "read", "too_large", detail, byte_size=size)
