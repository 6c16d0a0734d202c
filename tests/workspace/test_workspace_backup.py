"""A backup is whole or not there; what is restored is what was; damage is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from curator.errors import BackupError, UsageError, WorkspaceError, WorkspaceLocked
from curator.store import Database
from curator.workspace import Workspace
from curator.workspace.keep.backup_files import MANIFEST, digest_of
from curator.workspace.keep.backups import list_backups
from curator.workspace.lock import hold_lock
from tests import interpreter
from tests.patience import BRAKE_SECONDS

TABLES = ("run", "listing", "source_object", "location", "image", "reject", "vector", "shard", "score", "bank", "label",
          "passed_member", "policy", "selection", "encoder", "near_duplicate")  # fmt: skip

# Backs up and kills itself at the n-th event: a file flushed to disk, or put in its place.
BACK_UP_AND_DIE = """
import os, signal, sys
from pathlib import Path
from curator.workspace import Workspace

events = int(sys.argv[3])

def counted(function):
    def wrapper(*args, **kwargs):
        global events
        events -= 1
        if events == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapper

workspace = Workspace.open(sys.argv[1])
os.fsync, Path.replace, Path.rename = counted(os.fsync), counted(Path.replace), counted(Path.rename)
workspace.backup(sys.argv[2])
print("left", events)
"""


def tables_of(ledger: Path) -> dict[str, list[dict[str, object]]]:
    with Database.open(ledger) as database:
        return {name: database.arrow(f"select * from {name} order by all").to_pylist() for name in TABLES}


def tree_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def once(tmp_path_factory, pictures, make_workspace) -> Path:
    """A scanned workspace whose lake is gone, made once."""
    root = tmp_path_factory.mktemp("backup")
    (root / "lake").mkdir()
    for name, data in [*pictures.items(), ("x-broken.png", b"broken")]:
        (root / "lake" / name).write_bytes(data)
    made = make_workspace(root / "workspace")
    made.scan(root / "lake")
    return made.layout.root


@pytest.fixture
def scanned(once, tmp_path) -> Workspace:
    """A copy of it for each test."""
    shutil.copytree(once, tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace")


def test_what_is_restored_is_what_was_and_the_next_scan_reads_nothing(own_night, pictures, tmp_path):
    scanned, lake = own_night
    before = tables_of(scanned.layout.ledger)
    made = scanned.backup(tmp_path / "backups")
    (lake / "later.png").write_bytes(pictures["red-00.png"] + b"later")
    scanned.scan(lake)
    shutil.rmtree(scanned.layout.vectors(before["encoder"][0]["encoder_id"]))
    (lake / "later.png").unlink()

    restored = Workspace.restore(made.path, tmp_path / "restored")
    assert tables_of(restored.layout.ledger) == before
    assert restored.sql("select count(*) as n from report.scores").to_pylist() == [{"n": 14}]
    assert [item.message for item in restored.doctor(check=True) if item.state == "failed"] == []
    again = restored.scan(lake)
    assert (again.data_read, again.rescored, again.scored) == (0, 0, 14)


def test_second_backup_links_what_never_changes_and_both_stay_whole(own_night, pictures, tmp_path):
    scanned, lake = own_night
    first = scanned.backup(tmp_path / "backups")
    (lake / "later.png").write_bytes(pictures["red-00.png"] + b"later")
    scanned.scan(lake)
    second = scanned.backup(tmp_path / "backups")
    assert (first.linked, second.linked) == (0, 5)  # two vector files and the three files of the bank
    assert second.files == first.files + 1 and second.copied_bytes < second.byte_size
    vectors = [path.stat() for path in Path(second.path).rglob("*.safetensors") if path.parts[-3] == "vectors"]
    assert sorted(found.st_nlink for found in vectors) == [1, 2, 2]
    for made, images in ((first, 14), (second, 15)):
        restored = Workspace.restore(made.path, tmp_path / f"restored-{images}")
        assert len(tables_of(restored.layout.ledger)["image"]) == images
    newest = Workspace.restore(tmp_path / "backups", tmp_path / "newest")
    assert len(tables_of(newest.layout.ledger)["image"]) == 15


def test_backup_does_not_link_what_was_damaged_in_the_one_before(scanned, tmp_path):
    first = scanned.backup(tmp_path / "backups")
    (damaged,) = Path(first.path).glob("vectors/*/*")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    Workspace.restore(scanned.backup(tmp_path / "backups").path, tmp_path / "restored")


def test_only_the_newest_are_kept(scanned, tmp_path):
    made = [scanned.backup(tmp_path / "backups", keep=2) for _ in range(4)]
    assert [str(path) for path in list_backups(tmp_path / "backups")] == [item.path for item in made[-2:]]
    assert sum(len(item.removed) for item in made) == 2


@pytest.mark.slow
def test_killed_at_any_point_a_backup_leaves_the_ones_before_and_none_of_its_own(scanned, tmp_path):
    destination = tmp_path / "backups"
    whole = Path(scanned.backup(destination).path)
    content = tree_of(whole)
    command = [*interpreter.command(), "-c", BACK_UP_AND_DIE, str(scanned.layout.root), str(destination)]
    done = subprocess.run([*command, "10000"], capture_output=True, text=True, timeout=BRAKE_SECONDS, check=True)
    shutil.rmtree(list_backups(destination)[-1])
    events = 10_000 - int(done.stdout.split()[-1])
    for event in (events // 2, events - 1):
        died = subprocess.run([*command, str(event)], capture_output=True, timeout=BRAKE_SECONDS)
        assert died.returncode == -signal.SIGKILL
        assert list_backups(destination) == [whole], f"killed at {event} of {events}"
        assert tree_of(whole) == content
    (half,) = destination.glob(".making-*")
    if not (half / MANIFEST).is_file():
        with pytest.raises(BackupError, match="not a whole backup"):
            Workspace.restore(half, tmp_path / "restored")
    scanned.backup(destination)
    assert list(destination.glob(".making-*")) == []
    assert [result.name for result in scanned.check() if not result.healthy] == []


@pytest.mark.parametrize("harm", ["truncated", "changed", "missing", "manifest missing", "manifest changed", "climbs"])
def test_damaged_backup_is_refused_and_leaves_no_folder(harm, scanned, tmp_path):
    backup = Path(scanned.backup(tmp_path / "backups").path)
    manifest = backup / MANIFEST
    (victim,) = backup.glob("vectors/*/*.safetensors")
    data = victim.read_bytes()
    if harm == "truncated":
        victim.write_bytes(data[:-10])
    elif harm == "changed":
        victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "missing":
        victim.unlink()
    elif harm == "manifest missing":
        manifest.unlink()
    elif harm == "manifest changed":
        manifest.write_text(manifest.read_text().replace(victim.name, "0" * 32 + ".safetensors"))
    else:
        document = json.loads(manifest.read_text())
        document["files"]["../escaped"] = document["files"]["labels.txt"]
        manifest.write_text(json.dumps(document | {"sha256": digest_of(document["files"])}))
    with pytest.raises(BackupError) as caught:
        Workspace.restore(backup, tmp_path / "restored")
    assert str(backup) in caught.value.message and "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backups", "workspace"]


def test_existing_folder_is_never_overwritten(scanned, tmp_path):
    made = scanned.backup(tmp_path / "backups")
    before = tree_of(scanned.layout.root)
    with pytest.raises(UsageError, match="is there already"):
        Workspace.restore(made.path, scanned.layout.root)
    assert tree_of(scanned.layout.root) == before
    (tmp_path / "empty").mkdir()
    assert Workspace.restore(made.path, tmp_path / "empty").layout.ledger.is_file()


def test_backup_belongs_outside_and_waits_for_no_run(scanned, tmp_path):
    with pytest.raises(UsageError, match="lies in the workspace"):
        scanned.backup(scanned.layout.root / "backups")
    with hold_lock(scanned.layout.lock, command="scan", run_id="other"), pytest.raises(WorkspaceLocked):
        scanned.backup(tmp_path / "backups")
    assert not (tmp_path / "backups").exists()


def test_workspace_that_lost_a_vector_file_is_not_backed_up_as_if_it_were_whole(scanned, tmp_path):
    (victim,) = scanned.layout.root.glob("vectors/*/*.safetensors")
    victim.unlink()
    with pytest.raises(BackupError, match="is missing"):
        scanned.backup(tmp_path / "backups")
    assert list_backups(tmp_path / "backups") == []


def test_what_a_killed_run_left_in_the_log_of_the_database_is_in_the_backup(scanned, tmp_path):
    code = (
        "import os, sys, duckdb; c = duckdb.connect(sys.argv[1]); "
        'c.execute("pragma disable_checkpoint_on_shutdown; delete from reject"); os._exit(0)'
    )
    subprocess.run([sys.executable, "-c", code, str(scanned.layout.ledger)], check=True, timeout=BRAKE_SECONDS)
    assert Path(f"{scanned.layout.ledger}.wal").is_file()
    restored = Workspace.restore(scanned.backup(tmp_path / "backups").path, tmp_path / "restored")
    assert tables_of(restored.layout.ledger)["reject"] == []


def test_disk_that_refuses_is_one_line(scanned, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BackupError, match="file") as caught:
        scanned.backup(tmp_path / "file" / "backups")
    assert "\n" not in str(caught.value)


def test_commands(scanned, tmp_path, run_cli):
    said = run_cli("backup", tmp_path / "backups", "--keep", "3", folder=scanned.layout.root).stdout
    assert "0 linked from the backup before" in said
    assert json.loads(run_cli("backup", tmp_path / "backups", "--json", folder=scanned.layout.root).stdout)["linked"]
    assert "is as it was backed up" in run_cli("restore", tmp_path / "backups", tmp_path / "restored").stdout
    assert os.access(tmp_path / "restored" / "labels.txt", os.R_OK)


def test_a_url_is_no_place_for_a_backup_and_it_says_why(workspace, run_cli, tmp_path):
    """Nothing is made under a name like `s3:` either."""
    root = workspace.layout.root
    for result in (
        run_cli("backup", "s3://bucket/backups", folder=root, code=1),
        run_cli("restore", "s3://bucket/backups", tmp_path / "restored", code=1),
    ):
        assert "s3://bucket/backups: a backup is a folder on this machine" in result.stderr
        assert "object storage" in result.stderr and result.stderr.count("\n") == 1
    result = run_cli("restore", tmp_path, "s3://bucket/workspace", code=1)
    assert "s3://bucket/workspace: a workspace is a folder on this machine" in result.stderr
    assert not Path("s3:").exists() and sorted(path.name for path in tmp_path.iterdir()) == ["workspace"]
    for made in (lambda: workspace.backup("s3://bucket"), lambda: Workspace.restore("s3://bucket", tmp_path / "new")):
        with pytest.raises(WorkspaceError, match="on this machine"):
            made()


def test_restore_of_a_folder_that_is_not_there_is_refused(run_cli, tmp_path):
    result = run_cli("restore", tmp_path / "nothing", tmp_path / "new", code=1)
    assert "not a whole backup" in result.stderr and list(tmp_path.iterdir()) == []


def flip(path: Path) -> None:
    """One bit near the end; as a new file, for the old one may have other names."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def vector_of(root: Path) -> Path:
    (path,) = root.glob("vectors/*/*.safetensors")
    return path


