"""Decisions that wait to be recorded: a file of JSON lines in the workspace, flushed to the disk line by line.

Whoever decides gets an answer once the line is on the disk, whether or not the ledger is free. The file is locked (by
the kernel, so until its process ends, however it ends); one that nobody holds was left by a server that was killed,
and is recorded by whichever command comes next. Recording twice does no harm: a review is known by its content.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock

from curator.errors import WorkspaceError
from curator.review.reviews import Review

PATTERN = "pending-*.jsonl"


class Journal:
    """The file of one server. Safe to use from several threads."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises WorkspaceError where the file cannot be made."""
        self.path = folder / f"pending-{name}.jsonl"
        self._lock = Lock()
        try:
            folder.mkdir(exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            raise WorkspaceError(f"{self.path}: cannot be written: {fault.strerror}") from fault

    def append(self, review: Review) -> None:
        """On the disk when this returns. Raises OSError, and then leaves nothing of it behind."""
        line = (json.dumps(review.as_json()) + "\n").encode()
        with self._lock:
            size = os.fstat(self._descriptor).st_size
            try:
                if os.write(self._descriptor, line) < len(line):
                    raise OSError("the disk took only a part of the line")
                os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, size)
                raise

    def waiting(self) -> list[Review]:
        """All that was appended and is not forgotten, in order."""
        return read_journal(self.path)

    def forget(self, count: int) -> bool:
        """The first `count` reviews are recorded. Whether the file was emptied: not when another has come meanwhile."""
        with self._lock:
            if len(read_journal(self.path)) > count:
                return False
            os.ftruncate(self._descriptor, 0)
            return True

    def close(self) -> None:
        """Lets go of the file, and removes it when nothing waits in it."""
        with self._lock:
            try:
                if not os.fstat(self._descriptor).st_size:
                    self.path.unlink(missing_ok=True)
            finally:
                os.close(self._descriptor)


@contextmanager
def left_behind(folder: Path) -> Iterator[dict[Path, list[Review]]]:
    """The reviews of journals that no server holds; they are held, so that nobody else takes them, for the block. When
    it ends well their files are removed."""
    held: dict[Path, int] = {}
    try:
        for path in sorted(folder.glob(PATTERN)):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held[path] = descriptor
            except BlockingIOError:
                os.close(descriptor)  # of a server that is alive
        yield {path: read_journal(path) for path in held}
        for path in held:
            path.unlink(missing_ok=True)
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def read_journal(path: Path) -> list[Review]:
    """The reviews of a journal; a last line that was cut off was never answered for, and does not count."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found: list[Review] = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            fields = json.loads(line)
            found.append(Review(**{**fields, "reviewed_at": datetime.fromisoformat(fields["reviewed_at"])}))
        except (ValueError, TypeError, KeyError) as fault:
            hint = "mend or remove that line: the others are recorded by the next command"
            raise WorkspaceError(f"{path}: line {number} is damaged", hint=hint) from fault
    return found
