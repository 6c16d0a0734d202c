"""The Parquet copy of the report views, in a folder beside the snapshot: for pandas, Polars, Spark and BI tools.

A view is a file; one with a row an image is a folder with a file a night, as Spark writes them, so that the copy grows
with the night. The folder is a link to a generation, which gets that name by a rename once all of it is on disk. Files
whose rows are what they were are hard links to those of the generation before, which stays until the next is there: who
has begun to read it can end. What is computed is what the night changed (parquet_changes.py).
"""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path
from typing import Literal

from curator.durable import sync
from curator.errors import StoreError, WorkspaceError
from curator.store.database import Database
from curator.store.faults import remedy_of
from curator.store.migrate import shipped_views
from curator.store.parquet_changes import STALE, inputs_of, make_fresh
from curator.store.parquet_files import BY_NIGHT, Generation, parquet, views_of, write_nights, write_whole
from curator.store.publish import later

# Of a million images these take a minute and more, and most of what they say is in the others in another form.
COSTLY = {
    *("arrivals", "compare", "flag_groups", "group_members", "groups"),
    *("kept", "p_values", "quality", "review_queue", "reviewed_images"),
}
VIEW = re.compile(r"^create or replace view report\.(\w+)", re.MULTILINE)
Extent = Literal["most", "all", "none"]


def copy_report(snapshot: Path, folder: Path, *, extent: Extent, anew: bool = False) -> None:
    """Put the report views of a snapshot into `folder`, a link that is moved on once all files are whole.

    extent: `most` leaves out COSTLY views; `none` removes what an earlier call has left. anew: nothing is taken over
    from the copy before, as where it may be damaged. Raises WorkspaceError where the disk refuses, StoreError for a
    damaged snapshot.
    """
    before = folder.resolve() if folder.is_symlink() else None
    former = None if anew else Generation.read(before)
    try:
        if extent == "none":
            _make_way(folder)
            folder.unlink(missing_ok=True)
            return _remove_generations(folder, but=())
        try:
            made = _generation(snapshot, folder, former, extent)
        except StoreError:
            if former is None:
                raise
            made = _generation(snapshot, folder, None, extent)  # a file of the copy before is damaged
        return _remove_generations(folder, but=(made, before))
    except OSError as fault:
        raise WorkspaceError(
            f"{folder}: cannot write the Parquet copy: {fault.strerror}", hint=later(remedy_of(fault))
        ) from fault


def _generation(snapshot: Path, folder: Path, former: Generation | None, extent: Extent) -> Path:
    """Make one, and move the link to it."""
    made = folder.parent / f".{folder.name}-{secrets.token_hex(8)}"
    try:
        made.mkdir(parents=True)
        with Database.open_beside(snapshot, folder.parent) as database:
            _make_views(database, extent)
            _write_views(database, Generation(made), former, extent)
        _move_link(folder, made)
    except BaseException:
        if folder.resolve() != made.resolve():  # an interruption may come when the link has moved already
            shutil.rmtree(made, ignore_errors=True)
        raise
    return made


def _is_copied(view: str, extent: Extent) -> bool:
    return extent == "all" or view not in COSTLY


def _make_views(database: Database, extent: Extent) -> None:
    """The report views that are copied, over the tables that are published; none of them asks one that is not."""
    for table in database.rows("tables_published"):
        database.execute(f'create view main."{table["name"]}" as from published.main."{table["name"]}"')
    database.execute("create schema report")
    for statement in shipped_views()[0]:
        view = VIEW.search(statement)
        if view is None or _is_copied(view[1], extent):
            database.execute(statement)


def _write_views(database: Database, made: Generation, former: Generation | None, extent: Extent) -> None:
    """Those with a row an image first, from whose files the others are computed."""
    views = {view.name: view for view in views_of(database) if _is_copied(view.name, extent)}
    made.inputs.update(inputs_of(database))
    goes_on = make_fresh(database, views, made.inputs, former)
    for name, stale in STALE.items():
        write_nights(database, views[name], f"main.fresh_{name}", made, former, stale=stale if goes_on else "")
        files = parquet(made, list(made.of(views[name])))
        database.execute(f"create or replace view report.{name} as from {files}")
        database.execute(f"drop table main.fresh_{name}")
    for view in (view for name, view in views.items() if name not in STALE):
        if view.name in BY_NIGHT:
            write_nights(database, view, f"report.{view.name}", made, former)
        else:
            write_whole(database, view, made, former)
    made.write()


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