def test_what_lies_on_another_disk_behind_links_is_in_the_backup_and_in_what_is_restored(scanned, tmp_path):
    root = scanned.layout.root
    files = tree_of(root)
    (tmp_path / "disk").mkdir()
    for name in ("vectors", "banks/base", "labels.txt"):
        target = tmp_path / "disk" / name.replace("/", "-")
        shutil.move(root / name, target)
        (root / name).symlink_to(target)
    first = scanned.backup(tmp_path / "backups")
    assert first.files == len([name for name in files if name.split("/")[0] not in (".lock", "cache", "published")])
    assert scanned.backup(tmp_path / "backups").linked == 4
    restored = Workspace.restore(first.path, tmp_path / "restored")
    assert not (restored.layout.root / "vectors").is_symlink()
    kept = tree_of(restored.layout.root)
    parts = [name for name in files if name.startswith(("vectors", "banks", "labels"))]
    assert [name for name in parts if kept[name] != files[name]] == []
    assert [item.message for item in restored.doctor(check=True) if item.state == "failed"] == []


@pytest.mark.parametrize("link", ["leads nowhere", "in a circle", "to the backups", "a file that leads nowhere"])
def test_a_link_that_cannot_be_followed_is_refused_in_one_line(link, scanned, tmp_path):
    (tmp_path / "backups").mkdir()
    root = scanned.layout.root
    targets = {"in a circle": root, "to the backups": tmp_path / "backups"}
    place = root / ("queries.sql" if "file" in link else "more")
    place.symlink_to(targets.get(link, tmp_path / "not there"))
    with pytest.raises(BackupError, match=f"{place.name} is a link to") as caught:
        scanned.backup(tmp_path / "backups")
    assert "\n" not in str(caught.value) and caught.value.hint
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [".lock"]


