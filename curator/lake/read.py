"""Reading a shard: the bytes of its data, in order, or the reason why not."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from curator.errors import CuratorError
from curator.lake.files import file_system
from curator.lake.options import ReadOptions
from curator.lake.parquet import read_parquet, read_row
from curator.lake.tar import one_line, read_member, read_tar
from curator.types import Datum, ObjectKind, Reject, Shard, SourceObject


def read_shard(shard: Shard, *, options: ReadOptions) -> Iterator[Datum | Reject]:
    """Everything in a shard, in an order that depends on the shard alone. Bad data are rejects; nothing is raised."""
    if shard.kind == "tar":
        return read_tar(shard.objects[0], options)
    if shard.kind == "parquet":
        return read_parquet(shard.objects[0], shard.row_group, options)
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
    """The bytes of one image again, by where it was seen. Raises OSError when it is no longer there."""
    if kind == "tar":
        return read_member(path, member or "", byte_offset, byte_size or 0)
    if kind == "parquet":
        return read_row(path, int(member or 0), options or ReadOptions())
    filesystem, inner = file_system(path)
    with filesystem.open(inner, "rb") as file:
        return bytes(file.read())


def _read_files(objects: tuple[SourceObject, ...], options: ReadOptions) -> Iterator[Datum | Reject]:
    """Loose files, read ahead by a few threads: what a request costs on an object store is mostly waiting."""
    window = 2 * options.read_threads
    with ThreadPoolExecutor(options.read_threads, thread_name_prefix="curator-read") as threads:
        pending: deque[Future[Datum | Reject]] = deque()
        for item in objects:
            pending.append(threads.submit(_read_file, item, options))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _read_file(item: SourceObject, options: ReadOptions) -> Datum | Reject:
    if item.byte_size > options.max_object_bytes:
        detail = f"{item.byte_size} bytes, at most {options.max_object_bytes} are read"
        return Reject(item.uri, item.uri, "read", "too_large", detail, byte_size=item.byte_size)
    try:
        filesystem, path = file_system(item.path)
        with filesystem.open(path, "rb") as file:
            data = file.read(options.max_object_bytes + 1)
    except FileNotFoundError as fault:
        return _failed(item, "not_found", fault)
    except PermissionError as fault:
        return _failed(item, "permission_denied", fault)
    # Broad on purpose: each store's client raises errors of its own, and any of them costs this object only.
    except Exception as fault:
        if isinstance(fault, CuratorError):
            raise
        return _failed(item, "read_failed", fault)
    if len(data) > options.max_object_bytes:
        return Reject(item.uri, item.uri, "read", "too_large", "grew past the limit while it was read")
    return Datum(item.uri, item.uri, data)


def _failed(item: SourceObject, reason: str, fault: Exception) -> Reject:
    return Reject(item.uri, item.uri, "read", reason, one_line(fault), byte_size=item.byte_size)
