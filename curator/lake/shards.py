"""Shards: how the objects that have to be read are cut into units of work.

Loose files come first, in slices of consecutive addresses; then each tar, and each row group of each Parquet file. The
cut depends on nothing but the objects given, in order. A finished slice takes exactly its own files out of the next
listing, so a scan that was killed and is run again cuts the rest as the first run would have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from curator.lake.parquet import count_row_groups
from curator.types import ObjectKind, Shard, SourceObject


def plan_shards(objects: Iterable[SourceObject], *, files_per_shard: int = 512) -> Iterator[Shard]:
    """The shards of the objects, in order. Reads the footers of Parquet files, one when its turn comes."""
    containers: list[SourceObject] = []
    waiting: list[SourceObject] = []
    for item in objects:
        if item.kind != "file":
            containers.append(item)
            continue
        waiting.append(item)
        if len(waiting) == files_per_shard:
            yield _shard("file", waiting, completes=waiting)
            waiting = []
    if waiting:
        yield _shard("file", waiting, completes=waiting)
    for item in containers:
        yield from _parquet_shards(item) if item.kind == "parquet" else [_shard("tar", [item], completes=[item])]


def _parquet_shards(item: SourceObject) -> Iterator[Shard]:
    """One shard for each row group; the last completes the file. A file whose footer cannot be read is one shard."""
    groups = count_row_groups(item.path)
    if not groups:
        yield _shard("parquet", [item], completes=[item])
        return
    for group in range(groups):
        yield _shard("parquet", [item], row_group=group, completes=[item] if group == groups - 1 else [])


def _shard(
    kind: ObjectKind, objects: Sequence[SourceObject], *, completes: Sequence[SourceObject], row_group: int | None = None
) -> Shard:
    parts = [kind, "" if row_group is None else str(row_group)]
    for item in objects:
        parts += [item.uri, item.version]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return Shard(digest, kind, tuple(objects), row_group, tuple(completes))
