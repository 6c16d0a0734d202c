"""The README is short and says what is: its commands, links, pictures and targets; the guides name every command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from curator.cli import cli
from curator.methods import METHODS
from curator.resources import read_folder
from tests.docs import printed
from tests.docs.test_docs_guides import FOUND, arguments_of

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
(SESSION,) = printed.BLOCK.findall(README)
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"^\$ (curator .*)", SESSION, re.MULTILINE)]


def test_the_readme_is_short_and_shows_six_commands():
    """Here they parse; `python -m tests.docs.printed` runs them, where nothing but the wheel is installed."""
    assert len(README.replace(SESSION, "").split()) <= 600
    assert len(COMMANDS) == 6
    for words in COMMANDS:
        arguments_of(cli.commands[words[0]], words[1:])


def test_a_difference_that_only_the_machine_makes_is_none():
    told = printed.facts("/tmp/demo/lake: 16 objects\n  2 rejected: decode in 3.5 s, digest 9b509289ec40\n ─────── ")
    assert told == printed.facts("/x/lake: 7 objects\n  11 rejected: decode in 12 s, digest 0011223344ff\n ── ")
    assert printed.facts("brain  7.5e-05  cat            1") == printed.facts("brain  7.6e-05  cup of coffee  1")
    assert printed.facts("brain  7.5e-05  cat  1") != printed.facts("tripod  7.5e-05  cat  1")
    assert told != printed.facts(
        "/tmp/demo/lake: 16 objects\n  2 rejected: read in 3.5 s, digest 9b509289ec40\n ─────── "
    )


def test_long_answers_are_cut_at_a_paragraph():
    assert printed.shortened(["a", "", "b"]) == ["a", "b"]
    lines = [*"abcdefgh", "", *"ijklmnop"]
    assert printed.shortened(lines) == [*"abcdefgh", "…"]
    assert printed.shortened([*"abcdefghijklmnop"]) == [*"abcdefghijkl", "…"]


def test_pictures_are_small():
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert len(shown) == 2 and all(0 < (ROOT / path).stat().st_size < 200_000 for path in shown)
    of_the_app = set(re.findall(r"!\[[^]]+\]\(pictures/([^)]+)\.jpg\)", (ROOT / "docs" / "app.md").read_text()))
    assert of_the_app == set(printed.VIEWS), "`make readme` makes them"
    assert all((printed.PICTURES / f"{name}.jpg").stat().st_size < 150_000 for name in of_the_app)


def test_every_view_has_its_row_in_the_cookbook():
    cookbook = (ROOT / "docs" / "sql-cookbook.md").read_text(encoding="utf-8")
    table = cookbook.partition("## What is in SQL")[2].partition("\n## ")[0]
    shipped = {f"report.{name[3:]}" for name in read_folder("curator.sql", "views", suffix=".sql")}
    assert set(re.findall(r"`(report\.[a-z_]+)`", table)) == shipped


def test_every_method_has_its_row():
    guide = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    named = {name for row in re.findall(r"^\| (`.*?) \|", guide, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(METHODS.names())


def test_every_command_is_named_in_the_guides():
    named = {words.split()[0] for _, words in FOUND}
    assert set(cli.commands) - named <= {"demo"}


def test_links_of_the_readme_lead_somewhere_and_to_every_guide():
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert [target for target in links if not (ROOT / target).exists()] == []
    guides = {f"docs/{path.name}" for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".ipynb")}
    assert guides <= set(links)


def test_make_targets_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo"} <= set(re.findall(r"`make ([a-z-]+)", README)) <= targets


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
