"""Every table, view and column says in the ledger what it holds, and docs/dictionary.md says the same."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from curator.store import Database
from curator.store.dictionary import columns_described, meaning_of, relations_described
from curator.store.migrate import migrate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dictionary.md"
GENERAL = ("relations", "columns")
HEAD = """\
# Dictionary

What each view of `report` holds, column by column: what `curator query --describe NAME` prints, and any client reads as
comments from the published file (`select column_name, comment from duckdb_columns()`). All times are UTC. What is in
the tables of `main` the file says too; views are what stays as it is from release to release.
"""


@pytest.fixture(scope="module")
def columns(empty_ledger):
    """Rows of schema, relation, name and kind, and the comments by schema, relation and name."""
    with Database.open_reader(empty_ledger) as database:
        every = database.rows("columns_of_all")
        said = database.arrow("select schema_name, table_name, column_name, data_type, comment from duckdb_columns()")
        return every, {tuple(row.values())[:3]: (row["data_type"], row["comment"]) for row in said.to_pylist()}


def test_every_column_is_described_and_nothing_else_is(columns):
    every, said = columns
    described, relations = columns_described(), relations_described()
    assert len(every) > 600
    for row in every:
        comment = said[row["schema"], row["relation"], row["name"]][1]
        assert comment and comment == meaning_of(row["relation"], row["name"], described), row
        assert row["relation"] in relations, row
    there = {(row["relation"], row["name"]) for row in every}
    own = {(relation, name) for relation, names in described.items() if relation not in GENERAL for name in names}
    assert own <= there
    in_general = {name for relation, name in there if (relation, name) not in own}
    assert described["columns"].keys() == in_general


def test_what_stands_beside_a_view_does_not_repeat_what_holds_everywhere():
    described = columns_described()
    for relation, names in described.items():
        if relation not in GENERAL:
            assert all(described["columns"].get(name) != text for name, text in names.items()), relation
            assert all(text == text.strip() and not text.endswith(".") for text in names.values())


def test_a_changed_text_reaches_a_ledger_that_is_there(database, monkeypatch):
    text = 'relations = {}\ncolumns = { uri = "it\'s an address" }\n'
    for module in ("migrate", "dictionary"):
        monkeypatch.setattr(f"curator.store.{module}.dictionary_text", lambda: text)
    migrate(database)
    said = "select comment from duckdb_columns() where schema_name = 'report' and column_name = 'uri'"
    assert set(database.arrow(said)["comment"].to_pylist()) == {"it's an address"}


def test_the_page_is_what_the_ledger_says(columns, request):
    every, said = columns
    relations = relations_described()
    parts = [HEAD]
    views = sorted((row for row in every if row["kind"] == "view"), key=lambda row: row["relation"])
    for view, rows in groupby(views, key=lambda row: row["relation"]):
        lines = [f"## report.{view}\n", f"{relations[view]}\n", "| column | type | what it holds |", "|---|---|---|"]
        for row in rows:
            kind, comment = said["report", view, row["name"]]
            lines.append(f"| `{row['name']}` | {kind.lower()} | {comment} |")
        parts.append("\n".join(lines) + "\n")
    text = "\n".join(parts)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text, "run pytest --update-golden tests/sql and read the diff"
