"""Claims of a Parquet file (rows, bytes that a page expands to), checked before Arrow acts on them.

Arrow gives memory to whatever a page claims to expand to (2 GiB out of 70 kB), and to every row that repeats a value
of a dictionary; a footer may promise billions of rows in a few bytes. So the headers of the pages are read first, in
Thrift's compact protocol, and their claims bound how many rows are asked for at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from curator.lake.encodings import most_content
from curator.lake.parquet.thrift import LISTS, Compact

MAX_PAGE_BYTES = 256 << 20  # that a page may expand to whatever it has stored; beyond, so many times what it has
MAX_PAGE_EXPANSION = 20
MAX_BATCH_BYTES = 128 << 20  # of the rows that Arrow holds at a time, if each repeats the whole dictionary
DICTIONARY = 2  # the type of a page
VALUE_COUNTS = ((5, 1), (8, 1))  # the places of the number of values in the header of a data page, of version 1 and 2
FIXED = "FIXED_LEN_BYTE_ARRAY"
MAX_PAGES = 100_000  # of one column chunk
MAX_LIST_VALUES = 4_000_000  # of a column of lists in one row group; a few bytes may claim billions in one row
MAX_ROW_GROUPS = 10_000
FREE_ROWS = 100_000  # that a file may have beyond one for each of its bytes: rows without an image take almost none
ROW_GROUPS, COLUMNS = 4, 1  # fields of a footer, and of a row group in it
SIZE, DATA_PAGE, DICTIONARY_PAGE = (3, 7), (3, 9), (3, 11)  # of a column chunk, in its metadata
MAGIC_BYTES = 4
HEADER_BYTES = 64 << 10  # that the header of a page may take; it holds two values of its column, cut by most writers


class Implausible(ValueError):
    """A file that claims what it cannot honestly hold."""


def check_claims(metadata: pq.FileMetaData, byte_size: int) -> None:
    """Raises Implausible for a footer with too many row groups, or more rows than so many bytes can hold."""
    if metadata.num_row_groups > MAX_ROW_GROUPS:
        raise Implausible(f"{metadata.num_row_groups} row groups, at most {MAX_ROW_GROUPS} are read")
    rows = sum(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    if rows > FREE_ROWS + byte_size or metadata.num_rows != rows or rows < 0:
        raise Implausible(f"it claims {metadata.num_rows} rows in {byte_size} bytes")


@dataclass(frozen=True, slots=True)
class ColumnChunk:
    """Where the pages of one column of a row group lie in the file."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pages:
    """The bytes of a file, and of each row group the chunks of its columns, in the order of the leaves."""

    source: BinaryIO
    chunks: tuple[tuple[ColumnChunk, ...], ...]

    @classmethod
    def of(cls, file: pq.ParquetFile, source: BinaryIO) -> Pages:
        """From the footer as Arrow has read it. Asked for a chunk itself, Arrow checks statistics that nobody wants
        here, and ends the process where they do not hold. Raises ValueError for a footer that is none."""
        sink = pa.BufferOutputStream()
        file.metadata.write_metadata_file(sink)
        chunks = _chunks_of(sink.getvalue().to_pybytes())
        if len(chunks) != file.num_row_groups or any(len(group) != len(file.schema) for group in chunks):
            raise ValueError("its row groups have not the columns of its schema")
        return cls(source, chunks)

    def end_of(self, group: int) -> int:
        """Where the last page of a row group ends."""
        return max((chunk.end for chunk in self.chunks[group]), default=0)


@lru_cache(maxsize=4)
def _chunks_of(footer: bytes) -> tuple[tuple[ColumnChunk, ...], ...]:
    """Of each row group. Kept for the next: each row group of a file is read by itself, and opens it anew."""
    try:
        return tuple(_row_groups(Compact(footer, MAGIC_BYTES)))
    except IndexError as fault:
        raise ValueError("its footer ends too early") from fault


