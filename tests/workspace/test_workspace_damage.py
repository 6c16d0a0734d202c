"""Every kind of damage to a workspace: `doctor --check` names it, and what it says to do, pasted as it stands, helps.

Each part of a workspace is absent, empty, cut short, changed, linked to nowhere, another workspace's, or of a newer
release. The default run has one or two of each part; the others are among the slow tests.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from curator.banks.storage import checksum
from curator.store import Database
from curator.vectors import read_shard, write_shard
from curator.workspace import Workspace
from curator.workspace.keep.backup import make_backup
from tests.conftest import make_lake

NEWER = "insert into schema_migration select max(number) + 1, 'later', 'x', now()::timestamp from schema_migration"


@dataclass(frozen=True, slots=True)
class Scene:
    """A workspace that is to be damaged, another one, and a backup."""

    root: Path
    other: Path
    backup: Path


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-len(data) // 3] ^= 0x10
    path.write_bytes(bytes(data))


def change_end(path: Path) -> None:
    """A byte behind the head of a file, however long that is."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x10
    path.write_bytes(bytes(data))


def garble(path: Path) -> None:
    """Blocks in the middle, whichever of them is in use."""
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : -1000] = bytes(value ^ 0x55 for value in data[len(data) // 4 : -1000])
    path.write_bytes(bytes(data))


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def unlink_to(path: Path) -> None:
    """A link that leads nowhere, such as to a disk that is not mounted."""
    remove(path)
    path.symlink_to("/nowhere/at/all")


def to_nothing(path: Path) -> None:
    remove(path)
    path.mkdir()


def newer(path: Path) -> None:
    with Database.open(path) as database:
        database.execute(NEWER)


def ledger(root: Path) -> Path:
    return root / "ledger.duckdb"


def snapshot(root: Path) -> Path:
    return root / "published" / "curator.duckdb"


def part(*names: str) -> Callable[[Path], Path]:
    return lambda root: root.joinpath(*names)


def first(pattern: str) -> Callable[[Path], Path]:
    return lambda root: min(root.glob(pattern))


vector_file, bank = first("vectors/*/*.safetensors"), first("banks/base/*")


def harm(find: Callable[[Path], Path], do: Callable[[Path], None]) -> Callable[[Scene], None]:
    return lambda scene: do(find(scene.root))


def swap(find: Callable[[Path], Path]) -> Callable[[Scene], None]:
    def exchange(scene: Scene) -> None:
        shutil.copyfile(find(scene.other), find(scene.root))

    return exchange


def log_without_ledger(scene: Scene) -> None:
    ledger(scene.root).rename(scene.root / "ledger.duckdb.wal")


def older_ledger(scene: Scene) -> None:
    data = ledger(scene.root).read_bytes()
    Workspace.open(scene.root).publish()
    ledger(scene.root).write_bytes(data)


def no_database_at_all(scene: Scene) -> None:
    ledger(scene.root).unlink()
    snapshot(scene.root).unlink()


def vectors_of_other_images(scene: Scene) -> None:
    path = vector_file(scene.root)
    shard = read_shard(path)
    strangers = [f"{number:032x}" for number in range(len(shard.image_ids))]
    path.unlink()
    write_shard(path, strangers, shard.vectors, encoder_id=shard.encoder_id)


def another_version_of_the_bank(scene: Scene) -> None:
    shutil.rmtree(bank(scene.root))
    digest = bank(Path(scene.other))
    shutil.copytree(digest, scene.root / "banks" / "base" / ("0" * 32))
    (scene.root / "banks" / "base" / ("0" * 32)).rename(scene.root / "banks" / "base" / digest_in(scene.root))


def digest_in(root: Path) -> str:
    with Database.open_reader(snapshot(root)) as database:
        return str(database.rows("list_banks")[0]["bank_digest"])


def bank_of_a_newer_release(scene: Scene) -> None:
    path = bank(scene.root) / "bank.json"
    facts = {**json.loads(path.read_text()), "format": 99}
    del facts["checksum"]
    path.write_text(json.dumps({**facts, "checksum": checksum(facts)}))


def raw(data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


LABELS, CONFIG, SPEC = part("labels.txt"), part("curator.toml"), part("banks", "base.toml")
INDEX, TEXTS = first("index/*/*/index.faiss"), first("cache/text/*/*.safetensors")
# What happens, and what doctor must say of it.
DAMAGES: dict[str, tuple[Callable[[Scene], None], str]] = {
    "ledger absent": (harm(ledger, remove), "ledger.duckdb is missing"),
    "vector file changed": (harm(vector_file, change_end), "checksum does not match"),
    "bank version absent": (harm(bank, remove), "there is no bank in"),
}
SLOW_DAMAGES: dict[str, tuple[Callable[[Scene], None], str]] = {
    "ledger garbled": (harm(ledger, garble), "ledger.duckdb is damaged"),
    "ledger older": (older_ledger, "ledger.duckdb lacks 1 runs"),
    "configuration absent": (harm(CONFIG, remove), "curator.toml is missing"),
    "ledger newer": (harm(ledger, newer), "the ledger has schema"),
    "snapshot absent": (harm(snapshot, remove), "curator.duckdb is missing"),
    "vectors linked to nowhere": (harm(part("vectors"), unlink_to), "is a link to /nowhere/at/all"),
    "vector file of other images": (vectors_of_other_images, "holds other images than the ledger says"),
    "another bank version": (another_version_of_the_bank, "holds another version"),
    "labels absent": (harm(LABELS, remove), "cannot read the labels"),
    "bank spec cut": (harm(SPEC, cut), "base.toml"),
    "index cut": (harm(INDEX, cut), "the index file is missing or damaged"),
    "text cache changed": (harm(TEXTS, cut), "is damaged"),
    "ledger empty": (harm(ledger, empty), "ledger.duckdb is empty"),
    "ledger cut": (harm(ledger, cut), "ledger.duckdb"),
    "ledger linked to nowhere": (harm(ledger, unlink_to), "is a link to /nowhere/at/all"),
    "ledger of another workspace": (swap(ledger), "lacks 1 runs"),
    "log without ledger": (log_without_ledger, "ledger.duckdb is missing"),
    "ledger and snapshot absent": (no_database_at_all, "ledger.duckdb is missing"),
    "snapshot empty": (harm(snapshot, empty), "curator.duckdb"),
    "snapshot cut": (harm(snapshot, cut), "curator.duckdb"),
    "snapshot garbled": (harm(snapshot, garble), "curator.duckdb is damaged"),
    "snapshot newer": (harm(snapshot, newer), "is of another release"),
    "snapshot of another workspace": (swap(snapshot), "the snapshot is another workspace's"),
    "published linked to nowhere": (harm(part("published"), unlink_to), "is a link to /nowhere/at/all"),
    "vectors absent": (harm(part("vectors"), remove), "2 of 2 vector files are missing"),
    "vectors empty": (harm(part("vectors"), to_nothing), "2 of 2 vector files are missing"),
    "vectors of one encoder absent": (harm(first("vectors/*"), remove), "2 of 2 vector files are missing"),
    "vector file absent": (harm(vector_file, remove), "1 of 2 vector files are missing"),
    "vector file empty": (harm(vector_file, empty), "is damaged"),
    "vector file cut": (harm(vector_file, cut), "is damaged"),
    "vector file linked to nowhere": (harm(vector_file, unlink_to), "is missing"),
    "banks linked to nowhere": (harm(part("banks", "base"), unlink_to), "is a link to /nowhere/at/all"),
    "bank version empty": (harm(bank, to_nothing), "there is no bank in"),
    "bank version linked to nowhere": (harm(bank, unlink_to), "there is no bank in"),
    "bank labels changed": (harm(first("banks/base/*/labels.parquet"), change), "was changed after it was written"),
    "bank vectors cut": (harm(first("banks/base/*/vectors.safetensors"), cut), "was changed after it was written"),
    "bank facts empty": (harm(first("banks/base/*/bank.json"), empty), "is not JSON"),
    "bank of a newer release": (bank_of_a_newer_release, "has format 99"),
    "configuration empty": (harm(CONFIG, empty), "curator.toml is missing or empty"),
    "configuration cut": (harm(CONFIG, raw(b"[encoder\naddress =")), "curator.toml: cannot be read"),
    "labels empty": (harm(LABELS, empty), "holds no labels"),
    "labels not text": (harm(LABELS, raw(b"red\n\xff\xfe\n")), "is not UTF-8 text"),
    "bank spec absent": (harm(SPEC, remove), "cannot read the bank spec"),
    "bank spec empty": (harm(SPEC, empty), "the key 'name' is missing"),
    "index manifest empty": (harm(first("index/*/*/manifest.json"), empty), "no manifest"),
    "lock is a folder": (harm(part(".lock"), to_nothing), "is no file"),
}


@pytest.fixture(scope="session")
def whole(tmp_path_factory, pictures, make_workspace) -> Scene:
    """Workspace, index and all; another one that scanned the same lake; and a backup."""
    folder = tmp_path_factory.mktemp("damage")
    lake = make_lake(folder / "lake", pictures)
    made = make_workspace(folder / "workspace")
    made.scan(lake)
    made.build_indexes()
    other = make_workspace(folder / "other")
    other.layout.labels.write_text("red\nblue\n")
    other.scan(lake / "red-00.png")
    backup = make_backup(made._context, folder / "backups")
    return Scene(made.layout.root, other.layout.root, Path(backup.path))


def commands_in(told: str) -> list[str]:
    """The remedies in a line: what stands in backquotes after it said what is wrong."""
    return re.findall(r"`([^`]+)`", told)


def follow(scene: Scene, command: str, run_cli, tmp_path: Path) -> Path:
    """Do what it says; returns where the workspace is then."""
    if not command.startswith("curator "):
        subprocess.run(command, shell=True, check=True, cwd=scene.root)
        return scene.root
    words = shlex.split(command)[1:]
    if words == ["restore", "BACKUP", "FOLDER"]:
        words[1:] = [str(scene.backup), str(tmp_path / "restored")]
        run_cli(*words)
        return tmp_path / "restored"
    where = words[1] if words[0] == "-w" else None
    run_cli(*words, folder=None if where else scene.root)
    return scene.root


def complaints(root: Path, run_cli) -> list[str]:
    """What `doctor --check` is not content with: its lines, or the one line of a workspace that cannot be opened."""
    ended = run_cli("doctor", "--check", folder=root, code=None)
    lines = [line for line in ended.output.splitlines() if line.startswith(("failed", "warning", "curator:"))]
    assert ended.exit_code == 0 or lines, ended.output
    return lines


@pytest.mark.parametrize("name", [*DAMAGES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_DAMAGES)])
def test_doctor_names_the_damage_and_what_it_says_to_do_helps(name, whole, tmp_path, run_cli):
    scene = Scene(shutil.copytree(whole.root, tmp_path / "workspace"), whole.other, whole.backup)
    do, wanted = (DAMAGES | SLOW_DAMAGES)[name]
    assert complaints(scene.root, run_cli) == [] if name == "ledger absent" else True  # to begin with
    do(scene)
    told = complaints(scene.root, run_cli)
    assert any(wanted in line for line in told), told
    assert not any("Traceback" in line for line in told)
    for _ in range(3):  # one damage may hide another: a link that was removed, what it led to
        remedies = [command for line in told for command in commands_in(line)[:1]]
        assert remedies, told
        scene = Scene(follow(scene, remedies[0], run_cli, tmp_path), scene.other, scene.backup)
        if not (told := complaints(scene.root, run_cli)):
            return
    raise AssertionError(told)
