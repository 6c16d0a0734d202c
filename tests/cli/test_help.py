"""Help: every command has it, it fits a terminal, it ends with an example, it answers at once."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from curator.cli import cli


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, command in sorted(group.commands.items()):
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


COMMANDS = commands(cli)
LEAVES = [path for path in COMMANDS if path not in {other[:-1] for other in COMMANDS if other}]


def help_of(path: tuple[str, ...]) -> str:
    return CliRunner().invoke(cli, [*path, "--help"], prog_name="curator", terminal_width=80).output


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_equals_its_golden(path, golden):
    golden(f"help/{'-'.join(('curator', *path))}.txt", help_of(path))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_eighty_columns(path):
    assert max(map(len, help_of(path).splitlines())) <= 80


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_of_a_command_has_an_example_of_it(path):
    text = help_of(path)
    assert "Example:" in text
    example = text.partition("Example:")[2].strip().splitlines()[0]
    assert example.startswith(" ".join(("curator", *path)))


def test_help_answers_in_a_blink():
    """Its time is that of its imports, 0.3 s on an idle machine with 150 modules; a busy machine takes longer."""
    code = "import sys; from curator.cli import cli; cli(['--help'], standalone_mode=False); print(len(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout.splitlines()[-1]) < 220
