"""How sources are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """read_threads: loose files read ahead at a time. max_object_bytes: larger images are rejected unread.
    image_column, label_column: of Parquet files, where the names do not say."""

    read_threads: int = 8
    max_object_bytes: int = 268_435_456
    image_column: str | None = None
    label_column: str | None = None
