"""Parquet: rows with an image in them, or a list of images.

Only the columns that are needed are read, page by page and a few rows at a time, so memory grows with the pages of a
file (usually a megabyte, at the writer's choice) and not with its row groups. Which columns there are is in
`columns.py`, which of them is the image in `look.py`, how its cells are read in `cells.py`; what a hostile file may
claim, in `pages.py`.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from curator.lake.encodings import TooMuchContent, most_content
from curator.lake.files import confirm_unchanged, container_reason, open_seekable, read_no_further
from curator.lake.options import ReadOptions
from curator.lake.parquet.cells import Content, Unfit, contents
from curator.lake.parquet.columns import ImageColumn, LabelColumn, label_column
from curator.lake.parquet.look import BUFFER_BYTES, NoImageColumn, choose_column, leaf_paths, reader_of
from curator.lake.parquet.pages import Implausible, Pages, check_claims, rows_at_a_time
from curator.lake.passed import TABLE, PassedOver
from curator.printable import said_by
from curator.types import Datum, Reject, SourceObject

BATCH_ROWS = 16
FILE_FAULTS = (pa.ArrowException, OSError, ValueError, IndexError)


@dataclass(frozen=True, slots=True)
class Cell:
    """Where an image is in a file, as the member of its datum: `7`, in a list `7.0`.

    Where the column was named it is a part of it, `photo/7`: the image is read again from there, whatever is named by
    then.
    """

    row: int
    place: int | None = None
    column: str | None = None

    @classmethod
    def parse(cls, member: str) -> Cell:
        """Raises ValueError."""
        column, _, numbers = member.rpartition("/")
        row, _, place = numbers.partition(".")
        return cls(int(row), int(place) if place else None, column or None)

    def __str__(self) -> str:
        numbers = str(self.row) if self.place is None else f"{self.row}.{self.place}"
        return numbers if self.column is None else f"{self.column}/{numbers}"


def count_row_groups(path: str) -> int | None:
    """The number of row groups, from the footer; None when the file cannot be opened as Parquet."""
    try:
        with _opened(path) as (file, _):
            return int(file.num_row_groups)
    except (*FILE_FAULTS, TooMuchContent):
        return None


def read_parquet(
    item: SourceObject, row_group: int | None, options: ReadOptions, passed: PassedOver | None = None
) -> Iterator[Datum | Reject]:
    """The data of one row group, in order, or of all where `row_group` is None; what breaks it is the last reject.

    That a file has no image column is said once, by its first row group: a table of facts is only counted in `passed`.
    """
    image, label = options.columns_of(item.uri)
    return _read(item, _Wanted(image, label, row_group), options, passed)


def read_cells(
    item: SourceObject, rows: Collection[int], column: str | None, options: ReadOptions
) -> Iterator[Datum | Reject]:
    """Rows again, by their numbers in the file: a row group that has some is read once, up to the last of them.

    column: as it was named when they were read first, None if it was found.
    """
    return _read(item, _Wanted(column, None, None, sorted(rows)), options)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which columns, and which row group or rows of a file."""

    image: str | None
    label: str | None
    row_group: int | None
    rows: list[int] | None = None

    def groups(self, metadata: pq.FileMetaData) -> Iterator[tuple[int, int, frozenset[int] | None]]:
        """The row groups that are read: number, number of the first row, and which of its rows if not all."""
        wanted: frozenset[int] | None = None
        first = 0
        for group in range(metadata.num_row_groups):
            end = first + metadata.row_group(group).num_rows
            if self.rows is not None:
                wanted = frozenset(self.rows[bisect_left(self.rows, first) : bisect_left(self.rows, end)])
            if self.row_group in (None, group) and (wanted is None or wanted):
                yield group, first, wanted
            first = end


