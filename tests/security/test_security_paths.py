"""Names that become paths stay inside their folder, and files get the permissions of the user who runs curator."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from curator.durable import durable, write_durably
from curator.errors import CuratorError, UsageError
from curator.workspace.create import GITIGNORE_TEXT
from curator.workspace.layout import Layout, slug
from curator.workspace.session import temporary_files, writing
from tests import interpreter

NO_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "../../x",
    "/etc/x",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\n",
    "~",
    ".a",
    "a b",
    "x" * 65,
    "ä",
]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_of_a_bank_becomes_no_path(tmp_path, name):
    layout = Layout(tmp_path)
    for place in (layout.bank_spec, layout.bank_versions):
        with pytest.raises(UsageError, match="no name of a bank") as caught:
            place(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../../stolen", "/tmp/stolen", "a/b", "..", "a\nb"])
@pytest.mark.parametrize(
    "command",
    [
        ["bank", "build", "{}"],
        ["bank", "deps", "{}"],
        ["bank", "show", "{}"],
        ["bank", "audit", "{}"],
        ["bank", "diff", "base", "{}"],
        ["bank", "eoe", "{}"],
        ["bank", "eoe", "new", "--parent", "{}"],
        ["score", "--bank", "{}"],
    ],
    ids=lambda command: " ".join(command),
)
def test_no_command_leaves_the_workspace_by_a_name(attacked, run_cli, command, name):
    folder = attacked.layout.root.parent
    before = sorted(path for path in folder.rglob("*") if attacked.layout.root not in path.parents)
    run_cli(*(word.format(name) for word in command), folder=attacked.layout.root, code=None)
    assert sorted(path for path in folder.rglob("*") if attacked.layout.root not in path.parents) == before
    assert sorted(path.name for path in attacked.layout.bank_spec("base").parent.glob("*.toml")) == ["base.toml"]


def test_a_spec_cannot_take_another_name_than_a_name(attacked, run_cli):
    spec = attacked.layout.bank_spec("evil")
    spec.write_text('name = "../../stolen"\n[id]\nlabels = "labels.txt"\n')
    try:
        assert "name must be" in run_cli("bank", "build", "evil", folder=attacked.layout.root, code=2).output
    finally:
        spec.unlink()


@pytest.mark.parametrize("text", ["../../x", "..", "/etc/passwd", "a/../b", "\0", "", "open_clip:local-dir:/a/b@1"])
def test_addresses_become_one_part_of_a_path(tmp_path, text):
    made = slug(text)
    assert made and "/" not in made and made not in (".", "..") and (tmp_path / made).parent == tmp_path


SCAN = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[1], 8))
sys.path.insert(0, sys.argv[3])
from conftest import small_workspace
made = small_workspace(Path(sys.argv[2]) / "workspace")
made.scan(sys.argv[4])
made.build_indexes()
"""


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o077, 0o002])
def test_every_file_of_a_workspace_honours_the_umask(tmp_path, attacked, umask):
    lake = attacked.layout.root.parent / "lake"
    command = [*interpreter.command(), "-c", SCAN, f"{umask:o}", str(tmp_path), str(Path(__file__).parent), str(lake)]
    subprocess.run(command, check=True, capture_output=True)
    paths = list((tmp_path / "workspace").rglob("*"))
    kinds = {path.suffix for path in paths}
    assert {".duckdb", ".safetensors", ".toml", ".parquet", ".json"} <= kinds
    for path in paths:
        full = 0o777 if path.is_dir() else 0o644 if path.name == ".lock" else 0o666
        assert stat.S_IMODE(path.stat().st_mode) == full & ~umask, path


def test_a_durable_file_honours_the_umask_and_replaces_a_link_instead_of_following_it(tmp_path):
    (tmp_path / "elsewhere").write_text("as it was")
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    before = os.umask(0o027)
    try:
        write_durably(tmp_path / "file", b"new")
        with durable(tmp_path / "other") as temporary:
            temporary.write_bytes(b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "elsewhere").read_text() == "as it was" and not (tmp_path / "file").is_symlink()
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "other")} == {0o640}


def test_temporary_files_of_a_run_are_in_the_workspace(attacked):
    before = tempfile.gettempdir()
    with writing(attacked._context, "test", {}):
        assert tempfile.gettempdir() == str(attacked.layout.temporary)
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
            assert str(attacked.layout.temporary) in str(Path(f"/proc/self/fd/{file.fileno()}").readlink())
            assert list(attacked.layout.temporary.iterdir()) == []  # it has no name, so nothing can be left of it
    assert tempfile.gettempdir() == before and not attacked.layout.temporary.exists()
    assert f"{attacked.layout.temporary.name}/" in GITIGNORE_TEXT.splitlines()


def test_what_others_left_in_the_folder_stays(tmp_path):
    with pytest.raises(CuratorError), temporary_files(tmp_path / "tmp"):
        (tmp_path / "tmp" / "of-a-package").touch()
        raise CuratorError("the run failed")
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["of-a-package"]
    assert tempfile.gettempdir() != str(tmp_path / "tmp")
