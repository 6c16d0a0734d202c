"""Decisions that wait to be recorded: a file of JSON lines in the workspace, flushed to the disk line by line.

Whoever decides gets an answer once the line is on the disk, whether or not the ledger is free. The file is locked (by
the kernel, so until its process ends, however it ends); one that nobody holds was left by a server that was killed,
and is recorded by whichever command comes next. Recording twice does no harm: a review is known by its content.

A line that cannot be recorded, since a disk or somebody else has changed it, costs itself alone: it is kept aside in
`rejected-*.jsonl` as it is, and the others are recorded.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from curator.durable import write_durably
from curator.errors import WorkspaceError
from curator.review.reviews import BadReview, Review, parse_line
from curator.review.tables import as_text, json_line
from curator.review.tags import Tagging, parse_tagging
from curator.store.ledger import utc_now

PATTERN = "pending-*.jsonl"
Noted: TypeAlias = Review | Tagging
ASIDE = "rejected-*.jsonl"  # what could not be recorded of them


@dataclass(slots=True)
class Entry:
    """A line of a journal: a review or a tagging, or what is wrong with it. `fault` is also for who finds that it
    cannot be recorded."""

    number: int
    data: bytes
    review: Noted | None
    fault: str | None = None


class DecisionJournal:
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

    def append(self, *reviews: Noted) -> None:
        """All on the disk when this returns. Raises OSError, and then leaves nothing of them behind."""
        lines = "".join(json.dumps(review.as_json()) + "\n" for review in reviews).encode()
        with self._lock:
            size = os.fstat(self._descriptor).st_size
            try:
                if os.write(self._descriptor, lines) < len(lines):
                    raise OSError("the disk took only a part of the lines")
                os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, size)
                raise

    def waiting(self) -> list[Noted]:
        """All that was appended and is not forgotten, in order."""
        return [entry.review for entry in read_journal(self.path) if entry.review is not None]

    def forget(self, count: int) -> bool:
        """The first `count` reviews are recorded. Whether the file was emptied: not when another has come meanwhile,
        nor when a line cannot be recorded, which is for the next command to keep aside."""
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
def left_behind(folder: Path) -> Iterator[dict[Path, list[Entry]]]:
    """What journals hold that no server holds; they are held, so that nobody else takes them, for the block. When it
    ends well, the entries with a fault are kept aside, and the files are removed. One that cannot be read stays.

    Raises WorkspaceError when nothing can be kept aside or removed.
    """
    held: dict[Path, int] = {}
    found: dict[Path, list[Entry]] = {}
    try:
        for path in sorted(folder.glob(PATTERN)):
            with suppress(OSError, WorkspaceError):  # `curator doctor` names it
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                held[path] = descriptor
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its server is alive
                found[path] = read_journal(path)
        yield found
        for path, entries in found.items():
            _keep_aside(path, [entry for entry in entries if entry.fault is not None])
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def _keep_aside(path: Path, entries: Sequence[Entry]) -> None:
    """Remove a journal whose other entries are recorded; these go into the file beside it, each once."""
    aside = kept_aside(path)
    try:
        known = aside.read_bytes().removesuffix(b"\n").split(b"\n") if aside.exists() else []
        new = [entry.data for entry in entries if entry.data not in known]
        if new:
            write_durably(aside, b"".join(line + b"\n" for line in (*known, *new)))
        path.unlink(missing_ok=True)
    except OSError as fault:
        raise WorkspaceError(f"{path}: recorded, but it cannot be removed: {fault.strerror}") from fault


def kept_aside(path: Path) -> Path:
    """Where the lines of a journal go that cannot be recorded: a file that `curator review import` reads."""
    return path.with_name(f"rejected-{path.name.removeprefix('pending-')}")


def read_journal(path: Path) -> list[Entry]:
    """The lines of a journal, or of a file of lines kept aside. Raises WorkspaceError."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as fault:
        raise WorkspaceError(f"{path}: cannot be read: {fault.strerror}") from fault
    return [_entry(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _entry(number: int, data: bytes) -> Entry:
    """A line as the page writes it, checked as every review is: who decided, and when, is there too."""
    try:
        line = json_line(f"line {number}", as_text(data))
        if line.fault is None and "tag" in line.fields:
            return Entry(number, data, parse_tagging(line.fields, now=utc_now()))
        review = parse_line(line, reviewer="", now=utc_now())
        if review is None or not review.reviewer or review.reviewed_at is None:
            raise BadReview("it does not say who decided what, and when")
    except BadReview as fault:
        return Entry(number, data, None, str(fault))
    return Entry(number, data, review)
