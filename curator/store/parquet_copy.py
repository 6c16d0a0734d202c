"""The Parquet copy of the report views, in a folder beside the snapshot: for pandas, Polars, Spark and BI tools.

A view is a file; one with a row an image is a folder with a file a night, as Spark writes them, so that the copy grows
with the night. The folder is a link to a generation, which gets that name by a rename once all of it is on disk. Files
whose rows are what they were are hard links to those of the generation before, which stays until the next is there: who
has begun to read it can end.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from curator.durable import sync
from curator.errors import StoreError, WorkspaceError
from curator.store.database import Database, quoted
from curator.store.migrate import shipped_views
from curator.store.publish import LATER

BY_NIGHT = {  # the date of a row, of views that only grow where nothing about an image changes
    "arrivals": "night",
    "images": "first_seen::date",
    "kept": "first_seen::date",
    "locations": "scanned_at::date",
    "scores": "first_seen::date",
}
# Of a million images these take a minute and more, and most of what they say is in the others in another form.
COSTLY = {
    *("arrivals", "compare", "flag_groups", "group_members", "groups"),
    *("kept", "p_values", "quality", "review_queue", "reviewed_images"),
}
COMPUTED_ONCE = ("locations", "images", "scores")  # which most of the others begin with
STATE = "_state.json"  # readers of Parquet pass over what begins with _
FINGERPRINT = "count(*), sum(hash(copied)::hugeint)"
Extent = Literal["most", "all", "none"]


@dataclass(frozen=True, slots=True)
class View:
    """A view with its columns (name: type as DuckDB says it) and what is said of it and of them (name: text)."""

    name: str
    columns: Mapping[str, str]
    comments: Mapping[str, str]

    @property
    def rows(self) -> str:
        """The table that has its rows while they are copied."""
        return f"report.{self.name}" if self.name in COMPUTED_ONCE else "main.copied_rows"

    @property
    def night(self) -> str:
        """SQL of the name of the part that a row goes into."""
        return f"coalesce(({BY_NIGHT[self.name]})::varchar, 'undated')" if self.name in BY_NIGHT else "''"

    @property
    def selected(self) -> str:
        """Its columns; Parquet has no whole numbers of 128 bits, and would have them as floating-point numbers."""
        return ", ".join(
            f'"{name}"::bigint as "{name}"' if kind == "HUGEINT" else f'"{name}"' for name, kind in self.columns.items()
        )

    @property
    def metadata(self) -> str:
        """The comments as DuckDB's `kv_metadata`."""
        pairs = ", ".join(f"{quoted(name)}: {quoted(text)}" for name, text in self.comments.items())
        return f", kv_metadata {{{pairs}}}" if pairs else ""

    def fingerprint(self, count: int, total: int | None) -> str:
        """Of a part with so many rows and such a sum of their hashes."""
        said = json.dumps([dict(self.columns), dict(self.comments)])
        return f"{hashlib.sha256(said.encode()).hexdigest()[:16]}-{count}-{total}"


def copy_report(snapshot: Path, folder: Path, *, extent: Extent) -> None:
    """Put the report views of a snapshot into `folder`, a link that is moved on once all files are whole.

    extent: `most` leaves out COSTLY views; `none` removes what an earlier call has left. Raises WorkspaceError where
    the disk refuses, StoreError for a damaged snapshot.
    """
    before = folder.resolve() if folder.is_symlink() else None
    try:
        if extent == "none":
            _make_way(folder)
            folder.unlink(missing_ok=True)
            return _remove_generations(folder, but=())
        made = folder.parent / f".{folder.name}-{secrets.token_hex(8)}"
        try:
            made.mkdir(parents=True)
            with Database.open_beside(snapshot, folder.parent) as database:
                _make_views(database)
                _write_generation(database, made, before, extent)
            _move_link(folder, made)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return _remove_generations(folder, but=(made, before))
    except OSError as fault:
        raise WorkspaceError(f"{folder}: cannot write the Parquet copy: {fault.strerror}", hint=LATER) from fault


