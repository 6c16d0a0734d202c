"""SECURITY.md names the tests of its promises; they must be there, and every test of this folder must be named."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))


def test_every_named_test_exists_and_tests_something():
    assert NAMED
    for name in NAMED:
        assert "\ndef test_" in (ROOT / name).read_text(encoding="utf-8"), name


def test_every_test_of_security_is_named():
    own = {f"tests/security/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert own - NAMED == {f"tests/security/{Path(__file__).name}"}


def test_every_promise_says_how_it_is_tested():
    promises = TEXT.partition("## What is promised")[2].partition("## What is not promised")[0]
    for paragraph in re.split(r"\n(?=\*\*)", promises.strip()):
        assert "Tested " in paragraph, paragraph.splitlines()[0]


def test_the_targets_it_names_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", TEXT):
        assert f"\n{target}:" in makefile
