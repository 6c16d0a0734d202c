"""Snapshots: a read-only copy of the ledger that analysts may hold open while the next scan writes.

A snapshot is a whole file put in place by rename. Whoever has the older one open keeps it: the name moves on, the
file stays until the last reader closes it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from curator.durable import durable
from curator.errors import WorkspaceError


def publish_snapshot(ledger: Path, snapshot: Path) -> None:
    """Copy a closed ledger file to `snapshot`, atomically. Raises WorkspaceError when the disk refuses."""
    try:
        with durable(snapshot) as temporary:
            shutil.copyfile(ledger, temporary)
    except OSError as fault:
        raise WorkspaceError(
            f"{snapshot}: cannot publish the snapshot: {fault.strerror}",
            hint="the ledger itself is safe; free some space and run `curator publish`",
        ) from fault
