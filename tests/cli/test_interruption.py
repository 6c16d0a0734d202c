"""Ctrl-C and SIGTERM while DuckDB is at work, each in a process of its own that says when a query begins."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests import interpreter
from tests.patience import BRAKE_SECONDS

# Says `begun` when a query of others is handed to DuckDB.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from curator.store import Database

def announced(function):
    def wrapper(*args, **more):
        print("begun", flush=True)
        return function(*args, **more)
    return wrapper

Database.arrow = announced(Database.arrow) if {arrow} else Database.arrow
Database.filtered_ids = announced(Database.filtered_ids)
from curator.__main__ import main
main()
"""
JOIN = "select count(*) from range(10000000) as a, range(10000000) as b where a.range * 7 + b.range = 3"
ENDLESS = {
    "sleep": "select pg_sleep(86400)",
    "join": JOIN,
    "one long call": "select list_sum(list_transform(range(20000000), lambda x: length(repeat(x::varchar, 20000))))",
    "planning": " union all ".join(["select 1 as a"] * 30000),
}

STOPPED = (130, "curator: interrupted\n")


def strike(root: Path, *words: object, number: signal.Signals = signal.SIGINT, arrow: bool = True) -> tuple[int, str]:
    command = [*interpreter.command(), "-c", PROGRAM.format(arrow=arrow), "-w", str(root), "-q", *map(str, words)]
    struck = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert struck.stdout is not None and struck.stdout.readline() == "begun\n", struck.communicate()
        struck.send_signal(number)
        _, said = struck.communicate(timeout=BRAKE_SECONDS)
    finally:
        struck.kill()
    return struck.returncode, said


@pytest.mark.parametrize("name", ENDLESS)
def test_sql_ends_wherever_duckdb_is(name, first_night, tmp_path):
    (tmp_path / "endless.sql").write_text(ENDLESS[name])
    for number in (signal.SIGINT, signal.SIGTERM)[: 1 + (name == "one long call")]:
        found = strike(first_night[0].layout.root, "sql", "-i", tmp_path / "endless.sql", number=number)
        assert found == STOPPED


def test_own_query_ends_too(first_night):
    workspace = first_night[0]
    workspace.layout.queries.mkdir(exist_ok=True)
    (workspace.layout.queries / "endless.sql").write_text(f"-- name: endless\n{JOIN}\n")
    assert strike(workspace.layout.root, "query", "endless") == STOPPED


def test_endless_condition_ends_before_there_is_a_run(first_night):
    root = first_night[0].layout.root
    assert strike(root, "score", "--where", f"({JOIN}) = 0", arrow=False) == STOPPED
    assert first_night[0].sql("select distinct command from run").to_pylist() == [{"command": "scan"}]
