"""Parquet: rows with an image in them, in Hugging Face's layout (a struct of bytes and path) or as plain bytes.

Only the columns that are needed are read, page by page and a few rows at a time, so memory grows with the pages of a
file (usually a megabyte, at the writer's choice) and not with its row groups. Which columns those are is in
`columns.py`; what a hostile file may claim, in `parquet_pages.py`.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from curator.lake.columns import Columns, find_columns
from curator.lake.files import confirm_unchanged, container_reason, one_line, open_seekable, read_no_further
from curator.lake.options import ReadOptions
from curator.lake.parquet_pages import Implausible, check_claims, rows_at_a_time, start_of
from curator.lake.tar_members import TooMuchContent, most_content
from curator.types import Datum, Reject, SourceObject

BATCH_ROWS = 16
BUFFER_BYTES = 1 << 20
FILE_FAULTS = (pa.ArrowException, OSError, ValueError)


def count_row_groups(path: str, storage_options: Mapping[str, Any]) -> int | None:
    """The number of row groups, from the footer; None when the file cannot be opened as Parquet."""
    try:
        with _opened(path, storage_options) as (file, _):
            return int(file.num_row_groups)
    except FILE_FAULTS:
        return None


def read_parquet(
    item: SourceObject, row_group: int | None, options: ReadOptions, *, rows: Collection[int] | None = None
) -> Iterator[Datum | Reject]:
    """The data of one row group, in order, or of all where `row_group` is None; what breaks it is the last reject.

    rows: only these, by their numbers in the file: a row group that has some is read once, up to the last of them.
    """
    try:
        with _opened(item.path, options.storage_options, version=item.version) as (file, source):
            columns = find_columns(file.schema_arrow, image=options.image_column, label=options.label_column)
            if columns is None:
                yield _container_reject(item, row_group, "no_image_column", _no_image(file.schema_arrow))
                return
            for group, first, wanted in _to_read(file.metadata, row_group, rows):
                if row_group is not None or rows is not None:
                    read_no_further(source, _end_of(file.metadata.row_group(group)))
                leaves = list(columns.leaves)
                size = rows_at_a_time(source, file.metadata.row_group(group), leaves, most=BATCH_ROWS)
                batches = file.iter_batches(batch_size=size, row_groups=[group], columns=leaves, use_threads=False)
                yield from _rows(batches, first, columns, item, options.max_object_bytes, wanted)
            confirm_unchanged(item.path, version=item.version)
            if row_group is not None and row_group >= file.num_row_groups:
                raise ValueError(f"it has {file.num_row_groups} row groups")  # fewer than when it was listed
    except TooMuchContent as fault:
        yield _container_reject(item, row_group, "expands_too_far", str(fault))
    except Implausible as fault:
        yield _container_reject(item, row_group, "implausible", str(fault))
    except FILE_FAULTS as fault:
        damaged = "unreadable_parquet"
        reason = container_reason(fault, damaged) if isinstance(fault, OSError) else damaged
        yield _container_reject(item, row_group, reason, one_line(fault))


@contextmanager
def _opened(
    path: str, storage_options: Mapping[str, Any], *, version: str = ""
) -> Iterator[tuple[pq.ParquetFile, BinaryIO]]:
    """A file whose footer has been read, and its bytes."""
    with (
        open_seekable(path, storage_options, version=version) as source,
        pq.ParquetFile(source, buffer_size=BUFFER_BYTES, pre_buffer=False) as file,
    ):
        byte_size = source.seek(0, io.SEEK_END)
        check_claims(file.metadata, byte_size)
        yield file, source


def _to_read(
    metadata: pq.FileMetaData, row_group: int | None, rows: Collection[int] | None
) -> Iterator[tuple[int, int, frozenset[int] | None]]:
    """The row groups that are read: number, number of the first row, and which of its rows are wanted if not all."""
    ordered = None if rows is None else sorted(rows)
    wanted: frozenset[int] | None = None
    first = 0
    for group in range(metadata.num_row_groups):
        end = first + metadata.row_group(group).num_rows
        if ordered is not None:
            wanted = frozenset(ordered[bisect_left(ordered, first) : bisect_left(ordered, end)])
        if row_group in (None, group) and (wanted is None or wanted):
            yield group, first, wanted
        first = end


def _end_of(group: pq.RowGroupMetaData) -> int:
    """Where in the file the last page of a row group ends, as its footer has it."""
    columns = [group.column(number) for number in range(group.num_columns)]
    return max((start_of(column) + int(column.total_compressed_size) for column in columns), default=0)


def _rows(
    batches: Iterator[pa.RecordBatch],
    row: int,
    columns: Columns,
    item: SourceObject,
    limit: int,
    wanted: frozenset[int] | None,
) -> Iterator[Datum | Reject]:
    """The data of batches of rows, of which the first has the number `row`. Raises TooMuchContent."""
    given, most = 0, most_content(item.byte_size)
    last = None if wanted is None else max(wanted)
    for batch in batches:
        for value, label in zip(columns.images(batch), columns.labels(batch), strict=True):
            if wanted is None or row in wanted:
                datum = _datum(item, row, value.as_buffer(), label, limit)
                given += len(datum.data) if isinstance(datum, Datum) else 0
                if item.byte_size and given > most:
                    raise TooMuchContent(most)
                yield datum
            if row == last:
                return
            row += 1


def _datum(item: SourceObject, row: int, content: pa.Buffer | None, label: str | None, limit: int) -> Datum | Reject:
    uri, member = f"{item.uri}#{row}", str(row)
    if content is None:
        return Reject(uri, item.uri, "read", "null_bytes", "the row has no image bytes", member)
    if content.size > limit:
        detail = f"{content.size} bytes, at most {limit} are read"
        return Reject(uri, item.uri, "read", "too_large", detail, member, byte_size=content.size)
    return Datum(uri, item.uri, content.to_pybytes(), member, source_label=label)


def _no_image(schema: pa.Schema) -> str:
    names = ", ".join(f"{entry.name}: {entry.type}" for entry in schema)
    return f"name the column with the option image_column; there are {names or 'none'}"[:1000]


def _container_reject(item: SourceObject, row_group: int | None, reason: str, detail: str) -> Reject:
    """Of a file as a whole, or of one row group, whose uri must differ from those of the others."""
    uri = item.uri if row_group is None else f"{item.uri}#row-group-{row_group}"
    return Reject(uri, item.uri, "read", reason, detail, byte_size=item.byte_size)
