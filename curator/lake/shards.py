"""Shards: how the objects that have to be read are cut into units of work.

Loose files are cut in slices of consecutive addresses; tars, and the row groups of Parquet files, follow after the last
file. The cut depends on nothing but the objects given, in order. A finished slice takes exactly its own files out of
the next listing, so a scan that was killed and is run again cuts the rest as the first run would have; tars and Parquet
files between the loose files do not shift their slices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from curator.errors import UsageError
from curator.types import ObjectKind, Shard, SourceObject


def plan_shards(objects: Iterable[SourceObject], *, files_per_shard: int = 512) -> Iterator[Shard]:
    """The shards of the objects, in order, each object in one of them (a Parquet file: in one for each row group).

    Reads the footer of each Parquet file when its turn comes; one that cannot be read is one shard without a row
    group, whose reading says why. Planning what is left after the first k shards gives the remaining shards, and
    again those of a Parquet file of which only some row groups are done. Raises UsageError for an empty slice.
    """
    if files_per_shard < 1:
        raise UsageError(f"files_per_shard is {files_per_shard}, it must be at least 1")
    containers: list[SourceObject] = []
    files: list[SourceObject] = []
    for item in objects:
        (files if item.kind == "file" else containers).append(item)
        if len(files) == files_per_shard:
            yield _shard("file", files, completes=files)
            files = []
    if files:
        yield _shard("file", files, completes=files)
    for item in containers:
        if item.kind == "tar":
            yield _shard("tar", [item], completes=[item])
        else:
            yield from _parquet_shards(item)


def _parquet_shards(item: SourceObject) -> Iterator[Shard]:
    """One shard for each row group; the last completes the file."""
    from curator.lake.parquet.reading import count_row_groups

    groups = count_row_groups(item.path)
    if not groups:  # a file without rows has one shard too, or it would never count as read
        yield _shard("parquet", [item], completes=[item])
        return
    for group in range(groups):
        yield _shard("parquet", [item], row_group=group, completes=[item] if group == groups - 1 else [])


def _shard(
    kind: ObjectKind,
    objects: Sequence[SourceObject],
    *,
    completes: Sequence[SourceObject],
    row_group: int | None = None,
) -> Shard:
    parts = [kind, "" if row_group is None else str(row_group)]
    for item in objects:
        parts += [item.uri, item.version]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return Shard(digest, kind, tuple(objects), row_group, tuple(completes))
