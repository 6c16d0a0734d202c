"""The Parquet copy of the report views: what others read in it, and when its files are made anew."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow.dataset
import pyarrow.parquet
import pytest
from PIL import Image

from curator.errors import StoreError, WorkspaceError
from curator.store import Database, parquet_changes, parquet_copy, parquet_files, publish
from curator.store.parquet_copy import COSTLY, copy_report
from curator.store.parquet_files import BY_NIGHT
from curator.workspace import Workspace, session
from tests.cases import rest_slow

pytestmark = pytest.mark.usefixtures("real_parquet")

READERS = {
    "duckdb": lambda path: duckdb.sql(f"from read_parquet('{path}{'/*.parquet' * path.is_dir()}')").to_arrow_table(),
    "pyarrow": lambda path: pyarrow.dataset.dataset(path).to_table(),
    "pyarrow whole": lambda path: pyarrow.parquet.read_table(path),
    "polars": lambda path: polars.read_parquet(path).to_arrow(),
    "pandas": lambda path: pyarrow.Table.from_pandas(pandas.read_parquet(path), preserve_index=False),
}


@pytest.fixture(scope="module")
def published(first_night_once, tmp_path_factory) -> tuple[Workspace, Path]:
    """A night, and the copy of all its views, in a folder whose name SQL has to quote."""
    workspace, folder = Workspace.open(first_night_once[0]), tmp_path_factory.mktemp("it's published") / "report"
    copy_report(workspace.layout.snapshot, folder, extent="all")
    return workspace, folder


def inodes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_ino for path in folder.rglob("*.parquet") if path.is_file()
    }


def views_of(workspace: Workspace) -> set[str]:
    return set(workspace.describe()["view"].to_pylist())


def test_every_view_is_there_with_its_columns(published):
    workspace, folder = published
    assert {path.stem for path in folder.glob("*.parquet")} == views_of(workspace)
    for name in views_of(workspace):
        found = pyarrow.dataset.dataset(folder / f"{name}.parquet").schema.names
        assert found == workspace.describe(name)["column"].to_pylist(), name


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("view", ["scores", "flagged", "night", "rejects", "evaluations"])
def test_each_library_reads_the_rows_of_the_view(view, reader, published, tmp_path):
    workspace, folder = published
    (tmp_path / "report").symlink_to(folder.resolve())  # under a name that needs no quoting
    found = READERS[reader](tmp_path / "report" / f"{view}.parquet").to_pylist()
    expected = workspace.sql(f"from report.{view}").to_pylist()
    assert sorted(found, key=repr) == sorted([dict(row) for row in expected], key=repr)
    assert bool(found) == (view != "evaluations")


def test_what_columns_hold_stands_in_the_files(published):
    said = pyarrow.parquet.read_metadata(published[1] / "flagged.parquet").metadata
    assert b"calls OOD" in said[b"view"] and b"path or URL" in said[b"uri"]


def test_files_stay_the_same_files_until_their_rows_differ(published, tmp_path):
    folder, snapshot = tmp_path / "report", tmp_path / "ledger.duckdb"
    snapshot.write_bytes(published[0].layout.ledger.read_bytes())
    copy_report(snapshot, folder, extent="most")
    first, before = inodes(folder), folder.resolve()
    with Database.open(snapshot) as database:  # a night as it would be tomorrow
        database.execute("update run set started_at = started_at - interval 1 day where command = 'scan'")
        database.execute("insert into run select * replace ('later' as run_id, 'scan' as command) from run limit 1")
        database.execute("update run set started_at = now()::timestamp where run_id = 'later'")
        database.execute("update location set run_id = 'later' where uri like '%red%'")
    copy_report(snapshot, folder, extent="most")
    second = inodes(folder)
    assert len([name for name in second if name.startswith("scores.parquet/")]) == 2
    assert {"policies.parquet", "selection.parquet"} <= {name for name in first if first[name] == second.get(name)}
    copy_report(snapshot, folder, extent="most")
    assert inodes(folder) == second and not before.exists()  # the one between is there for those who read it


def test_a_full_disk_leaves_the_copy_that_was_there(published, tmp_path, monkeypatch):
    folder, snapshot = tmp_path / "report", published[0].layout.snapshot
    copy_report(snapshot, folder, extent="most")
    there = folder.resolve()
    (there / "_state.json").unlink()  # so that every file is made anew

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch, pytest.raises(WorkspaceError, match="No space left on device"):
        patch.setattr(parquet_files, "sync", full)
        copy_report(snapshot, folder, extent="most")
    assert folder.resolve() == there and (there / "flagged.parquet").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [there.name]


def test_an_interruption_when_the_link_has_moved_leaves_the_new_copy(published, tmp_path, monkeypatch):
    folder, snapshot = tmp_path / "report", published[0].layout.snapshot

    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(parquet_copy, "sync", interrupted)
        copy_report(snapshot, folder, extent="most")
    assert (folder / "flagged.parquet").is_file()


def test_what_killed_runs_left_goes_with_the_next_copy(published, tmp_path):
    (tmp_path / ".report-0123").mkdir()
    (tmp_path / ".report.0123.tmp").symlink_to("nowhere")
    copy_report(published[0].layout.snapshot, tmp_path / "report", extent="most")
    assert len(list(tmp_path.glob(".report*"))) == 1
    copy_report(published[0].layout.snapshot, tmp_path / "report", extent="none")
    assert not list(tmp_path.iterdir())


def test_a_workspace_that_was_copied_without_links_goes_on(published, tmp_path):
    copy_report(published[0].layout.snapshot, tmp_path / "first" / "report", extent="most")
    copied = shutil.copytree(tmp_path / "first", tmp_path / "second") / "report"
    assert copied.is_dir() and not copied.is_symlink()
    copy_report(published[0].layout.snapshot, copied, extent="most")
    assert copied.is_symlink() and len(list(copied.parent.glob(".report*"))) == 1
    assert (copied / "flagged.parquet").is_file()


def test_a_file_that_is_not_what_was_written_is_refused(published, tmp_path, monkeypatch):
    execute = Database.execute

    def harm(self, sql, parameters=None):
        where = "from main.composed where"
        return execute(self, sql.replace(where, f"{where} not") if sql.startswith("copy (") else sql, parameters)

    monkeypatch.setattr(Database, "execute", harm)
    with pytest.raises(StoreError, match="is not what was written into it"):
        copy_report(published[0].layout.snapshot, tmp_path / "report", extent="most")
    assert not list(tmp_path.glob(".report*"))


def differing(snapshot: Path, folder: Path) -> list[str]:
    """The views of a copy that have other rows than the snapshot."""
    found = []
    with duckdb.connect() as connection:
        connection.execute(f"attach '{snapshot}' as lake (read_only)")
        for path in sorted(folder.glob("*.parquet")):
            copied, original = f"read_parquet('{path}{'/*.parquet' * path.is_dir()}')", f"lake.report.{path.stem}"
            columns = connection.sql(f"describe from {original}").fetchall()
            shown = ", ".join(f'round("{name}", 9)' if kind == "DOUBLE" else f'"{name}"' for name, kind, *_ in columns)
            copied, original = f"select {shown} from {copied}", f"select {shown} from {original}"  # means are rounded
            for one, other in ((copied, original), (original, copied)):
                if connection.sql(f"({one}) except all ({other})").limit(1).fetchall():
                    found.append(path.stem)
    return found


def loses_and_changes(workspace: Workspace, lake: Path) -> None:
    (lake / "x-duplicate.png").unlink()
    first, second, third = sorted(lake.glob("*red*"))[:3]
    first.unlink()  # it is in the tar as well
    second.write_bytes(third.read_bytes())
    Image.new("RGB", (40, 40), "red").save(lake / "new.png")
    workspace.scan(lake)


def decides(workspace: Workspace, lake: Path) -> None:
    flagged = workspace.sql("select image_id from report.scores limit 2")["image_id"].to_pylist()
    path = lake.parent / "decisions.csv"
    path.write_text("image_id,decision\n" + "".join(f"{image_id},ood\n" for image_id in flagged))
    workspace.reviews.import_from(path, reviewer="ann")


def on_ledger(*statements: str) -> Callable[[Workspace, Path], None]:
    def event(workspace: Workspace, lake: Path) -> None:
        with Database.open(workspace.layout.ledger) as database:
            for sql in statements:
                database.execute(sql)
        publish.publish_snapshot(workspace.layout.ledger, workspace.layout.snapshot, anew=True)

    return event


def renames_labels(workspace: Workspace, lake: Path) -> None:
    workspace.layout.labels.write_text("red\nyellow paint\n", encoding="utf-8")
    workspace.build_bank("base")
    workspace.scan(lake)


# What may come after a copy, and whether the next one looks at some of the images only.
EVENTS = {
    "nothing new": (lambda workspace, lake: workspace.scan(lake), True),
    "a night that loses and changes images": (loses_and_changes, True),
    "an image that is back": (lambda workspace, lake: shutil.copy(lake / "new.png", lake / "x-duplicate.png"), True),
    "decisions": (decides, True),
    "a calibration": (lambda workspace, lake: workspace.calibrate(lake / "new.png", keep=0.5), False),
    "a cut of each night": (lambda workspace, lake: workspace.calibrate(lake / "new.png", fdr=0.5), False),
    "the cut of one night": (on_ledger("update policy_night set min_log_odds = 100"), True),
    "another method": (lambda workspace, lake: workspace.use("base", "mcm"), False),
    "scores of a method that does not rule": (lambda workspace, lake: workspace.score(method="energy"), True),
    "labels that are others": (renames_labels, False),
    "garbage": (lambda workspace, lake: workspace.collect_garbage(remove=True), True),
    "objects that are gone": (
        on_ledger("update source_object set gone_run_id = run_id where object_uri like '%blue%'"),
        True,
    ),
    "nights of other dates": (
        on_ledger("update run set started_at = started_at - interval 40 day where run_number = 1"),
        True,
    ),
    "images without a name": (on_ledger("delete from image_name where margin > 0.3"), False),
    "nothing left": (on_ledger("update source_object set gone_run_id = run_id"), True),
}


SHORT = ("a night that loses and changes images", "nights of other dates", "images without a name")


@pytest.mark.slow
@pytest.mark.parametrize("extent, names", [("most", SHORT), ("all", EVENTS)])
def test_after_whatever_happened_the_copy_has_the_rows_of_the_snapshot(extent, names, own_night, tmp_path, monkeypatch):
    (workspace, lake), partly = own_night, []

    def make_fresh(*arguments: object) -> bool:
        partly.append(parquet_changes.make_fresh(*arguments))
        return partly[-1]

    monkeypatch.setattr(session, "copy_report", lambda *_, **__: None)
    monkeypatch.setattr(parquet_copy, "make_fresh", make_fresh)
    copy_report(workspace.layout.snapshot, tmp_path / "report", extent=extent)
    for name in names:
        event, is_partial = EVENTS[name]
        event(workspace, lake)
        copy_report(workspace.layout.snapshot, tmp_path / "report", extent=extent)
        assert partly[-1] is is_partial, name
        assert not differing(workspace.layout.snapshot, tmp_path / "report"), name


@pytest.mark.slow
def test_small_nights_of_past_months_share_a_file_and_large_ones_do_not(published, tmp_path, monkeypatch):
    snapshot, folder = tmp_path / "ledger.duckdb", tmp_path / "report"
    snapshot.write_bytes(published[0].layout.ledger.read_bytes())
    with Database.open(snapshot) as database:  # three nights, two of them of a month before
        database.execute("update run set started_at = '2026-01-05' where command = 'scan'")
        for day in ("2026-01-31", "2026-02-01"):
            database.execute(
                f"insert into run select * replace ('{day}' as run_id, timestamp '{day}' as started_at, "
                "(select max(run_number) + 1 from run) as run_number) from run limit 1"
            )
        database.execute("update location set run_id = '2026-01-31' where uri like '%red%'")
        database.execute("update location set run_id = '2026-02-01' where uri like '%blue%'")
    copy_report(snapshot, folder, extent="most")
    names = [path.stem for path in sorted((folder / "scores.parquet").iterdir())]
    assert names == ["2026-01", "2026-02-01"]
    monkeypatch.setattr(parquet_files, "MONTH_ROWS", 1)
    copy_report(snapshot, folder, extent="most")
    names = [path.stem for path in sorted((folder / "scores.parquet").iterdir())]
    assert names == ["2026-01-05", "2026-01-31", "2026-02-01"]
    assert not differing(snapshot, folder)


@pytest.mark.parametrize("harm", rest_slow(["cut off", "of other rows", "gone", "of another form"], kept=2))
def test_a_damaged_copy_is_made_anew(harm, published, tmp_path, monkeypatch):
    snapshot, folder = tmp_path / "ledger.duckdb", tmp_path / "report"
    snapshot.write_bytes(published[0].layout.ledger.read_bytes())
    few = (*parquet_changes.STALE, "flagged")
    monkeypatch.setattr(
        parquet_copy,
        "views_of",
        lambda database: [view for view in parquet_files.views_of(database) if view.name in few],
    )
    copy_report(snapshot, folder, extent="most")
    (file,) = (folder / "scores.parquet").iterdir()
    if harm == "gone":
        file.unlink()
    elif harm == "cut off":
        file.write_bytes(file.read_bytes()[:-100])
    elif harm == "of other rows":
        polars.read_parquet(file).head(3).write_parquet(file)
    else:
        (folder / "_state.json").write_text('{"scores.parquet/2026-01-01.parquet": "0123-3-4"}')
    with Database.open(snapshot) as database:
        database.execute("update source_object set gone_run_id = run_id where object_uri like '%blue%'")
    copy_report(snapshot, folder, extent="most")
    assert not differing(snapshot, folder)


@pytest.mark.usefixtures("real_publishing")
def test_every_run_leaves_a_copy_of_most_views(first_night):
    workspace, _ = first_night
    workspace.publish()
    report = workspace.layout.snapshot.parent / "report"
    assert {path.stem for path in report.glob("*.parquet")} == views_of(workspace) - COSTLY
    assert {path.stem for path in report.glob("*.parquet") if path.is_dir()} == BY_NIGHT.keys() - COSTLY
    assert polars.read_parquet(report / "flagged.parquet").height == workspace.sql("from report.flagged").num_rows
