"""Every row of the guide to what can go wrong names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "what-can-go-wrong.md").read_text(encoding="utf-8")
ROWS = [line for line in GUIDE.splitlines() if line.startswith("| ") and not line.startswith("| situation |")]


def test_there_are_rows_and_no_situation_stands_twice():
    situations = [row.split(" | ")[0] for row in ROWS]
    assert len(situations) >= 50 and len(set(situations)) == len(situations)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:60])
def test_a_row_names_a_test_that_is_there(row):
    _, does, test = row.strip("| ").split(" | ")
    found = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", test)
    assert does and found is not None
    assert f"\ndef {found[2]}(" in (ROOT / found[1]).read_text(encoding="utf-8")
