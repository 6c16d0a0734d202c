"""The guide to nights by make says what the Makefile of a workspace has, and its scripts are scripts."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from curator.workspace.makefile import makefile_text
from tests.patience import BRAKE_SECONDS

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "make-nights.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
VARIABLES = set(re.findall(r"^([A-Z_]+) \??:?=", makefile_text(), re.MULTILINE))
TARGETS = set(re.findall(r"^([a-z]+):.*## ", makefile_text(), re.MULTILINE))
CALLS = re.findall(r"\bmake ((?:-\S+ (?:/\S+ )?)*[^|\n`]*)", GUIDE)


def test_every_target_and_variable_has_its_row():
    rows = re.findall(r"^\| (`.*?) \|", GUIDE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert TARGETS - {"help"} <= named
    settable = set(re.findall(r"^([A-Z_]+) \?=", makefile_text(), re.MULTILINE))
    assert {name for name in named if name.isupper()} == settable


def test_make_is_called_with_what_there_is():
    calls = [words.split() for words in CALLS if "night" in words or words.startswith("-B")]
    assert len(calls) >= 6
    for words in calls:
        given = [word for word in words if re.match(r"[A-Z_]+=", word)]
        assert {word.partition("=")[0] for word in given} <= VARIABLES
        assert any(word in TARGETS for word in words)


@pytest.mark.parametrize("script", [text for kind, text in BLOCKS if kind == "bash"])
def test_shell_scripts_parse(script):
    assert (
        subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, timeout=BRAKE_SECONDS).stderr == ""
    )


@pytest.mark.parametrize("program", [text for kind, text in BLOCKS if kind == "python"])
def test_the_task_of_a_scheduler_parses_and_hands_the_exit_code_on(program, tmp_path):
    literals = [node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant)]
    command = next(text for text in literals if isinstance(text, str) and text.startswith("make"))
    tail = command.partition("|| ")[2].replace("/srv/my-lake", str(tmp_path))
    stamps = tmp_path / "banks" / ".stamps"
    stamps.mkdir(parents=True)
    for content, code in (("4\n", 4), ("0\n", 1), (None, 1)):
        path = stamps / "scan.code"
        path.unlink(missing_ok=True) if content is None else path.write_text(content)
        done = subprocess.run(["bash", "-c", f"false || {tail}"], capture_output=True, timeout=BRAKE_SECONDS)
        assert done.returncode == code
