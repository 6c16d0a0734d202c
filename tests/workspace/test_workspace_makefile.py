"""The Makefile that `curator init` writes, run by a real make: exactly what changed is built again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from curator.workspace import Workspace
from curator.workspace.lock import hold_lock

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on this machine")

TARGETS = ["help", "banks", "scan", "check"]
SMALL_BANK = """\
name = "base"
id.labels = "labels.txt"
negatives.wordnet.include = ["noun.shape"]
"""
ODD_NAME = "my 100% #1 $HOME a:b.txt"
SPEC = """\
name = "{name}"
[id]
labels = {labels}
[mining]
limit = 0
"""


@pytest.fixture
def root(workspace):
    """Three banks: `base` and `odd` read a file, `inline` reads none."""
    folder = workspace.layout.root
    (folder / ODD_NAME).write_text("red\ngreen\n")
    for name, labels in (("base", '"labels.txt"'), ("odd", f'"{ODD_NAME}"'), ("inline", '["red", "green"]')):
        workspace.layout.bank_spec(name).write_text(SPEC.format(name=name, labels=labels))
    return folder


def keep_only(root, *names):
    for path in (root / "banks").glob("*.toml"):
        if path.stem not in names:
            path.unlink()


def run_make(root, *arguments, code=0):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", f"CURATOR={sys.executable} -m curator", *arguments]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stdout + result.stderr
    return result


def built(result):
    """Names of the banks that make had built, in its order."""
    return re.findall(r"bank build (\S+) --wait", result.stdout)


def change(path, text=None):
    """Write the file anew, so that it is newer than all stamps."""
    path.write_text(path.read_text() if text is None else text)


def test_only_what_changed_is_built_again(root):
    assert sorted(built(run_make(root, "-j4", "banks"))) == ["base", "inline", "odd"]
    assert "Nothing to be done" in run_make(root, "-j4", "banks").stdout

    change(root / "banks" / "inline.toml")
    assert built(run_make(root, "banks")) == ["inline"]
    change(root / "labels.txt")
    assert built(run_make(root, "banks")) == ["base"]
    change(root / ODD_NAME)
    assert built(run_make(root, "banks")) == ["odd"]

    versions = next((root / "banks" / "base").iterdir())
    shutil.rmtree(versions)
    (root / "banks" / ".stamps" / "base.built").unlink()
    assert built(run_make(root, "banks")) == ["base"]
    assert (versions / "bank.json").is_file()
    assert "Nothing to be done" in run_make(root, "banks").stdout


@pytest.mark.slow
def test_a_new_input_of_a_spec_counts_at_once_and_a_missing_one_is_told_by_the_build(root):
    keep_only(root, "inline")
    run_make(root, "banks")
    (root / "more.txt").write_text("red\ngreen\nblue\n")
    change(root / "banks" / "inline.toml", SPEC.format(name="inline", labels='"more.txt"'))
    assert built(run_make(root, "banks")) == ["inline"]
    change(root / "more.txt")
    assert built(run_make(root, "banks")) == ["inline"]

    (root / "more.txt").unlink()
    failed = run_make(root, "banks", code=2)
    assert "cannot read the labels" in failed.stderr
    assert built(failed) == ["inline"]


def test_another_encoder_builds_every_bank_and_another_option_none(root):
    keep_only(root, "base")
    run_make(root, "banks")
    config = root / "curator.toml"
    change(config, config.read_text().replace("min_cosine = 0.98", "min_cosine = 0.97"))
    assert built(run_make(root, "banks")) == []
    change(config, config.read_text().replace('"fake"', '"fake:24"'))
    assert built(run_make(root, "banks")) == ["base"]
    assert built(run_make(root, "banks")) == []


@pytest.mark.slow
def test_a_bank_is_built_after_the_bank_it_takes_labels_from(root):
    keep_only(root, "base")
    negatives = '[negatives.wordnet]\ninclude = ["noun.motive"]\n'
    (root / "banks" / "base.toml").write_text(f'name = "base"\nid.labels = "labels.txt"\n{negatives}')
    taken = '[[negatives.banks]]\nbank = "base"\nmine = false\n'
    (root / "banks" / "aaa.toml").write_text(f'name = "aaa"\nid.labels = ["red"]\n{taken}')
    assert built(run_make(root, "-j4", "banks")) == ["base", "aaa"]
    change(root / "banks" / "base.toml")
    assert built(run_make(root, "-j4", "banks")) == ["base", "aaa"]
    change(root / "banks" / "aaa.toml")
    assert "bank build aaa" in (plan := run_make(root, "-n", "banks").stdout) and "bank build base" not in plan


@pytest.mark.slow
def test_a_bank_that_learns_is_made_after_its_parent(root, lake, workspace):
    keep_only(root, "base")
    (root / "banks" / "base.toml").write_text(SMALL_BANK)
    workspace.scan(lake)
    (root / "banks" / "aaa.toml").write_text('name = "aaa"\nparent = "base"\n[tanl]\nnegatives = 3\n')
    assert built(run_make(root, "-j4", "banks")) == ["base", "aaa"]
    assert workspace.show_bank("aaa")[0]["negative_count"] == 3
    assert built(run_make(root, "banks")) == []
    change(root / "banks" / "base.toml")
    assert built(run_make(root, "-j4", "banks")) == ["base", "aaa"]


def test_a_build_waits_for_another_run_as_long_as_it_is_told(root):
    keep_only(root, "base")
    with hold_lock(root / ".lock", command="scan", run_id="other"):
        failed = run_make(root, "banks", "WAIT=0", code=2)
    assert "locked by run other" in failed.stderr
    assert not list((root / "banks" / ".stamps").glob("*.built"))


def test_help_scan_and_check(root, lake):
    shown = run_make(root).stdout
    assert [line.split()[:2] for line in shown.splitlines()] == [["make", name] for name in TARGETS]
    assert "say what to scan" in run_make(root, "scan", code=2).stderr
    assert not (root / "banks" / ".stamps").exists()
    keep_only(root, "base")
    (root / "banks" / "base.toml").write_text(SMALL_BANK)
    assert "14 images" in run_make(root, "scan", f"SOURCES={lake}").stdout
    assert re.search(r"^ok +checks", run_make(root, "check").stdout, re.MULTILINE)


def test_init_keeps_a_makefile_that_is_there(tmp_path):
    (tmp_path / "Makefile").write_text("mine:\n")
    made = Workspace.create(tmp_path, labels=["red", "green"], encoder="fake")
    assert made.layout.makefile.read_text() == "mine:\n"
    assert made.layout.config.is_file()
