"""Whether every byte that a workspace keeps is as it was written: what `curator doctor --check` reads.

What cannot be made again by itself has `failed`, with the command that brings it back; caches have a `warning`, for the
next use makes them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from curator.banks import TextCache, load_bank
from curator.errors import BankError, GeneratorError
from curator.store import Database, Ledger
from curator.store.checks import read_everything
from curator.vectors import damaged_index
from curator.workspace.call_store import LedgerCalls
from curator.workspace.context import Context
from curator.workspace.findings import Finding
from curator.workspace.lock import is_locked
from curator.workspace.mishaps import damage
from curator.workspace.repair import lost_files
from curator.workspace.session import PUBLISH, RESTORE, reading

RESCAN = "run `curator scan SOURCE --rehash` for each source: it embeds their images again; or restore a backup"
AGAIN = "nothing to do: it is made again when it is used"


def _live_ledger(context: Context) -> Iterator[Finding]:
    """The ledger behind the snapshot. While a run writes, DuckDB lets no other process in."""
    layout = context.layout
    if not layout.ledger.is_file():
        return
    if is_locked(layout.lock):
        yield Finding("ledger file", "ok", "not looked at while a run writes to it")
        return
    with damage(layout.ledger, remedy=RESTORE), Database.open_reader(layout.ledger) as database:
        rows = read_everything(database)
        runs = {row["run_id"] for row in database.rows("list_runs")}
    yield Finding("ledger file", "ok", f"{rows} rows, every block whole")
    with reading(context.layout) as database:
        read_everything(database)
        missing = len(runs - {row["run_id"] for row in database.rows("list_runs")})
    if missing:
        yield Finding("ledger", "warning", f"the snapshot lacks the last {missing} runs", PUBLISH)


def _vectors(context: Context) -> Iterator[Finding]:
    with reading(context.layout) as database:
        encoders = database.rows("list_encoders")
        files = {
            row["encoder_id"]: database.table("list_vector_files", encoder_id=row["encoder_id"])[
                "vector_file"
            ].to_pylist()
            for row in encoders
        }
    for encoder_id, names in files.items():
        lost = lost_files(context.layout.vectors(encoder_id), names)
        if lost:
            first = next(iter(lost.values()))
            yield Finding(
                "vector files", "failed", f"{len(lost)} of {len(names)} are lost, first: {first.message}", RESCAN
            )
        else:
            yield Finding("vector files", "ok", f"{len(names)} of {encoder_id}, every checksum as it was written")


def _banks(context: Context) -> Iterator[Finding]:
    with reading(context.layout) as database:
        rows = database.table("list_banks").to_pylist()
    faults = []
    for row in rows:
        try:
            load_bank(context.layout.bank_versions(row["name"]) / row["bank_digest"])
        except BankError as fault:
            faults.append(fault)
            yield Finding("bank versions", "failed", fault.message, fault.hint)
    if not faults:
        yield Finding("bank versions", "ok", f"{len(rows)}, each as it was built")


def _generated(context: Context) -> Iterator[Finding]:
    with reading(context.layout) as database:
        names = database.table("list_artefacts")["artefact"].to_pylist()
        calls = LedgerCalls(Ledger(database, ""), context.layout.generated)
    faults = []
    for name in names:
        try:
            calls.read_artefact(name)
        except GeneratorError as fault:
            faults.append(fault)
    if faults:
        message = f"{len(faults)} of {len(names)} are lost, first: {faults[0].message}"
        yield Finding("generated files", "warning", message, faults[0].hint)
    else:
        yield Finding("generated files", "ok", f"{len(names)}, each as it was made")


def _caches(context: Context) -> Iterator[Finding]:
    folders = {path.parent for path in (context.layout.root / "index").glob("*/*/*")}
    for folder in sorted(folders):
        if reason := damaged_index(folder):
            yield Finding("index", "warning", f"{folder}: {reason}", AGAIN)
    for path in TextCache(context.layout.text_cache).damaged_files():
        yield Finding("text cache", "warning", f"{path} is damaged", AGAIN)


INTEGRITY: tuple[tuple[str, Callable[[Context], Iterator[Finding]]], ...] = (
    ("ledger file", _live_ledger),
    ("vector files", _vectors),
    ("bank versions", _banks),
    ("generated files", _generated),
    ("caches", _caches),
)
