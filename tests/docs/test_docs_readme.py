"""The README says what is: its commands, views, options and paths exist, and its first steps work as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from curator.cli import cli
from curator.encoders import check_address
from curator.resources import read_folder

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", README) + [
    line for block in re.findall(r"^```\w*\n(.*?)^```", README, re.DOTALL | re.MULTILINE) for line in block.splitlines()
]
COMMANDS = sorted({line.partition("#")[0].strip() for line in CODE if line.startswith("curator ")})


@pytest.mark.parametrize("line", COMMANDS)
def test_command_in_the_readme_parses(line):
    words = shlex.split(line)[1:]
    if words[0].startswith("-"):
        return
    command: click.Command = cli
    while isinstance(command, click.Group) and not ends_here(command, words):
        assert words, f"{line} ends before its command"
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    used = {word.partition("=")[0] for word in words if word.startswith("-") and not word.lstrip("-").isdigit()}
    assert used <= options | {"--help"}, f"{line}: unknown {used - options}"


def ends_here(group: click.Group, words: list[str]) -> bool:
    """Whether a line is of the group itself, which does something without a command: `curator calibrate --keep 0.9`."""
    return group.invoke_without_command and not (words and words[0] in group.commands)


def test_views_in_the_readme_exist_and_all_views_are_there():
    shipped = {f"report.{name[3:]}" for name in read_folder("curator.sql", "views", suffix=".sql")}
    assert set(re.findall(r"(?<!-)report\.[a-z_]+", README)) == shipped


def test_every_command_is_named_in_the_readme():
    named = {line.split()[1] for line in COMMANDS}
    assert set(cli.commands) - named <= {"publish", "config", "demo"}


def test_encoder_addresses_in_the_readme_are_valid():
    for address in re.findall(r"(?:open_clip|transformers):[\w./-]+", README):
        check_address(address)


def test_links_in_the_readme_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_make_targets_in_the_readme_exist():
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {match for line in CODE for match in re.findall(r"^make ([a-z-]+)", line)}
    assert {"demo", "test"} <= used <= targets


@pytest.mark.slow
def test_first_steps_of_the_readme_work_as_they_stand(tmp_path, lake, monkeypatch, run_cli):
    monkeypatch.chdir(tmp_path)
    Path("labels.txt").write_text("red\ngreen\n")
    run_cli("init", "my-lake", "--labels", "labels.txt", "--encoder", "fake")
    monkeypatch.chdir(tmp_path / "my-lake")
    run_cli("scan", str(lake))
    statement = next(shlex.split(line)[2] for line in COMMANDS if line.startswith("curator sql "))
    assert "uri" in run_cli("sql", statement).stdout


def test_changelog_has_a_section_for_what_comes_next():
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_nothing_in_the_repository_names_a_registry_or_a_machine():
    import subprocess

    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        path = ROOT / name
        if (path.is_file() and path.suffix in (".py", ".md", ".toml", ".txt", ".sql")) or path.name in (
            "Makefile",
            "run",
        ):
            text = path.read_text(encoding="utf-8")
            assert "index" + "-url" not in text, name
            assert str(ROOT.parent) + "/" not in text, name