def test_an_export_of_links_is_left_out_and_one_of_files_is_backed_up(own_night, tmp_path):
    workspace, lake = own_night
    for kind in ("symlinks", "files"):
        workspace.export("kept", to=workspace.layout.exports / kind, format=kind)
    next(lake.rglob("*.png")).unlink()
    made = Path(workspace.backup(tmp_path / "backups").path)
    assert not (made / "exports" / "symlinks").exists()
    assert (made / "exports" / "files" / "kept.txt").is_file()


def test_rot_in_a_backup_does_not_pass_into_the_next_one_and_is_said(scanned, tmp_path, run_cli):
    destination, root = tmp_path / "backups", scanned.layout.root
    first = scanned.backup(destination)
    flip(vector_of(Path(first.path)))
    said = run_cli("backup", destination, folder=root).stdout
    name = vector_of(root).relative_to(root).as_posix()
    assert f"damaged in the backup before, copied afresh: {name}" in said
    second = list_backups(destination)[-1]
    assert vector_of(second).read_bytes() == vector_of(root).read_bytes()
    third = json.loads(run_cli("backup", destination, "--json", folder=root).stdout)
    assert (third["renewed"], third["linked"]) == ([], 4)
    Workspace.restore(third["path"], tmp_path / "restored")


@pytest.mark.parametrize("victim", ["vectors/*/*.safetensors", "banks/base/*/vectors.safetensors"])
def test_a_workspace_with_rot_pushes_no_good_backup_out(victim, scanned, tmp_path, run_cli):
    destination, root = tmp_path / "backups", scanned.layout.root
    first = Path(scanned.backup(destination).path)
    flip(next(root.glob(victim)))
    told = run_cli("backup", destination, "--keep", "1", folder=root, code=1).stderr
    assert "doctor --check" in told and told.count("\n") == 1
    assert list_backups(destination) == [first]


