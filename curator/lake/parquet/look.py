"""The column of a Parquet file that is the image: the one that is named, or else what the first values say.

A binary column may as well hold hashes, vectors or sound. So unless the schema declares an image, some of the first
values are looked at: of each column the first page, in the first row groups, since a page may be far away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from curator.lake.files import container_reason
from curator.lake.parquet.cells import Content, Unfit, contents
from curator.lake.parquet.columns import IMAGE_NAMES, SHAPES, ImageColumn, described, holds_bytes, image_columns
from curator.lake.parquet.pages import Pages, rows_at_a_time
from curator.lake.signatures import HEAD, looks_like_image
from curator.printable import printable

BUFFER_BYTES = 1 << 20
LOOK_ROWS = 16
LOOK_GROUPS = 3
LOOK_COLUMNS = 16  # of a kind: a table may have thousands of texts
UNKNOWN = ("null_bytes", "too_large")  # cells that do not say what the column is
LOOK_BYTES = 64 << 20  # larger values are not taken out to be looked at
ADVICE = "name the column by `image_column`"


class NoImageColumn(Exception):
    """No column is the image, or which of several it is cannot be told.

    is_table: none was asked for, and there is none that holds bytes: a table of facts, as tools leave beside images.
    """

    def __init__(self, why: str, *, is_table: bool = False) -> None:
        super().__init__(why)
        self.is_table = is_table


def choose_column(file: pq.ParquetFile, pages: Pages, wanted: str | None) -> ImageColumn:
    """The column of the images. Raises NoImageColumn, and OSError of the store; damage is left to the reader."""
    candidates = image_columns(file.schema_arrow)
    if wanted is not None:
        found = [item for item in candidates if wanted in (item.name, f"{item.name}.bytes")]
        if len(found) == 1:
            return found[0]
        raise NoImageColumn(f"no column {wanted} that may hold images; there are {described(file.schema_arrow)}")
    declared = [item for item in candidates if item.is_declared]
    if len(declared) == 1:
        return declared[0]
    among = declared or candidates
    texts = [item for item in among if item.shape == "text"][:LOOK_COLUMNS]
    binaries = [item for item in among if item.shape != "text"][:LOOK_COLUMNS]
    is_table = not holds_bytes(file.schema_arrow)
    verdicts = [_looks(file, pages, item) for item in binaries]
    images = [item for item, verdict in zip(binaries, verdicts, strict=True) if verdict]
    if not images and None in verdicts:  # rows without images may come first
        best = _best(binaries)
        images = [best] if verdicts[binaries.index(best)] is None else []
    images = images or [item for item in texts if _looks(file, pages, item)]
    if not images:
        there = described(file.schema_arrow)
        raise NoImageColumn(f"no column holds images; if one does, {ADVICE}; there are {there}", is_table=is_table)
    return _best(images)


def reader_of(file: pq.ParquetFile, source: BinaryIO, column: ImageColumn) -> pq.ParquetFile:
    """What reads the column. In lists, a value of a dictionary may repeat for ever in one row: it is not copied out."""
    if not column.is_list:
        return file
    leaves = column.leaves(leaf_paths(file))
    return pq.ParquetFile(
        source, metadata=file.metadata, read_dictionary=leaves, buffer_size=BUFFER_BYTES, pre_buffer=False
    )


def leaf_paths(file: pq.ParquetFile) -> list[str]:
    return [file.schema.column(number).path for number in range(len(file.schema))]


def _best(candidates: Sequence[ImageColumn]) -> ImageColumn:
    """One of several, by its type, then by its name."""
    ranks = [(item.is_list, SHAPES.index(item.shape)) for item in candidates]
    first = [item for item, rank in zip(candidates, ranks, strict=True) if rank == min(ranks)]
    if len(first) == 1:
        return first[0]
    for name in IMAGE_NAMES:
        if len(named := [item for item in first if item.path[-1] == name]) == 1:
            return named[0]
    names = printable(", ".join(item.name for item in first))
    raise NoImageColumn(f"several columns may be the image: {ADVICE}; there are {names}")


def _looks(file: pq.ParquetFile, pages: Pages, column: ImageColumn) -> bool | None:
    """Whether the first values look like images; None where there is none, or none that can be read."""
    verdict: bool | None = None
    try:
        reader = reader_of(file, pages.source, column)
        for group in range(min(LOOK_GROUPS, file.num_row_groups)):
            for content in _first(reader, pages, column, group):
                if isinstance(content, bytes) and (column.shape == "pixels" or looks_like_image(content[:HEAD])):
                    return True
                says_nothing = not content or (isinstance(content, Unfit) and content.reason in UNKNOWN)
                verdict = verdict if says_nothing else False
            if verdict is not None:
                break
    except (pa.ArrowException, ValueError, IndexError):  # the reader says what is wrong, row group by row group
        return None
    except OSError as fault:
        if container_reason(fault, "") != "":
            raise
    return verdict


def _first(reader: pq.ParquetFile, pages: Pages, column: ImageColumn, group: int) -> Iterator[Content]:
    leaves = column.leaves(leaf_paths(reader))
    size = rows_at_a_time(pages, reader, group, leaves, most=LOOK_ROWS, only_first_page=True)
    batches = reader.iter_batches(batch_size=size, row_groups=[group], columns=leaves, use_threads=False)
    batch = next(batches, None)
    if batch is not None:
        for _, _, content in contents(column, batch, range(batch.num_rows), limit=LOOK_BYTES):
            yield content
