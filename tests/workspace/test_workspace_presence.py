"""What is absent is never taken for what is new: no run makes a second beginning over what is left of the first."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from curator.errors import UsageError, WorkspaceError
from curator.store import Database
from curator.store.publish import is_unchanged
from curator.workspace import Workspace
from curator.workspace.keep.recover import recover_workspace
from tests.cases import rest_slow

RUNS = "select count(*) as runs from run"


def runs_of(snapshot: Path) -> int:
    with Database.open_reader(snapshot) as database:
        return database.arrow(RUNS)["runs"][0].as_py()


def older_ledger(workspace: Workspace) -> bytes:
    """The ledger as it was before one more run, which its snapshot has."""
    data = workspace.layout.ledger.read_bytes()
    workspace.publish()
    return data


def test_a_scan_without_its_ledger_keeps_the_snapshot_and_names_the_command_that_brings_it_back(first_night, run_cli):
    workspace, lake = first_night
    workspace.publish()
    root = workspace.layout.root
    before = workspace.layout.snapshot.read_bytes()
    workspace.layout.ledger.unlink()
    for command in (["scan", lake], ["scan", "--dry-run", lake], ["publish"], ["bank", "build"], ["gc"], ["score"],
                    ["backup", root.parent / "backups"], ["calibrate", "--reference", lake]):  # fmt: skip
        dry = "--dry-run" in command  # it reads, and the snapshot is there
        told = run_cli(*command, folder=root, code=0 if dry else 1).stderr
        assert dry or ("ledger.duckdb is missing, though" in told and "`curator recover`" in told), command
    assert workspace.layout.snapshot.read_bytes() == before and not workspace.layout.ledger.exists()
    assert "made again: ledger.duckdb" in run_cli("recover", folder=root).stdout
    assert runs_of(workspace.layout.snapshot) == 3  # scan, publish, recover
    again = workspace.scan(lake)
    assert (again.data_read, again.rescored) == (0, 0)
    assert "nothing that could be made again" in run_cli("recover", folder=root).stdout


@pytest.mark.parametrize("left", rest_slow(["vectors", "ledger.duckdb.wal", "banks", "reviews"], kept=2))
def test_anything_that_is_left_of_a_workspace_speaks_against_a_new_ledger(left, first_night, run_cli):
    workspace, lake = first_night
    root = workspace.layout.root
    for name in {"vectors", "banks", "published"} - {left}:
        versions = root / "banks" / "base" if name == "banks" else root / name
        shutil.rmtree(versions)
    workspace.layout.ledger.unlink()
    if left == "reviews":
        (root / left).mkdir()
        (root / left / "pending-x.jsonl").write_text("{}\n")
    if left.endswith("wal"):
        (root / left).write_bytes(b"log")
    told = run_cli("scan", lake, folder=root, code=1).stderr
    assert "is missing, though" in told and "`curator recover --anew`" in told and told.count("\n") == 1
    told = run_cli("recover", folder=root, code=1).stderr
    assert "nothing is left to recover from" in told
    assert not workspace.layout.ledger.exists()
    run_cli("recover", "--anew", folder=root)
    assert workspace.scan(lake).scored == 14


def test_a_new_workspace_and_one_whose_first_run_was_killed_scan_without_a_word(workspace, lake, run_cli):
    run_cli("doctor", "--check", folder=workspace.layout.root)
    summary = workspace.scan(lake)
    workspace.layout.snapshot.unlink()  # killed before it was published
    assert workspace.scan(lake).scored == summary.scored


def test_a_ledger_that_lacks_runs_of_the_snapshot_is_never_published_over_it(first_night, run_cli):
    workspace, lake = first_night
    root, older = workspace.layout.root, older_ledger(workspace)
    newer = workspace.layout.snapshot.read_bytes()
    workspace.layout.ledger.write_bytes(older)
    for command in (["scan", lake], ["publish"], ["gc", "--delete"], ["backup", root.parent / "backups"]):
        told = run_cli(*command, folder=root, code=1).stderr
        assert "lacks 1 runs that the published snapshot has" in told and "`curator recover`" in told, command
    assert workspace.layout.snapshot.read_bytes() == newer and workspace.layout.ledger.read_bytes() == older
    run_cli("recover", folder=root)
    (aside,) = (root / "aside").iterdir()
    assert (aside / "ledger.duckdb").read_bytes() == older
    assert runs_of(workspace.layout.snapshot) == 3
    workspace.scan(lake)


def test_an_older_ledger_of_the_same_size_is_known_by_its_headers(first_night):
    workspace, _ = first_night
    layout = workspace.layout
    earlier: dict[int, bytes] = {}
    while (size := layout.ledger.stat().st_size) not in earlier:  # DuckDB files grow and shrink by whole blocks
        earlier[size] = older_ledger(workspace)
    assert is_unchanged(layout.ledger, layout.snapshot)
    layout.ledger.write_bytes(earlier[size])
    assert layout.snapshot.stat().st_size == size and not is_unchanged(layout.ledger, layout.snapshot)
    with pytest.raises(WorkspaceError, match=r"lacks \d+ runs"):
        workspace.publish()


def test_runs_of_the_snapshot_are_given_up_only_by_a_word(first_night, run_cli):
    workspace, _ = first_night
    older = older_ledger(workspace)
    workspace.layout.ledger.write_bytes(older)
    run_cli("publish", "--replace", folder=workspace.layout.root)
    assert runs_of(workspace.layout.snapshot) == 2


def test_an_empty_ledger_is_none(first_night):
    workspace, lake = first_night
    workspace.layout.ledger.write_bytes(b"")
    with pytest.raises(WorkspaceError, match="is empty, though"):
        workspace.scan(lake)
    assert runs_of(workspace.layout.snapshot) == 1


def test_an_empty_folder_of_vectors_is_a_disk_that_is_not_mounted(first_night, run_cli):
    workspace, lake = first_night
    root = workspace.layout.root
    (root / "vectors").rename(root.parent / "disk")
    (root / "vectors").mkdir()
    for command in (["scan", lake], ["calibrate", "--reference", lake], ["score", "--method", "mcm"]):
        told = run_cli(*command, folder=root, code=1).stderr
        assert "none of the 2 vector files" in told and "mount its disk" in told and str(lake) in told
    assert list((root / "vectors").iterdir()) == []
    (root / "vectors").rmdir()
    (root / "vectors").symlink_to(root.parent / "disk", target_is_directory=True)
    workspace.scan(lake)
    (root.parent / "disk").rename(root.parent / "gone")
    assert "is a link to" in run_cli("scan", lake, folder=root, code=1).stderr


def test_a_preview_of_a_workspace_without_snapshot_does_not_call_all_of_it_new(first_night):
    workspace, lake = first_night
    workspace.layout.snapshot.unlink()
    with pytest.raises(WorkspaceError, match="is missing"):
        workspace.preview(lake)


def test_a_workspace_without_configuration_is_not_looked_for_elsewhere(first_night, run_cli):
    workspace, lake = first_night
    root = workspace.layout.root
    (root.parent / "curator.toml").write_text("")  # a workspace around it
    workspace.layout.config.unlink()
    told = run_cli("scan", lake, folder=root, code=1).stderr
    assert "curator.toml is missing or empty, though" in told and "recover" in told
    with pytest.raises(UsageError, match="has lost its"):
        Workspace.create(root, labels=root / "labels.txt", encoder="mini")
    run_cli("recover", folder=root)
    assert Workspace.open(root).config.encoder.address == "fake"


def test_init_keeps_what_a_folder_has(tmp_path):
    (tmp_path / "labels.txt").write_text("red\ngreen\n")
    (tmp_path / "banks").mkdir()
    (tmp_path / "banks" / "base.toml").write_text("mine")
    with pytest.raises(UsageError, match="with other labels"):
        Workspace.create(tmp_path, labels=["blue"], encoder="fake")
    Workspace.create(tmp_path, labels=tmp_path / "labels.txt", encoder="fake")
    assert (tmp_path / "banks" / "base.toml").read_text() == "mine"


def test_recover_leaves_a_ledger_that_is_in_use_alone(first_night):
    workspace, _ = first_night
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(workspace.layout.ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline()
        with pytest.raises(WorkspaceError, match="cannot open the ledger"):
            recover_workspace(workspace.layout.root)
        other.communicate()
    assert not workspace.layout.aside.exists()
