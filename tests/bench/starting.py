"""How long a command takes before it does anything: the processor time of the smallest run of it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from curator.workspace import Workspace
from tests.bench.measures import photographs

ROUNDS = 7
PLAIN = "import duckdb; duckdb.connect({path!r}, read_only=True).sql('select 1').fetchall()"


def starting_seconds(folder: Path) -> dict[str, float]:
    """Median processor time in seconds of commands on a small workspace, and of DuckDB alone on its snapshot."""
    workspace = Workspace.create(folder / "workspace", labels=["cat", "dog"], encoder="fake")
    (folder / "lake").mkdir()
    for number, data in enumerate(photographs(4)):
        (folder / "lake" / f"{number}.jpg").write_bytes(data)
    workspace.scan(folder / "lake")
    curator = [sys.executable, "-m", "curator", "-w", str(workspace.layout.root)]
    commands = {
        "--help": [sys.executable, "-m", "curator", "--help"],
        "sql": [*curator, "sql", "select 1"],
        "query": [*curator, "query", "flagged"],
        "plain DuckDB": [sys.executable, "-c", PLAIN.format(path=str(workspace.layout.snapshot))],
    }
    return {name: statistics.median(_seconds(command) for _ in range(ROUNDS)) for name, command in commands.items()}


def _seconds(command: list[str]) -> float:
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system
