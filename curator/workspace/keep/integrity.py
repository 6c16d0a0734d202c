"""Whether every byte that a workspace keeps is as it was written: what `curator doctor --check` reads.

What cannot be made again by itself has `failed`, with the command that brings it back; caches have a `warning`, for the
next use makes them again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from curator.banks import TextCache
from curator.errors import StoreError
from curator.store import Database
from curator.store.checks import read_everything
from curator.store.migrate import pending_migrations
from curator.vectors import damaged_index, damaged_partition
from curator.workspace.context import Context
from curator.workspace.keep.recover import bank_in_use, spec_faults
from curator.workspace.lock import is_locked
from curator.workspace.mishaps import damage
from curator.workspace.published import reading
from curator.workspace.stored.losses import Kept, kept_artefacts, kept_banks, kept_vectors
from curator.workspace.stored.presence import PUBLISH, RECOVER, has_ledger, rescan

REINDEX = "nothing to do: it is made again when it is used; or now, by `curator index build`"
FROM_BACKUP = "restore a backup by `curator restore BACKUP FOLDER`"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined. `failed` needs a hand, `warning` may, `ok` does not."""

    subject: str
    state: Literal["ok", "warning", "failed"]
    message: str
    hint: str | None = None


def _live_ledger(context: Context) -> Iterator[Finding]:
    """The ledger behind the snapshot. While a run writes, DuckDB lets no other process in."""
    layout = context.layout
    if not has_ledger(layout):
        return  # said by the finding of what is absent
    if is_locked(layout.lock):
        yield Finding("ledger file", "ok", "not looked at while a run writes to it")
        return
    with damage(layout.ledger, remedy=RECOVER), Database.open_reader(layout.ledger) as database:
        pending_migrations(database)
        rows = read_everything(database)
        runs = set(database.column("list_run_ids"))
    yield Finding("ledger file", "ok", f"{rows} rows, every block whole")
    with reading(context.layout) as database:
        read_everything(database)
        missing = len(runs - set(database.column("list_run_ids")))
    if missing:
        yield Finding("ledger", "warning", f"the snapshot lacks the last {missing} runs", PUBLISH)


def _snapshot_format(context: Context) -> Iterator[Finding]:
    with reading(context.layout) as database:
        try:
            pending_migrations(database)
        except StoreError as fault:
            message = f"{context.layout.snapshot} is of another release: {fault.message}"
            yield Finding("snapshot", "failed", message, PUBLISH)


def _vectors(context: Context) -> Iterator[Finding]:
    with reading(context.layout) as database:
        in_use = context.encoder_id(database)
        for row in database.rows("list_encoders"):
            kept = kept_vectors(context.layout, database, row["encoder_id"])
            hint = rescan(database) if row["encoder_id"] == in_use else FROM_BACKUP
            yield _told(kept, hint, f"of {row['encoder_id']}, every checksum as it was written")


def _banks(context: Context) -> Iterator[Finding]:
    with reading(context.layout) as database:
        kept = kept_banks(context.layout, database)
    for fault in kept.lost.values():
        yield Finding("bank versions", "failed", fault.message, fault.hint)
    if not kept.lost:
        yield Finding("bank versions", "ok", f"{len(kept.paths)}, each as it was built")


def _generated(context: Context) -> Iterator[Finding]:
    with reading(context.layout) as database:
        kept = kept_artefacts(context.layout, database)
        banks = database.table("list_banks_of_pictures", artefacts=list(kept.lost))["name"].to_pylist()
    again = [f"paint them again by `curator bank build {name}`" for name in banks]
    hint = "; or ".join([*again, FROM_BACKUP])
    yield _told(kept, hint, "files, each as it was made", state="warning")


def _told(kept: Kept, hint: str | None, whole: str, *, state: Literal["failed", "warning"] = "failed") -> Finding:
    if not kept.lost:
        return Finding(kept.what, "ok", f"{len(kept.paths)} {whole}")
    first = next(iter(kept.lost.values()))
    message = f"{len(kept.lost)} of {len(kept.paths)} are lost, first: {first.message}"
    return Finding(kept.what, state, message, hint)


def bank_specs(context: Context) -> Iterator[Finding]:
    """What the next version of the bank in use is built from. It may have changed; it may not be gone."""
    for _, fault in spec_faults(context.layout, bank_in_use(context.config)):
        yield Finding("bank spec", "failed", fault.message, fault.hint)


def _caches(context: Context) -> Iterator[Finding]:
    folders = {path.parent for path in (context.layout.root / "index").glob("*/*/*")}
    for folder in sorted(folders):
        if reason := (damaged_partition if folder.suffix == ".near" else damaged_index)(folder):
            yield Finding("index", "warning", f"{folder}: {reason}", REINDEX)
    for path in TextCache(context.layout.text_cache).damaged_files():
        hint = f"nothing to do: its texts are embedded again when they are used; or `rm {shlex.quote(str(path))}`"
        yield Finding("text cache", "warning", f"{path} is damaged", hint)


INTEGRITY: tuple[tuple[str, Callable[[Context], Iterator[Finding]]], ...] = (
    ("ledger file", _live_ledger),
    ("snapshot", _snapshot_format),
    ("vector files", _vectors),
    ("bank versions", _banks),
    ("generated files", _generated),
    ("caches", _caches),
)
