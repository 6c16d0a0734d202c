"""Parquet: rows with an image in them, in Hugging Face's layout (a struct of bytes and path) or as plain bytes.

Only the columns that are needed are read, page by page and a few rows at a time, so memory grows with the pages of a
file (usually a megabyte, at the writer's choice) and not with its row groups. Which columns those are is in
`columns.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curator.lake.columns import Columns, find_columns
from curator.lake.files import container_reason, one_line, open_seekable
from curator.lake.options import ReadOptions
from curator.types import Datum, Reject, SourceObject

BATCH_ROWS = 16
BUFFER_BYTES = 1 << 20
FILE_FAULTS = (pa.ArrowException, OSError, ValueError)


def count_row_groups(path: str, storage_options: Mapping[str, Any]) -> int | None:
    """The number of row groups, from the footer; None when the file cannot be opened as Parquet."""
    try:
        with _opened(path, storage_options) as file:
            return int(file.num_row_groups)
    except FILE_FAULTS:
        return None


def row_group_of(path: str, row: int, storage_options: Mapping[str, Any]) -> int | None:
    """Which row group holds a row, by its number in the file; None for a row that is not there. Raises FILE_FAULTS."""
    with _opened(path, storage_options) as file:
        for group in range(file.num_row_groups):
            row -= file.metadata.row_group(group).num_rows
            if row < 0:
                return group
    return None


def read_parquet(item: SourceObject, row_group: int | None, options: ReadOptions) -> Iterator[Datum | Reject]:
    """The data of one row group, in order, or of all where `row_group` is None; what breaks it is the last reject."""
    try:
        with _opened(item.path, options.storage_options) as file:
            columns = find_columns(file.schema_arrow, image=options.image_column, label=options.label_column)
            if columns is None:
                yield _container_reject(item, row_group, "no_image_column", _no_image(file.schema_arrow))
                return
            for group in range(file.num_row_groups) if row_group is None else [row_group]:
                yield from _rows(file, group, columns, item, options.max_object_bytes)
    except FILE_FAULTS as fault:
        damaged = "unreadable_parquet"
        reason = container_reason(fault, damaged) if isinstance(fault, OSError) else damaged
        yield _container_reject(item, row_group, reason, one_line(fault))


@contextmanager
def _opened(path: str, storage_options: Mapping[str, Any]) -> Iterator[pq.ParquetFile]:
    with (
        open_seekable(path, storage_options) as source,
        pq.ParquetFile(source, buffer_size=BUFFER_BYTES, pre_buffer=False) as file,
    ):
        yield file


def _rows(
    file: pq.ParquetFile, group: int, columns: Columns, item: SourceObject, limit: int
) -> Iterator[Datum | Reject]:
    row = sum(file.metadata.row_group(index).num_rows for index in range(group))
    batches = file.iter_batches(
        batch_size=BATCH_ROWS, row_groups=[group], columns=list(columns.leaves), use_threads=False
    )
    for batch in batches:
        for value, label in zip(columns.images(batch), columns.labels(batch), strict=True):
            yield _datum(item, row, value.as_buffer(), label, limit)
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
