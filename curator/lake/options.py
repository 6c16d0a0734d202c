"""Options of reading sources: threads, bytes, columns of Parquet files."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from curator.errors import UsageError


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The names of the columns of Parquet files whose addresses match; those that are None are found.

    pattern: `*` stands for any text, slashes too.
    """

    pattern: str = "*"
    image: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How shards are read. Raises UsageError for limits below one.

    read_threads: loose files read at a time. max_object_bytes: larger images are rejected without being read.
    columns: of Parquet files that do not say it by type, name and first values; later ones go before earlier ones. A
    file without the label column is searched for one by name.
    """

    read_threads: int = 8
    max_object_bytes: int = 268_435_456
    columns: tuple[ColumnNames, ...] = ()

    def __post_init__(self) -> None:
        for name in ("read_threads", "max_object_bytes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, it must be at least 1")

    def columns_of(self, uri: str) -> tuple[str | None, str | None]:
        """The wanted image column and label column of a file."""
        matching = [item for item in reversed(self.columns) if fnmatchcase(uri, item.pattern)]
        image = next((item.image for item in matching if item.image), None)
        return image, next((item.label for item in matching if item.label), None)
