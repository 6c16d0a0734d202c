"""A writing session: lock, ledger, run row, and the published snapshot at its end.

Whatever ends the block, the run row says how: done, failed with its message, or interrupted. What was committed stays,
and the snapshot is published in every case, so readers see what is true now.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from curator.errors import RunInterrupted, WorkspaceError
from curator.store import Database, Ledger, publish_snapshot
from curator.store.ledger import utc_now
from curator.store.migrate import migrate
from curator.workspace.layout import Layout
from curator.workspace.lock import hold_lock
from curator.workspace.logs import log, run_context


def new_run_id() -> str:
    """A run id that sorts by time: `20260131T020000-1a2b3c`."""
    return f"{utc_now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@contextmanager
def writing(
    layout: Layout, command: str, arguments: Mapping[str, Any], *, wait_seconds: float = 0.0
) -> Iterator[Ledger]:
    """Hold the lock and the live ledger for one run of `command`.

    Raises WorkspaceLocked when another run holds it and goes on for `wait_seconds`, RunInterrupted on Ctrl-C.
    """
    run_id = new_run_id()
    lock = hold_lock(layout.lock, command=command, run_id=run_id, wait_seconds=wait_seconds)
    with lock, run_context(run_id):
        try:
            with Database.open(layout.ledger) as database:
                migrate(database)
                ledger = Ledger(database, run_id)
                ledger.begin(command, arguments)
                yield from _tracked(ledger)
        finally:
            if layout.ledger.exists():
                publish_snapshot(layout.ledger, layout.snapshot)


def _tracked(ledger: Ledger) -> Iterator[Ledger]:
    try:
        yield ledger
    except KeyboardInterrupt as stop:
        ledger.finish("interrupted")
        raise RunInterrupted(
            f"run {ledger.run_id} was interrupted; finished shards are kept", hint="run the same command to resume"
        ) from stop
    except BaseException as fault:
        ledger.finish("failed", error=str(fault).strip().splitlines()[0] if str(fault).strip() else repr(fault))
        log.debug("run %s failed", ledger.run_id)
        raise
    else:
        ledger.finish("done")


@contextmanager
def reading(layout: Layout) -> Iterator[Database]:
    """The published snapshot, read-only. Raises WorkspaceError when nothing was published yet."""
    if not layout.snapshot.is_file():
        raise WorkspaceError(f"{layout.root}: nothing was scanned yet", hint="run `curator scan SOURCE`")
    with Database.open_reader(layout.snapshot) as database:
        yield database


@contextmanager
def reading_or_empty(layout: Layout) -> Iterator[Database]:
    """The published snapshot, or an empty ledger when nothing was published yet."""
    if layout.snapshot.is_file():
        with Database.open_reader(layout.snapshot) as database:
            yield database
    else:
        with Database.open(":memory:") as database:
            migrate(database)
            yield database
