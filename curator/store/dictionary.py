"""What tables, views and columns hold, in words: `sql/dictionary.toml` and the heads of the SQL files.

Both are put into the ledger as comments, so that whoever opens the published file reads them there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping

from curator.resources import read_folder
from curator.store.database import Database, quoted

_HEAD = re.compile(r"((?:^--[^\n]*\n)+)create (?:or replace )?(?:table|view) (?:report\.)?(\w+)", re.MULTILINE)


def dictionary_text() -> str:
    """The file that says what columns hold, as it ships."""
    return read_folder("curator.sql", suffix=".toml")["dictionary"]


def columns_described() -> dict[str, dict[str, str]]:
    """What columns hold, by name: under `columns`, and under a table or view where that says otherwise."""
    return tomllib.loads(dictionary_text())


def relations_described() -> dict[str, str]:
    """What each table and view is for, by its name without schema: `relations`, or the head of its statement."""
    folders = (read_folder("curator.sql", folder, suffix=".sql") for folder in ("migrations", "views"))
    heads = (found for folder in folders for text in folder.values() for found in _HEAD.finditer(text))
    texts = {found[2]: " ".join(line.removeprefix("--").strip() for line in found[1].splitlines()) for found in heads}
    return texts | columns_described()["relations"]


def write_comments(database: Database) -> None:
    """Say in the ledger what its tables, views and columns hold. Half a millisecond a column, so not in every run."""
    database.execute(";\n".join(_statements(database.rows("columns_of_all"))))


def _statements(columns: list[dict[str, str]]) -> Iterator[str]:
    relations, described = relations_described(), columns_described()
    for (schema, relation), kind in {(row["schema"], row["relation"]): row["kind"] for row in columns}.items():
        if relation in relations:
            yield f"comment on {kind} {schema}.{relation} is {quoted(relations[relation])}"
    for row in columns:
        if meaning := meaning_of(row["relation"], row["name"], described):
            yield f'comment on column {row["schema"]}.{row["relation"]}."{row["name"]}" is {quoted(meaning)}'


def meaning_of(relation: str, column: str, described: Mapping[str, Mapping[str, str]]) -> str | None:
    """What a column holds; None where nobody said it."""
    return described.get(relation, {}).get(column) or described["columns"].get(column)
