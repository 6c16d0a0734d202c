"""A writing session: lock, ledger, run row, and the published snapshot at its end.

Whatever ends the block, the run row says how: done, failed with its message, or interrupted. What was committed stays,
and the snapshot is published in every case, so readers see what is true now.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curator.config import Config
from curator.durable import durable, remove_leftovers
from curator.errors import CuratorError, RunInterrupted
from curator.printable import said_by
from curator.progress import step
from curator.store import Database, Ledger, publish_snapshot
from curator.store.ledger import utc_now
from curator.store.migrate import migrate
from curator.store.parquet_copy import copy_report
from curator.workspace.context import Context
from curator.workspace.layout import Layout
from curator.workspace.lock import hold_lock
from curator.workspace.logs import log, run_context, stage
from curator.workspace.mishaps import damage, exhaustion
from curator.workspace.outputs import check_destination, configured_destination, put_snapshot
from curator.workspace.stored.presence import (
    RECOVER,
    has_ledger,
    require_all_runs,
    require_presence,
    require_vectors,
)


def new_run_id() -> str:
    """A run id that tells the time, as far as the clock is right: `20260131T020000-1a2b3c`."""
    return f"{utc_now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@contextmanager
def writing(
    context: Context,
    command: str,
    arguments: Mapping[str, Any],
    *,
    wait_seconds: float = 0.0,
    publish_to: str | None = None,
    publish_anew: bool = False,
    replaces: bool = False,
    needs_vectors: bool = True,
) -> Iterator[Ledger]:
    """Hold the lock and the live ledger for one run of `command`; at its end, publish the snapshot.

    publish_to: where a copy goes instead of where the configuration says. publish_anew: the whole snapshot, whatever
    the run changed. replaces: the snapshot may have runs that the
    ledger lacks, and they are given up. needs_vectors: false for what mends it, or does without, where all vectors are
    gone. Raises WorkspaceLocked when another run holds the workspace and goes on for `wait_seconds`, RunInterrupted on
    Ctrl-C, WorkspaceError where something is absent that a run cannot make (see presence.py).
    """
    layout, config = context.layout, context.config
    check_destination(configured_destination(layout, config) if publish_to is None else publish_to)
    run_id = new_run_id()
    lock = hold_lock(layout.lock, command=command, run_id=run_id, wait_seconds=wait_seconds)
    with (
        exhaustion(layout.root),
        damage(layout.ledger, remedy=RECOVER),
        lock,
        run_context(run_id),
        step(command),
        temporary_files(layout.temporary),
    ):
        is_ours = False
        require_presence(layout)
        make_ledger(layout)
        try:
            with open_ledger(context, replaces=replaces) as database:
                if needs_vectors:
                    require_vectors(layout, database, config.encoder.address)
                is_ours = True  # a ledger that is damaged or that this release refuses is left alone, its snapshot too
                ledger = Ledger(database, run_id)
                with _tracked(ledger, "what was answered is" if command.startswith("bank ") else "finished shards are"):
                    ledger.begin(command, arguments)
                    yield ledger
        except BaseException:
            if is_ours:
                with _said_only("the snapshot is not published"):
                    _publish(layout, config, publish_to, anew=publish_anew)
            raise
        _publish(layout, config, publish_to, anew=publish_anew)


def _publish(layout: Layout, config: Config, to: str | None, *, anew: bool) -> None:
    """The snapshot, its Parquet copy, and the snapshot where the configuration wants it as well."""
    with stage("publish"):
        publish_snapshot(layout.ledger, layout.snapshot, anew=anew)
    with stage("copy"):
        copy_report(layout.snapshot, layout.report, extent=config.publish.parquet, anew=anew)
    put_snapshot(layout, config, to)


def make_ledger(layout: Layout) -> None:
    """A new ledger, where there is none, gets its name once it is whole: DuckDB cannot open one whose making was cut
    off."""
    if not has_ledger(layout):
        remove_leftovers(layout.ledger)
        with durable(layout.ledger) as temporary, Database.open(temporary) as database:
            migrate(database)


@contextmanager
def open_ledger(context: Context, *, replaces: bool = False) -> Iterator[Database]:
    """The live ledger, in the format of this release; the lock must be held.

    Raises WorkspaceError for one that is damaged, and unless it `replaces` them, for one that lacks runs of the
    published snapshot.
    """
    layout, limit = context.layout, context.config.ledger.memory_limit
    with damage(layout.ledger, remedy=RECOVER), Database.open(layout.ledger, memory_limit=limit) as database:
        if not replaces:
            require_all_runs(layout, database)
        migrate(database)
        yield database


@contextmanager
def _tracked(ledger: Ledger, kept: str) -> Iterator[None]:
    """Write down how the run ends. kept: what an interruption leaves, with its verb.

    A signal may come at any statement, that of the end itself among them.
    """
    try:
        yield
        ledger.finish("done")
    except KeyboardInterrupt as stop:
        with _said_only("the next run will say that this one was interrupted"):
            ledger.finish("interrupted")
        raise RunInterrupted(
            f"run {ledger.run_id} was interrupted; {kept} kept", hint="run the same command to resume"
        ) from stop
    except BaseException as fault:
        with _said_only("the next run will say that this one was interrupted"):
            ledger.finish("failed", error=said_by(fault, whole=True))
        log.debug("run %s failed", ledger.run_id)
        raise


@contextmanager
def _said_only(consequence: str) -> Iterator[None]:
    """A fault in cleaning up after a fault is logged: what went wrong first is what the user has to know."""
    try:
        yield
    except CuratorError as fault:
        log.debug("%s: %s", consequence, fault)


@contextmanager
def temporary_files(folder: Path) -> Iterator[None]:
    """Within it, Python's temporary files are made in `folder`, which is there only for that time.

    Ours have no name at all (`tempfile.TemporaryFile`), so even a killed run leaves none; packages may make others.
    """
    before = tempfile.tempdir
    folder.mkdir(exist_ok=True)
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        with contextlib.suppress(OSError):  # what another run in this process, or a package, has left in it stays
            folder.rmdir()
