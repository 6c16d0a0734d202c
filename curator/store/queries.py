"""Named statements in plain SQL files: `-- name: verb_noun`, comment lines that say what for, one statement.

The files stay SQL that DuckDB parses by itself; parameters are `$named`. A name may occur once over all files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from curator.errors import ConfigError
from curator.resources import read_folder

NAME_LINE = re.compile(r"^-- name: *([a-z][a-z0-9_]*) *$", re.MULTILINE)
PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One statement: its name, what it is for, its text, and the file it came from."""

    name: str
    description: str
    sql: str
    origin: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of its `$parameters`, in the order of first use."""
        return tuple(dict.fromkeys(PARAMETER.findall(self.sql)))


def parse_queries(text: str, *, origin: str) -> dict[str, NamedQuery]:
    """The named statements of one file. Raises ConfigError for text before the first name or a name used twice."""
    head, *parts = NAME_LINE.split(text)
    if head.strip() or not parts:
        raise ConfigError(f"{origin}: does not begin with a line `-- name: verb_noun`")
    queries: dict[str, NamedQuery] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in queries:
            raise ConfigError(f"{origin}: the name {name!r} occurs twice")
        lines = body.strip().splitlines()
        comments = [line[2:].strip() for line in lines if line.startswith("--")]
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
        if not sql:
            raise ConfigError(f"{origin}: {name!r} has no statement")
        queries[name] = NamedQuery(name, " ".join(comments), sql, origin)
    return queries


@cache
def shipped_queries() -> Mapping[str, NamedQuery]:
    """Every statement that ships in `sql/queries`, by name."""
    queries: dict[str, NamedQuery] = {}
    for stem, text in read_folder("curator.sql", "queries", suffix=".sql").items():
        found = parse_queries(text, origin=f"{stem}.sql")
        if taken := queries.keys() & found.keys():
            raise ConfigError(f"{stem}.sql: the names {sorted(taken)} are taken by another file")
        queries |= found
    return queries


@cache
def report_queries() -> Mapping[str, NamedQuery]:
    """The statements meant for users (`curator query`), by name."""
    return {name: query for name, query in shipped_queries().items() if query.origin == "report.sql"}


def user_queries(folder: Path) -> dict[str, NamedQuery]:
    """The same and those of a folder's `*.sql`, which go first. Raises ConfigError for a file that holds none."""
    own: dict[str, NamedQuery] = {}
    for path in sorted(folder.glob("*.sql")):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise ConfigError(f"{path}: cannot be read: {fault}", hint="named queries are UTF-8 text") from fault
        own |= parse_queries(text, origin=str(path))
    return {**report_queries(), **own}
