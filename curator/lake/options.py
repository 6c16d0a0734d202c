"""How sources are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from curator.errors import UsageError


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How shards are read. Raises UsageError for limits below one.

    read_threads: loose files read at a time. max_object_bytes: larger images are rejected without being read.
    image_column, label_column: of Parquet files whose columns do not say it by name and type; a file without
    `label_column` is searched for one by name. storage_options: for the fsspec file system of remote objects.
    """

    read_threads: int = 8
    max_object_bytes: int = 268_435_456
    image_column: str | None = None
    label_column: str | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("read_threads", "max_object_bytes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, it must be at least 1")
