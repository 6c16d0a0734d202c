"""Snapshots: a read-only copy of the ledger that analysts may hold open while the next scan writes.

A snapshot is a whole file put in place by rename. Whoever has the older one open keeps it: the name moves on, the
file stays until the last reader closes it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from curator.durable import durable, remove_leftovers
from curator.errors import WorkspaceError
from curator.store.checks import read_everything
from curator.store.database import Database

HEADERS = 3 * 4096  # bytes of a DuckDB file; each checkpoint is counted there
LATER = "the ledger itself is safe: free some space, then run `curator publish`"


def publish_snapshot(ledger: Path, snapshot: Path) -> None:
    """Copy a closed ledger file to `snapshot`, atomically, once every block of the copy has been read.

    Raises WorkspaceError when the disk refuses, StoreError for a damaged ledger.
    """
    if ledger.with_name(f"{ledger.name}.wal").exists():  # closing it could not write all that was committed into it
        raise WorkspaceError(f"{ledger}: its last changes are still in its log, and cannot be published", hint=LATER)
    try:
        remove_leftovers(snapshot)
        with durable(snapshot) as temporary:
            shutil.copyfile(ledger, temporary)
            read_back(temporary)
    except OSError as fault:
        raise WorkspaceError(
            f"{snapshot}: cannot publish the snapshot: {fault.strerror}",
            hint=LATER,
        ) from fault


def is_unchanged(ledger: Path, snapshot: Path) -> bool:
    """Whether a ledger is as it was when the snapshot was copied, as far as its headers and its size say."""
    try:
        if ledger.stat().st_size != snapshot.stat().st_size:
            return False
        with ledger.open("rb") as one, snapshot.open("rb") as other:
            return one.read(HEADERS) == other.read(HEADERS)
    except OSError:
        return False


def read_back(copy: Path) -> None:
    """Raises StoreError for a copy of a damaged ledger, which must not take the place of the one that is published."""
    with Database.open_reader(copy) as database:
        read_everything(database)
