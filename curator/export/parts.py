"""Parts: an export is made part by part, each of some rows and of files of its own, so that it can be resumed.

A format is three functions: how rows are cut into parts, how a part is written, and what is written at the end, when
it is known which images are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from curator.durable import durable
from curator.errors import SourceError
from curator.export.rows import Row
from curator.lake import ReadOptions

TAR_BYTES = 268_435_456


@dataclass(frozen=True, slots=True)
class Options:
    """How an export is written, beside its format."""

    name: str = "export"  # of files that hold all rows
    tar_bytes: int = TAR_BYTES  # of images in one tar
    by_label: bool = True  # symlinks: a folder for each label
    read: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows on their way into files. `place`: a name that is the same whenever the part is."""

    place: str
    rows: pa.Table


@dataclass(slots=True)
class Written:
    """What came of a part: files, relative to the destination, and images that could not be had."""

    files: list[str] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)

    def lacks(self, row: Row, fault: SourceError) -> None:
        self.missing.append({"image_id": row["image_id"], "uri": row["uri"], "reason": fault.message})


@dataclass(frozen=True, slots=True)
class Format:
    """How one kind of export is made. `close` gets all rows but those of missing images."""

    cut: Callable[[pa.Table, Options], Sequence[Part]]
    write: Callable[[Part, Path, Options], Written]
    close: Callable[[pa.Table, Path, Options], Sequence[str]] = lambda rows, folder, options: ()


def put(folder: Path, name: str, data: bytes) -> str:
    """A whole file, flushed and renamed; returns its name."""
    with durable(folder / name) as temporary:
        temporary.write_bytes(data)
    return name


def in_slices(rows: pa.Table, size: int, place: str) -> list[Part]:
    """Parts of `size` rows; an empty table is one empty part."""
    starts = range(0, max(1, rows.num_rows), size)
    return [Part(f"{place}-{number:06d}", rows.slice(start, size)) for number, start in enumerate(starts)]
