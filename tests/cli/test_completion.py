"""Completion in the shells that are there, as docs/commands.md sets it up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES = [line for line in (ROOT / "docs" / "commands.md").read_text().splitlines() if "_CURATOR_COMPLETE" in line]
ASK = {
    "bash": 'COMP_WORDS=({words}); COMP_CWORD={place}; _curator_completion curator; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "zsh": "_CURATOR_COMPLETE=zsh_complete COMP_WORDS='{words}' COMP_CWORD={place} curator",
    "fish": 'complete -C "{words}"',
}


@pytest.fixture
def complete(tmp_path):
    """What a shell offers for a line, once its set-up ran."""
    (tmp_path / "curator").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m curator "$@"\n')
    (tmp_path / "curator").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def offered(shell: str, *words: str) -> str:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not on this machine")
        (setup,) = [line for line in LINES if f"{shell}_source" in line]
        if shell == "zsh":
            setup = f"autoload -U compinit && compinit -u -D; {setup}"
        ask = ASK[shell].format(words=" ".join(words), place=len(words) - 1)
        done = subprocess.run([shell, "-c", f"{setup}\n{ask}"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return offered


@pytest.mark.parametrize("shell", ASK)
def test_commands_are_completed(shell, complete):
    assert "calibrate" in complete(shell, "curator", "cal") and "calibrate" not in complete(shell, "curator", "sc")


def test_options_and_queries_are_completed(complete, first_night_once):
    assert "--dry-run" in complete("bash", "curator", "scan", "--dry")
    assert "flagged" in complete("bash", "curator", "-w", str(first_night_once[0]), "query", "fla")
    assert complete("bash", "curator", "-w", "/nowhere", "query", "fla").strip() == ""


def test_each_shell_is_set_up_by_a_line():
    assert [shell for shell in ASK if any(f"{shell}_source" in line for line in LINES)] == list(ASK)
