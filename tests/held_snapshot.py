"""Readers of a snapshot join the DuckDB instance that has it open already: 2 ms instead of 30.

Tests read the same snapshot again and again, each time by a connection of its own, as the product does. The one that
was read last stays open beside them until it is another file, or the end.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from curator.errors import StoreError
from curator.store.database import Database
from curator.workspace.layout import Layout

SNAPSHOT = Layout(Path()).snapshot.parts
CONNECT = Database._connect


class HeldSnapshot:
    """In place of `Database._connect`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[object, Database] | None = None

    def connect(self, path: Path | str, *, read_only: bool, memory_limit: str | None = None) -> Database:
        if read_only and Path(path).parts[-len(SNAPSHOT) :] == SNAPSHOT:
            with self._lock:
                self._hold(Path(path))
        return CONNECT(path, read_only=read_only, memory_limit=memory_limit)

    def _hold(self, path: Path) -> None:
        with suppress(OSError):  # what cannot be read is said to whoever wants to read it
            status = path.stat()
            identity = (path.absolute(), status.st_ino, status.st_mtime_ns, status.st_size)
            if self._held is None or self._held[0] != identity:
                self.release()
                with suppress(StoreError):
                    self._held = identity, CONNECT(path, read_only=True)

    def release(self) -> None:
        if self._held is not None:
            self._held[1].close()
        self._held = None
