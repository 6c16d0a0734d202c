"""The bytes of exported images, read again from where the lake has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from curator.errors import CuratorError, SourceError
from curator.export.rows import Row, rows_of
from curator.lake import ImagePlace, ReadOptions, path_of, read_images
from curator.urls import scheme_of


def read_pictures(rows: pa.Table, options: ReadOptions, *, scratch: Path) -> Iterator[tuple[Row, bytes | SourceError]]:
    """Each row with its image's bytes, or why they are not to be had; in order. scratch: a folder with room for them,
    where nothing is left."""
    places = [ImagePlace.of(row) for row in rows_of(rows)]
    for row, data in zip(rows_of(rows), read_images(places, options, scratch=scratch), strict=True):
        if isinstance(data, CuratorError) and not isinstance(data, SourceError):
            raise data  # of the machine, not of the image: a package that is missing
        yield row, data


def local_file(row: Row) -> Path | None:
    """The file that is the image and nothing else, if there is one on this machine."""
    is_one = row["kind"] == "file" and scheme_of(row["object_uri"]) is None
    return Path(path_of(row["object_uri"])) if is_one else None
