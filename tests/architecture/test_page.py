"""ARCHITECTURE.md is true: its lists are the code's, and what it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from curator.store.queries import parse_queries
from tests.architecture.floors import FLOORS
from tests.architecture.page import PAGE, ROOT, STEP, sections, written
from tests.architecture.tree import Tree

TEXT = PAGE.read_text(encoding="utf-8")
WALKS = ("An image, from the lake to its flag", "A threshold", "A label", "A generator's answer", "A condition")


def test_floors_and_rooms_are_listed_as_they_are():
    assert written(TEXT, Tree(ROOT / "curator")) == TEXT, "run `python -m tests.architecture --write` and read the diff"


def test_the_picture_shows_rooms_that_exist():
    picture = re.search(r"^```\n(.*?)^```", sections(TEXT)["The picture"], re.DOTALL | re.MULTILINE)
    lines, _, _ = picture[1].partition(" measures ")
    assert set(re.findall(r"[a-z]+", lines)) <= {name for level in FLOORS["."] for name in level}


def test_there_are_five_walks_and_four_recipes():
    assert [title for title in sections(TEXT) if STEP.search(sections(TEXT)[title])] == list(WALKS)
    assert sum(title.startswith("Add a") for title in sections(TEXT)) == 4


def names_in(path: Path) -> set[str]:
    """What a file defines: functions, classes, methods as `Class.method`, named queries."""
    if path.suffix == ".sql":
        return set(parse_queries(path.read_text(), origin=path.name))
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
            found |= {f"{node.name}.{item.name}" for item in ast.walk(node) if isinstance(item, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("title", WALKS)
def test_each_step_of_a_walk_is_there(title):
    steps = STEP.findall(sections(TEXT)[title])
    assert len(steps) >= 5
    for file, name in steps:
        path = ROOT / file if file.startswith("sql/") else ROOT / "curator" / file
        assert path.is_file(), file
        assert name in names_in(path), f"{file}:{name}"


def test_files_and_folders_that_it_names_exist():
    named = set(re.findall(r"`([\w./-]+/[\w./-]*)`", TEXT)) | set(re.findall(r"\]\((?!http)([^)#]+)", TEXT))
    named = {name for name in named if "NAME" not in name and "NN" not in name}
    missing = [name for name in named if not (ROOT / name).exists() and not (ROOT / "curator" / name).exists()]
    assert missing == []


def test_how_to_contribute_names_targets_and_files_that_exist():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {word for line in re.findall(r"(?:^|`)make ([a-z -]+)", page, re.MULTILINE) for word in line.split()}
    assert used and used <= targets
    named = set(re.findall(r"\]\((?!http)([^)#]+)", page)) | set(
        re.findall(r"`((?:tests|sql|docs|\.ci)/[\w./]*)", page)
    )
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_modules_that_docs_and_comments_name_exist():
    there = [str(path) for path in (ROOT / "curator").rglob("*.py")]
    there += [str(path) for path in (ROOT / "tests").rglob("*.py")]
    examples = {"my_encoder.py", "my_curator.py"}  # of the guide to encoders, for readers to write
    stale = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "curator").rglob("*.py")]
        for name in re.findall(r"(?<![\w.])[\w/]+\.py\b", path.read_text())
        if "NAME" not in name and name not in examples and not any(file.endswith(f"/{name}") for file in there)
    ]
    assert stale == []