def test_what_is_lost_for_good_is_left_out_only_by_a_word_and_stays_named(scanned, tmp_path, run_cli):
    root, destination = scanned.layout.root, tmp_path / "backups"
    name = vector_of(root).relative_to(root).as_posix()
    vector_of(root).unlink()
    run_cli("backup", destination, folder=root, code=1)
    said = run_cli("backup", destination, "--without-lost", folder=root).stdout
    assert f"lost in the workspace, so not whole here: {name}" in said
    assert f"lost: {name}" in run_cli("backup", destination, "--verify", code=1).stdout
    assert "the backup lacks 1 files" in run_cli("restore", destination, tmp_path / "restored").stderr


def test_verify_names_each_damaged_missing_and_extra_file(scanned, tmp_path, run_cli):
    destination = tmp_path / "backups"
    backups = [Path(scanned.backup(destination).path) for _ in range(2)]
    assert run_cli("backup", destination, "--verify").stdout.count(", whole\n") == 2
    flip(backups[0] / "ledger.duckdb")
    (backups[0] / "labels.txt").unlink()
    (backups[0] / "more.txt").write_text("from somewhere")
    said = run_cli("backup", destination, "--verify", code=1).stdout
    for line in ("damaged: ledger.duckdb", "missing: labels.txt", "extra: more.txt"):
        assert said.count(line) == 1
    assert said.count("NOT WHOLE") == 1
    found = json.loads(run_cli("backup", backups[0], "--verify", "--json", code=1).stdout)
    assert [(item["damaged"], item["missing"], item["extra"], item["whole"]) for item in found] == [
        (["ledger.duckdb"], ["labels.txt"], ["more.txt"], False)
    ]
    (backups[1] / MANIFEST).write_text("{")
    assert "cannot be read" in run_cli("backup", backups[1], "--verify", code=1).stdout
    assert "there is no backup" in run_cli("backup", tmp_path / "workspace", "--verify", code=1).stderr
    assert "makes no backup" in run_cli("backup", destination, "--verify", "--keep", "1", code=2).stderr


