"""Writes files that either are there whole or are not there, also after a power cut.

The writer gets a temporary path in the same folder, because FAISS and file copies write to a path, not to a stream.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_COPIED = 1 << 30  # bytes, at most, that the kernel is asked to copy at once
_NO_COPY = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}  # where it cannot


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


def copy_file(source: Path, target: Path) -> None:
    """A copy of a file: blocks that the two share where the file system can clone them (XFS, Btrfs, ZFS), which takes
    no time and no space, or else copied within the kernel."""
    try:
        with source.open("rb") as read, target.open("wb") as written:
            while os.copy_file_range(read.fileno(), written.fileno(), _COPIED):
                pass
    except OSError as fault:
        if fault.errno not in _NO_COPY:
            raise
        shutil.copyfile(source, target)


def sync(path: Path) -> None:
    """Flushes a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
