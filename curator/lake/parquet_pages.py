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
MAX_PAGES = 100_000  # of one column chunk
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


def rows_at_a_time(file: BinaryIO, group: pq.RowGroupMetaData, leaves: list[str], *, most: int) -> int:
    """How many rows of a row group may be asked for at once, at most `most`. Raises Implausible for huge pages."""
    dictionary = 1
    for number in range(group.num_columns):
        chunk = group.column(number)
        if any(chunk.path_in_schema == leaf or chunk.path_in_schema.startswith(f"{leaf}.") for leaf in leaves):
            dictionary = max(dictionary, _dictionary_bytes(file, chunk))
    return max(1, min(most, MAX_BATCH_BYTES // dictionary))


def _dictionary_bytes(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> int:
    """How large the dictionary of a column chunk is, once all of its pages were found plausible."""
    position, end = start_of(chunk), start_of(chunk) + int(chunk.total_compressed_size)
    dictionary = total = 0
    for _ in range(MAX_PAGES):
        page = _page_at(file, position, end)
        if page is None:
            return dictionary
        total += page.unpacked
        if page.unpacked > max(MAX_PAGE_BYTES, MAX_PAGE_EXPANSION * page.stored) or total > most_content(end):
            raise Implausible(f"a page of {page.stored} bytes claims to expand to {page.unpacked}")
        dictionary = max(dictionary, page.unpacked if page.kind == DICTIONARY else 0)
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
    unpacked, stored = sizes.get(2, -1), sizes.get(3, -1)
    return (
        None
        if unpacked < 0 or stored < 0
        else _Page(sizes.get(1, -1), unpacked, stored, position + header.position + stored)
    )


class _Compact:
    """A struct in Thrift's compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def numbers(self, *, depth: int = 0) -> dict[int, int]:
        """Its fields that are whole numbers, by id; those of other kinds are passed over."""
        if depth > 8:
            raise ValueError("nested too deeply")
        found: dict[int, int] = {}
        field = 0
        while (head := self._byte()) != 0:
            kind, step = head & 15, head >> 4
            field = field + step if step else self._zigzag()
            if 4 <= kind <= 6:
                found[field] = self._zigzag()
            elif kind > 2:  # 1 and 2 are truth values, which have no bytes of their own
                self._skip(kind, depth)
        return found

    def _skip(self, kind: int, depth: int) -> None:
        if kind in (3, 7):
            self.position += 1 if kind == 3 else 8
        elif kind == 8:
            self.position += self._varint()
        elif kind == 12:
            self.numbers(depth=depth + 1)
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
