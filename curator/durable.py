"""Writes files that either are there whole or are not there, also after a power cut.

The writer gets a temporary path in the same folder, because FAISS and file copies write to a path, not to a stream.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def durable(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write; when the block ends well, it is flushed to disk and renamed to `path`.

    When the block raises, `path` is untouched and the temporary file is removed. Safe with several writers.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove what writers of `path` that were killed have left. Only for who knows that nobody is writing it now."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp*"):
        leftover.unlink(missing_ok=True)


def write_durably(path: Path, data: bytes) -> None:
    """A whole file from bytes, with the promises of `durable`."""
    with durable(path) as temporary:
        temporary.write_bytes(data)


def sync(path: Path) -> None:
    """Flushes a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