def _write_generation(database: Database, made: Path, before: Path | None, extent: Extent) -> None:
    known, state = _state_of(before), dict[str, str]()
    views = [view for view in _views(database) if extent == "all" or view.name not in COSTLY]
    for view in views:
        for part, fingerprint in _parts(database, view):
            file = f"{view.name}.parquet/{part}.parquet" if part else f"{view.name}.parquet"
            state[file] = fingerprint
            (made / file).parent.mkdir(exist_ok=True)
            if before is None or known.get(file) != fingerprint or not _linked(before / file, made / file):
                _write_part(database, view, part, made / file, fingerprint)
        if view.name in BY_NIGHT:
            sync(made / f"{view.name}.parquet")
    (made / STATE).write_text(json.dumps(state), encoding="utf-8")
    sync(made / STATE)
    sync(made)


def _make_views(database: Database) -> None:
    """The report views over the tables that are published, those that others begin with as tables."""
    for table in database.rows("tables_published"):
        database.execute(f'create view main."{table["name"]}" as from published.main."{table["name"]}"')
    database.execute("create schema report")
    for statement in shipped_views()[0]:
        for name in COMPUTED_ONCE:
            statement = statement.replace(f"replace view report.{name} as", f"replace table report.{name} as")
        database.execute(statement)


def _views(database: Database) -> Iterator[View]:
    found: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for row in database.rows("columns_of_report"):
        columns, comments = found.setdefault(row["view"], ({}, {"view": row["about"] or ""}))
        columns[row["name"]] = row["type"]
        if row["comment"]:
            comments[row["name"]] = row["comment"]
    yield from (View(name, *both) for name, both in found.items())


def _parts(database: Database, view: View) -> list[tuple[str, str]]:
    """The nights of a view, or the one part of it that has no name, each with what tells whether its rows are others:
    how many, and the sum of their hashes. Its rows are then in `view.rows`."""
    if view.name not in COMPUTED_ONCE:
        database.execute(f"create or replace table {view.rows} as select {view.selected} from report.{view.name}")
    rows = database.execute(
        f"select {view.night} as night, {FINGERPRINT} from {view.rows} as copied group by night order by night"
    ).fetchall()
    if not rows:  # a file that says which columns there would be
        rows = [("undated" if view.name in BY_NIGHT else "", 0, None)]
    return [(part, view.fingerprint(*found)) for part, *found in rows]


def _write_part(database: Database, view: View, part: str, path: Path, fingerprint: str) -> None:
    """One file, read back: raises StoreError where what the disk has is not what was written."""
    place = quoted(str(path))
    database.execute(
        f"copy (from {view.rows} where {view.night} = {quoted(part)}) to {place} "
        f"(format parquet, compression zstd{view.metadata})"
    )
    found = database.execute(f"select {FINGERPRINT} from read_parquet({place}) as copied").fetchall()[0]
    if view.fingerprint(*found) != fingerprint:
        raise StoreError(f"{path} is not what was written into it", hint="check the disk, then run `curator publish`")
    sync(path)


def _linked(old: Path, new: Path) -> bool:
    """False where the older file is gone, or the file system has no hard links."""
    with suppress(OSError):
        os.link(old, new)
        return True
    return False


def _state_of(generation: Path | None) -> Mapping[str, str]:
    """What the files of a generation were made of; nothing where that cannot be read, so all are written."""
    try:
        found = json.loads((generation / STATE).read_text(encoding="utf-8")) if generation else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _make_way(folder: Path) -> None:
    """A copy of a workspace may have a folder where the link was: it becomes a generation of the past."""
    if folder.is_dir() and not folder.is_symlink():
        folder.rename(folder.parent / f".{folder.name}-{secrets.token_hex(8)}")


def _move_link(folder: Path, target: Path) -> None:
    _make_way(folder)
    temporary = folder.parent / f".{folder.name}.{secrets.token_hex(8)}.tmp"
    temporary.symlink_to(target.name, target_is_directory=True)
    try:
        temporary.replace(folder)
    finally:
        temporary.unlink(missing_ok=True)
    sync(folder.parent)


def _remove_generations(folder: Path, *, but: tuple[Path | None, ...]) -> None:
    """Also what killed runs have left."""
    kept = {path.name for path in but if path}
    for path in folder.parent.glob(f".{folder.name}[-.]*"):
        if path.is_symlink():
            path.unlink()
        elif path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