def _row_groups(footer: Compact) -> Iterator[tuple[ColumnChunk, ...]]:
    for field, kind in footer.fields():
        if field == ROW_GROUPS and kind in LISTS:
            for _ in footer.items():
                yield tuple(chunk for place, inner in footer.fields() for chunk in _chunks(footer, place, inner))
        elif kind > 2:
            footer.skip(kind)


def _chunks(footer: Compact, field: int, kind: int) -> Iterator[ColumnChunk]:
    if field == COLUMNS and kind in LISTS:
        for _ in footer.items():
            found = footer.numbers()
            dictionary, data = found.get(DICTIONARY_PAGE, 0), found.get(DATA_PAGE, 0)
            start = dictionary if 0 < dictionary < data else data
            yield ColumnChunk(start, start + found.get(SIZE, 0))
    elif kind > 2:
        footer.skip(kind)


def rows_at_a_time(
    pages: Pages, file: pq.ParquetFile, group: int, leaves: list[str], *, most: int, only_first_page: bool = False
) -> int:
    """How many rows of a row group may be asked for at once, at most `most`; of lists, one. Raises Implausible.

    only_first_page: no more than lie in the first page of each column, of which alone the header is read then; columns
    of lists are looked through all the same, since a row of theirs may go on in the next page.
    """
    rows = most
    for number, chunk in enumerate(pages.chunks[group]):
        column = file.schema.column(number)
        if any(column.path == leaf or column.path.startswith(f"{leaf}.") for leaf in leaves):
            is_list = column.max_repetition_level > 0
            found = _check_pages(pages.source, chunk, most_pages=1 if only_first_page and not is_list else MAX_PAGES)
            if is_list and found.values > MAX_LIST_VALUES:
                raise Implausible(f"a column of lists with {found.values} values in one row group")
            width = column.length if column.physical_type == FIXED else 0
            if width > MAX_PAGE_BYTES:
                raise Implausible(f"a column of values of {width} bytes each")
            rows = min(rows, MAX_BATCH_BYTES // max(found.dictionary, width, 1), 1 if is_list else most)
            rows = min(rows, found.values) if only_first_page else rows
    return max(1, rows)


@dataclass(slots=True)
class _Claims:
    """What the pages of a column chunk claim: the size of the dictionary, and the number of values."""

    dictionary: int = 0
    values: int = 0


def _check_pages(source: BinaryIO, chunk: ColumnChunk, *, most_pages: int) -> _Claims:
    """Of so many data pages and the dictionary before them. Raises Implausible."""
    position, end = chunk.start, chunk.end
    found = _Claims()
    total = data_pages = 0
    for _ in range(MAX_PAGES):
        page = None if data_pages == most_pages else _page_at(source, position, end)
        if page is None:
            return found
        total += page.unpacked
        if page.unpacked > max(MAX_PAGE_BYTES, MAX_PAGE_EXPANSION * page.stored) or total > most_content(end):
            raise Implausible(f"a page of {page.stored} bytes claims to expand to {page.unpacked}")
        if page.kind == DICTIONARY:
            found.dictionary = max(found.dictionary, page.unpacked)
        else:
            data_pages += 1
            found.values += page.values
        position = page.end
    raise Implausible(f"a column of more than {MAX_PAGES} pages")


@dataclass(frozen=True, slots=True)
class _Page:
    kind: int
    unpacked: int
    stored: int
    values: int
    end: int


def _page_at(file: BinaryIO, position: int, end: int) -> _Page | None:
    """The page whose header is at a position; None at the end of the chunk, and where there is no such header."""
    if not 0 <= position < end:
        return None
    file.seek(position)
    header = Compact(file.read(min(HEADER_BYTES, end - position)))
    try:
        sizes = header.numbers()
    except (IndexError, RecursionError, ValueError):  # damage, of which Arrow knows more to say
        return None
    unpacked, stored = sizes.get((2,), -1), sizes.get((3,), -1)
    if unpacked < 0 or stored < 0:
        return None
    values = max(0, *(sizes.get(place, 0) for place in VALUE_COUNTS))
    return _Page(sizes.get((1,), -1), unpacked, stored, values, position + header.position + stored)
