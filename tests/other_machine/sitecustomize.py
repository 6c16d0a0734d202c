"""DuckDB as on another machine: so many threads, and whatever order SQL does not promise is another one each time.

`pytest --duckdb-threads N` calls `rule`, which also puts this folder on PYTHONPATH: Python runs a file of this name as
it starts, so the processes that tests begin are ruled as the tests are. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

THREADS = "CURATOR_TEST_DUCKDB_THREADS"
# What is no SQL at the top of a statement: strings, comments, and, from the inside outwards, what stands in brackets.
QUOTED = re.compile(r"""'[^']*'|"[^"]*"|--[^\n]*|/\*.*?\*/""", re.DOTALL)
BRACKETS = re.compile(r"\([^()]*\)")
MIXED = ("arrow", "rows", "row", "incoming", "filtered_ids")


def rule(threads: int) -> None:
    """Rule this process and those that it begins."""
    os.environ[THREADS] = str(threads)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    install()


def install() -> None:
    """Rule the modules that are there, and the others once they are imported."""
    for name, change in CHANGES.items():
        if name in sys.modules:
            change(sys.modules[name])
    sys.meta_path.insert(0, _Rule())


def promises_order(statement: str) -> bool:
    """Whether rows come in an order: `order by` at the top of a query, or no query."""
    bare = QUOTED.sub("", statement).lower()
    while bare != (inside := BRACKETS.sub("", bare)):
        bare = inside
    return "order by" in bare or not bare.lstrip().startswith(("select", "with", "from"))


def give_threads(duckdb: ModuleType) -> None:
    connect = duckdb.connect
    if hasattr(connect, "__wrapped__"):
        return

    @functools.wraps(connect)
    def ruled(database: Any = ":memory:", read_only: bool = False, config: Any = None, **more: Any) -> Any:
        setting = {"threads": os.environ[THREADS], "preserve_insertion_order": "false"}
        return connect(database, read_only=read_only, config=setting | (config or {}), **more)

    duckdb.connect = ruled  # type: ignore[attr-defined]


def mix_rows(database: ModuleType) -> None:
    """What a query without `order by` gives comes in a random order, so does what is put in, which decides ties; and
    nothing takes the first of several rows of such a query."""
    import random

    mixed, of_database = random.Random(0), database.Database
    arrow, rows, row, incoming, filtered_ids = (getattr(of_database, name) for name in MIXED)
    if hasattr(filtered_ids, "__wrapped__"):
        return

    def mix(table: Any) -> Any:
        return table.take(mixed.sample(range(len(table)), len(table))) if len(table) > 1 else table

    @functools.wraps(arrow)
    def mixed_arrow(self: Any, sql: str, parameters: Any = None) -> Any:
        found = arrow(self, sql, parameters)
        return found if promises_order(sql) else mix(found)

    @functools.wraps(rows)
    def mixed_rows(self: Any, name: str, /, **parameters: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = rows(self, name, **parameters)
        return found if promises_order(database.shipped_queries()[name].sql) else mixed.sample(found, len(found))

    @functools.wraps(row)
    def only_row(self: Any, name: str, /, **parameters: Any) -> Any:
        statement = database.shipped_queries()[name].sql
        assert promises_order(statement) or len(self.rows(name, **parameters)) <= 1, f"which row of {name}?"
        return row(self, name, **parameters)

    @functools.wraps(incoming)
    def mixed_incoming(self: Any, **tables: Any) -> Any:
        return incoming(self, **{name: mix(table) for name, table in tables.items()})

    @functools.wraps(filtered_ids)
    def mixed_ids(self: Any, view: str, condition: str) -> list[str]:
        found = filtered_ids(self, view, condition)
        return mixed.sample(found, len(found))

    for name, changed in zip(MIXED, (mixed_arrow, mixed_rows, only_row, mixed_incoming, mixed_ids), strict=True):
        setattr(of_database, name, changed)


CHANGES: dict[str, Callable[[ModuleType], None]] = {"duckdb": give_threads, "curator.store.database": mix_rows}


class _Rule(MetaPathFinder):
    """Changes modules as they are imported."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in CHANGES:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            CHANGES[name](module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


if THREADS in os.environ and __name__ == "sitecustomize":
    install()
