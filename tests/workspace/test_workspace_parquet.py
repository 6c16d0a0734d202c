"""The Parquet copy of the report views: what others read in it, and when its files are made anew."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow.dataset
import pyarrow.parquet
import pytest

from curator.errors import StoreError, WorkspaceError
from curator.store import Database, parquet_copy
from curator.store.parquet_copy import BY_NIGHT, COSTLY, copy_report
from curator.workspace import Workspace

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
        patch.setattr(parquet_copy, "sync", full)
        copy_report(snapshot, folder, extent="most")
    assert folder.resolve() == there and (there / "flagged.parquet").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [there.name]


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
        return execute(
            self, sql.replace("(from report.scores where", "(from report.scores where false and"), parameters
        )

    monkeypatch.setattr(Database, "execute", harm)
    with pytest.raises(StoreError, match="is not what was written into it"):
        copy_report(published[0].layout.snapshot, tmp_path / "report", extent="most")
    assert not list(tmp_path.glob(".report*"))


@pytest.mark.usefixtures("real_publishing")
def test_every_run_leaves_a_copy_of_most_views(first_night):
    workspace, _ = first_night
    workspace.publish()
    report = workspace.layout.snapshot.parent / "report"
    assert {path.stem for path in report.glob("*.parquet")} == views_of(workspace) - COSTLY
    assert {path.stem for path in report.glob("*.parquet") if path.is_dir()} == BY_NIGHT.keys() - COSTLY
    assert polars.read_parquet(report / "flagged.parquet").height == workspace.sql("from report.flagged").num_rows
