"""Snapshots: a read-only copy of the ledger that analysts may hold open while the next scan writes.

A snapshot is a whole file put in place by rename. Whoever has the older one open keeps it: the name moves on, the
file stays until the last reader closes it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from curator.errors import WorkspaceError


def publish_snapshot(ledger: Path, snapshot: Path) -> None:
    """Copy a closed ledger file to `snapshot`, atomically. Raises WorkspaceError when the disk refuses."""
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    temporary = snapshot.with_name(f".{snapshot.name}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(ledger, temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(snapshot)
    except OSError as fault:
        temporary.unlink(missing_ok=True)
        raise WorkspaceError(
            f"{snapshot}: cannot publish the snapshot: {fault.strerror}",
            hint="the ledger itself is safe; free some space and run `curator publish`",
        ) from fault