def _read(
    item: SourceObject, wanted: _Wanted, options: ReadOptions, passed: PassedOver | None = None
) -> Iterator[Datum | Reject]:
    row_group = wanted.row_group
    try:
        with _opened(item.path, version=item.version) as (file, source):
            if file.metadata.num_rows:
                yield from _rows_of_groups(file, source, item, wanted, options.max_object_bytes)
            confirm_unchanged(item.path, version=item.version)
            if row_group is not None and row_group >= max(1, file.num_row_groups):
                raise ValueError(f"it has {file.num_row_groups} row groups")  # fewer than when it was listed
    except NoImageColumn as fault:
        if not row_group and fault.is_table and passed is not None:
            passed.note(TABLE)
        elif not row_group:
            yield _container_reject(item, None, "no_image_column", str(fault))
    except TooMuchContent as fault:
        yield _container_reject(item, row_group, "expands_too_far", str(fault))
    except Implausible as fault:
        yield _container_reject(item, row_group, "implausible", str(fault))
    except FILE_FAULTS as fault:
        damaged = "unreadable_parquet"
        reason = container_reason(fault, damaged) if isinstance(fault, OSError) else damaged
        yield _container_reject(item, row_group, reason, said_by(fault))


@contextmanager
def _opened(path: str, *, version: str = "") -> Iterator[tuple[pq.ParquetFile, BinaryIO]]:
    """A file whose footer has been read, and its bytes."""
    with (
        open_seekable(path, version=version) as source,
        pq.ParquetFile(source, buffer_size=BUFFER_BYTES, pre_buffer=False) as file,
    ):
        byte_size = source.seek(0, io.SEEK_END)
        check_claims(file.metadata, byte_size)
        yield file, source


def _rows_of_groups(
    file: pq.ParquetFile, source: BinaryIO, item: SourceObject, wanted: _Wanted, limit: int
) -> Iterator[Datum | Reject]:
    """Raises NoImageColumn, TooMuchContent, Implausible or one of FILE_FAULTS."""
    pages = Pages.of(file, source)
    image = choose_column(file, pages, wanted.image)
    label = label_column(file.schema_arrow, wanted.label, image=image)
    reader = reader_of(file, source, image)
    leaves = [*image.leaves(leaf_paths(file)), *([label.name] if label is not None else [])]
    for group, first, rows in wanted.groups(file.metadata):
        if wanted.row_group is not None or rows is not None:
            read_no_further(source, pages.end_of(group))
        size = rows_at_a_time(pages, file, group, leaves, most=BATCH_ROWS)
        batches = reader.iter_batches(batch_size=size, row_groups=[group], columns=leaves, use_threads=False)
        given, most = 0, most_content(item.byte_size)
        for cell, content, text in _cells(batches, first, image, label, rows, limit):
            given += len(content) if isinstance(content, bytes) else 0
            if item.byte_size and given > most:
                raise TooMuchContent(most)
            yield _datum(item, Cell(cell.row, cell.place, wanted.image), content, text)


def _cells(
    batches: Iterator[pa.RecordBatch],
    first: int,
    image: ImageColumn,
    label: LabelColumn | None,
    rows: frozenset[int] | None,
    limit: int,
) -> Iterator[tuple[Cell, Content, str | None]]:
    """The wanted cells of batches of rows, of which the first has the number `first`, each with its label."""
    last = None if rows is None else max(rows)
    for batch in batches:
        inside = [row for row in range(batch.num_rows) if rows is None or first + row in rows]
        labels = label.labels(batch) if label is not None and inside else [None] * batch.num_rows
        for row, place, content in contents(image, batch, inside, limit=limit):
            yield Cell(first + row, place), content, labels[row]
        first += batch.num_rows
        if last is not None and first > last:
            return


def _datum(item: SourceObject, cell: Cell, content: Content, label: str | None) -> Datum | Reject:
    member = str(cell)
    uri = f"{item.uri}#{member}"
    if isinstance(content, Unfit):
        return Reject(uri, item.uri, "read", content.reason, content.detail, member, byte_size=content.byte_size)
    return Datum(uri, item.uri, content, member, source_label=label)


def _container_reject(item: SourceObject, row_group: int | None, reason: str, detail: str) -> Reject:
    """Of a file as a whole, or of one row group, whose uri must differ from those of the others."""
    uri = item.uri if row_group is None else f"{item.uri}#row-group-{row_group}"
    return Reject(uri, item.uri, "read", reason, detail, byte_size=item.byte_size)