def test_a_backup_that_an_earlier_release_made_without_the_vectors_is_not_called_whole(scanned, tmp_path, run_cli):
    backup = Path(scanned.backup(tmp_path / "backups").path)
    document = json.loads((backup / MANIFEST).read_text())
    (name,) = [name for name in document["files"] if name.startswith("vectors/")]
    (backup / name).unlink()
    del document["files"][name]
    document["sha256"] = digest_of(document["files"])
    (backup / MANIFEST).write_text(json.dumps(document))
    assert f"lost: {name}" in run_cli("backup", backup, "--verify", code=1).stdout
    assert (
        f"lacks 1 files that its ledger refers to, first {name}"
        in run_cli("restore", backup, tmp_path / "restored").stderr
    )


@pytest.fixture
def neighbour(make_workspace, pictures, tmp_path) -> Workspace:
    """Another workspace, of one image."""
    (tmp_path / "its lake").mkdir()
    (tmp_path / "its lake" / "one.png").write_bytes(pictures["red-00.png"])
    made = make_workspace(tmp_path / "neighbour")
    made.scan(tmp_path / "its lake")
    return made


def as_before_backups_told_whose_they_are(backup: Path) -> None:
    document = json.loads((backup / MANIFEST).read_text())
    for key in ("workspace", "number", "root"):
        del document[key]
    (backup / MANIFEST).write_text(json.dumps(document))


@pytest.mark.parametrize("earlier", [False, True], ids=["of this release", "of an earlier one"])
def test_workspaces_that_share_a_folder_of_backups_remove_their_own_only(
    earlier, scanned, neighbour, tmp_path, run_cli, caplog
):
    destination = tmp_path / "backups"
    theirs = [Path(neighbour.backup(destination).path) for _ in range(2)]
    ours = [Path(scanned.backup(destination).path) for _ in range(2)]
    for backup in (*theirs, *ours) if earlier else ():
        as_before_backups_told_whose_they_are(backup)
    made = scanned.backup(destination, keep=1)
    assert made.removed == tuple(backup.name for backup in ours) and made.linked
    assert {path.name for path in list_backups(destination)} == {Path(made.path).name, *(path.name for path in theirs)}
    told = run_cli("restore", destination, tmp_path / "restored", code=1).stderr
    assert "more than one workspace" in told and told.count("\n") == 1
    assert f"{made.path} of {scanned.layout.root}" in told and str(theirs[1]) in told
    assert not (tmp_path / "restored").exists()
    restored = Workspace.restore(theirs[1], tmp_path / "restored")
    assert restored.backup(destination, keep=2).removed == (theirs[0].name,), "a restored workspace is the same one"
    assert not caplog.messages


def test_a_backup_of_nobody_is_not_removed(scanned, make_workspace, tmp_path, caplog):
    """One of a workspace in which nothing was run yet, and one whose manifest cannot be read."""
    destination = tmp_path / "backups"
    new = Path(make_workspace(tmp_path / "new").backup(destination).path)
    assert Workspace.restore(destination, tmp_path / "begun").layout.labels.is_file()
    first = Path(scanned.backup(destination).path)
    assert Workspace.restore(destination, tmp_path / "restored").layout.ledger.is_file()
    (first / MANIFEST).write_text("{")
    assert scanned.backup(destination, keep=1).removed == ()
    assert {new, first} < set(list_backups(destination))
    assert f"{first / MANIFEST} cannot be read" in caplog.text and "neither counted nor removed" in caplog.text
    with pytest.raises(BackupError, match="cannot be read"):  # nothing older in its place, without a word
        Workspace.restore(destination, tmp_path / "again")


@pytest.mark.parametrize("earlier", [False, True], ids=["of this release", "of an earlier one"])
def test_a_clock_that_was_set_back_costs_no_new_backup(earlier, scanned, tmp_path, caplog):
    destination = tmp_path / "backups"
    wrong = Path(scanned.backup(destination).path).rename(destination / "29990131T020000-abcdef")
    if earlier:
        as_before_backups_told_whose_they_are(wrong)
    second = scanned.backup(destination)
    assert f"{wrong} is dated in the future" in caplog.text
    assert [str(path) for path in list_backups(destination)] == [str(wrong), second.path]
    third = scanned.backup(destination, keep=1)
    assert third.removed == (wrong.name, Path(second.path).name)
    assert [str(path) for path in list_backups(destination)] == [third.path]
