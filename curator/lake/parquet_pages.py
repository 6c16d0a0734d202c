"""What a Parquet file claims, checked before Arrow acts on it.

Arrow gives memory to whatever a page claims to expand to (2 GiB out of 70 kB), and to every row that repeats a value
of a dictionary; a footer may promise billions of rows in a few bytes. So the headers of the pages are read first, in
Thrift's compact protocol, and their claims bound how many rows are asked for at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

import pyarrow.parquet as pq

from curator.lake.tar_members import most_content

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


def rows_at_a_time(
    source: BinaryIO, file: pq.ParquetFile, group: int, leaves: list[str], *, most: int, only_first_page: bool = False
) -> int:
    """How many rows of a row group may be asked for at once, at most `most`; of lists, one. Raises Implausible.

    only_first_page: no more than lie in the first page of each column, of which alone the header is read then; columns
    of lists are looked through all the same, since a row of theirs may go on in the next page.
    """
    metadata = file.metadata.row_group(group)
    rows = most
    for number in range(metadata.num_columns):
        chunk, column = metadata.column(number), file.schema.column(number)
        if any(chunk.path_in_schema == leaf or chunk.path_in_schema.startswith(f"{leaf}.") for leaf in leaves):
            is_list = column.max_repetition_level > 0
            found = _check_pages(source, chunk, most_pages=1 if only_first_page and not is_list else MAX_PAGES)
            if is_list and found.values > MAX_LIST_VALUES:
                raise Implausible(f"a column of lists with {found.values} values in one row group")
            width = column.length if column.physical_type == FIXED else 0
            if width > MAX_PAGE_BYTES:
                raise Implausible(f"a column of values of {width} bytes each")
            rows = min(rows, MAX_BATCH_BYTES // max(found.dictionary, width, 1), 1 if is_list else most)
            rows = min(rows, found.values) if only_first_page else rows
    return max(1, rows)


@dataclass(slots=True)
class _Pages:
    """What the pages of a column chunk claim: the size of the dictionary, and the number of values."""

    dictionary: int = 0
    values: int = 0


def _check_pages(source: BinaryIO, chunk: pq.ColumnChunkMetaData, *, most_pages: int) -> _Pages:
    """Of so many data pages and the dictionary before them. Raises Implausible."""
    position, end = start_of(chunk), start_of(chunk) + int(chunk.total_compressed_size)
    found = _Pages()
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


def start_of(chunk: pq.ColumnChunkMetaData) -> int:
    """Where the first page of a column chunk begins."""
    dictionary, data = int(chunk.dictionary_page_offset or 0), int(chunk.data_page_offset)
    return dictionary if 0 < dictionary < data else data


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
    header = _Compact(file.read(min(HEADER_BYTES, end - position)))
    try:
        sizes = header.numbers()
    except (IndexError, RecursionError, ValueError):  # damage, of which Arrow knows more to say
        return None
    unpacked, stored = sizes.get((2,), -1), sizes.get((3,), -1)
    if unpacked < 0 or stored < 0:
        return None
    values = max(0, *(sizes.get(place, 0) for place in VALUE_COUNTS))
    return _Page(sizes.get((1,), -1), unpacked, stored, values, position + header.position + stored)


class _Compact:
    """A struct in Thrift's compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def numbers(self, *within: int) -> dict[tuple[int, ...], int]:
        """Its fields that are whole numbers, by their ids from the outermost struct; other kinds are passed over."""
        if len(within) > 8:
            raise ValueError("nested too deeply")
        found: dict[tuple[int, ...], int] = {}
        field = 0
        while (head := self._byte()) != 0:
            kind, step = head & 15, head >> 4
            field = field + step if step else self._zigzag()
            if 4 <= kind <= 6:
                found[(*within, field)] = self._zigzag()
            elif kind == 12:
                found |= self.numbers(*within, field)
            elif kind > 2:  # 1 and 2 are truth values, which have no bytes of their own
                self._skip(kind)
        return found

    def _skip(self, kind: int) -> None:
        if kind in (3, 7):
            self.position += 1 if kind == 3 else 8
        elif kind == 8:
            self.position += self._varint()
        else:  # lists, sets and maps, none of which a page header has
            raise ValueError(f"a field of kind {kind}")

    def _byte(self) -> int:
        value = self._data[self.position]
        self.position += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number without an end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
