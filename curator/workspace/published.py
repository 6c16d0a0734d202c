"""The published snapshot, read-only: what everybody sees, also while a run writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from curator.errors import StoreError, WorkspaceError
from curator.store import Database
from curator.store.migrate import is_behind, migrate
from curator.workspace.layout import Layout
from curator.workspace.mishaps import damage
from curator.workspace.stored.presence import PUBLISH, has_ledger, is_new, require_presence


@contextmanager
def reading(layout: Layout, *, sealed: bool = False) -> Iterator[Database]:
    """The published snapshot, read-only. `sealed`: for SQL that others wrote.

    Raises WorkspaceError when nothing was published yet.
    """
    if not layout.snapshot.is_file():
        require_presence(layout)
        if has_ledger(layout):
            raise WorkspaceError(f"{layout.snapshot} is missing", hint=PUBLISH)
        raise WorkspaceError(f"{layout.root}: nothing was scanned yet", hint="run `curator scan SOURCE`")
    with (
        damage(layout.snapshot, remedy=PUBLISH, ours=not sealed),
        Database.open_sealed(layout.snapshot) if sealed else Database.open_reader(layout.snapshot) as database,
    ):
        try:
            yield database
        except StoreError as fault:
            if fault.hint is None and is_behind(database):
                fault.hint = "the snapshot is of an earlier release: `curator publish` brings it up to date"
            raise


@contextmanager
def reading_or_empty(layout: Layout) -> Iterator[Database]:
    """The published snapshot, or an empty ledger in a new workspace."""
    if is_new(layout):
        with Database.open(":memory:") as database:
            migrate(database, described=False)
            yield database
    else:
        with reading(layout) as database:
            yield database
