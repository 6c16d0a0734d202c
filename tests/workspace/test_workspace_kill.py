"""Killed at any point and run again, a scan leaves what an unbroken one leaves, row for row."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.workspace import Workspace
from tests import interpreter
from tests.conftest import make_lake
from tests.faults import ledger_tables
from tests.faults.ledger_tables import Tables
from tests.patience import BRAKE_SECONDS, wait_for

# Scans as the command line does, and kills itself at the n-th event: a statement on the ledger, a file that is made
# whole, or a publication.
SCAN_AND_DIE = """
import os, signal, sys
from pathlib import Path
import curator.store.database as database
from curator.workspace import Workspace

events = int(sys.argv[3])

def counted(function):
    def wrapper(*args, **kwargs):
        global events
        events -= 1
        if events == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapper

if __name__ == "__main__":
    database.Database.execute = counted(database.Database.execute)
    os.fsync = counted(os.fsync)
    Path.replace = counted(Path.replace)
    os.replace = counted(os.replace)
    overrides = {"scan.files_per_shard": 3, "scan.decode_workers": 0}
    Workspace.open(sys.argv[1], overrides=overrides).scan(sys.argv[2])
    print("left", events)
"""


def tables_of(workspace: Workspace) -> Tables:
    return ledger_tables.tables_of(workspace.layout.snapshot)


def scan_and_die(workspace: Workspace, lake: Path, event: int) -> int | None:
    """Kill the scan at an event. Returns how many events were left when it lived to its end, else None."""
    command = [*interpreter.command(), "-c", SCAN_AND_DIE, str(workspace.layout.root), str(lake), str(event)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=BRAKE_SECONDS)
    if result.returncode == -signal.SIGKILL:
        return None
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[-1])


def scan_whole(workspace: Workspace, lake: Path) -> None:
    """The same scan, unbroken, in this process: an interpreter more takes seconds."""
    Workspace.open(workspace.layout.root, overrides={"scan.files_per_shard": 3, "scan.decode_workers": 0}).scan(lake)


@pytest.fixture(scope="module")
def parquet_lake(tmp_path_factory: pytest.TempPathFactory, pictures: dict[str, bytes]) -> Path:
    """A lake with a Parquet file of three row groups as well, so that an object may be left half done."""
    lake = make_lake(tmp_path_factory.mktemp("parquet") / "lake", pictures)
    images = [{"bytes": data, "path": name} for name, data in pictures.items()]
    images[4] = {"bytes": b"broken", "path": "broken"}
    pq.write_table(pa.table({"image": images, "label": list(range(12))}), lake / "y-rows.parquet", row_group_size=4)
    return lake


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, parquet_lake, make_workspace) -> tuple[int, Tables]:
    """How many events an unbroken scan has, and the tables that it leaves."""
    workspace = make_workspace(tmp_path_factory.mktemp("unbroken") / "workspace")
    left = scan_and_die(workspace, parquet_lake, 10_000)
    assert left is not None
    return 10_000 - left, tables_of(workspace)


# At the front, everywhere between, and at the very end.
@pytest.mark.slow
@pytest.mark.parametrize("share", [0.45, 0.0, 0.03, 0.17, 0.31, 0.59, 0.73, 0.88, 0.99, 1.0])
def test_killed_scan_run_again_equals_an_unbroken_one(share, unbroken, parquet_lake, tmp_path, make_workspace):
    events, expected = unbroken
    event = max(2, round(share * events))
    workspace = make_workspace(tmp_path / "killed")
    assert scan_and_die(workspace, parquet_lake, event) is None, f"event {event} of {events} was not reached"
    assert scan_and_die(workspace, parquet_lake, 10_000) is not None
    assert len(expected["source_object"]) == 18
    assert tables_of(workspace) == expected, f"killed at event {event} of {events}"
    assert [result.name for result in workspace.check() if not result.healthy] == []


@pytest.mark.slow
def test_killed_over_and_over_the_scan_still_comes_to_its_end(unbroken, parquet_lake, tmp_path, make_workspace):
    _, expected = unbroken
    workspace = make_workspace(tmp_path / "killed")
    for event in (25, 60, 110, 190):
        scan_and_die(workspace, parquet_lake, event)
    assert scan_and_die(workspace, parquet_lake, 10_000) is not None
    assert tables_of(workspace) == expected
    statuses = workspace.sql("select status from run order by run_number").to_pylist()
    assert {row["status"] for row in statuses} == {"done", "interrupted"}


@pytest.mark.slow
@pytest.mark.parametrize("event", [120, 180])  # both after the run has begun
def test_ctrl_c_exits_with_130_and_the_same_command_resumes(event, parquet_lake, tmp_path, make_workspace):
    alike = make_workspace(tmp_path / "unbroken")
    scan_whole(alike, parquet_lake)
    workspace = make_workspace(tmp_path / "workspace")
    # The first line: a shell hands SIGINT down ignored to what it starts in the background, CI jobs among them.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code = listening + SCAN_AND_DIE.replace("SIGKILL", "SIGINT").replace(
        "Workspace.open(sys.argv[1], overrides=overrides).scan(sys.argv[2])",
        'from curator.cli import cli; cli(["-w", sys.argv[1], "scan", sys.argv[2], "--workers", "0"])',
    )
    environment = os.environ | {"CURATOR_SCAN_FILES_PER_SHARD": "3"}
    command = [*interpreter.command(), "-c", code, str(workspace.layout.root), str(parquet_lake), str(event)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=BRAKE_SECONDS, env=environment)
    assert result.returncode == 130, result.stderr
    assert "was interrupted; finished shards are kept (run the same command to resume)" in result.stderr
    assert "Traceback" not in result.stderr
    assert workspace.sql("select status from run").to_pylist() == [{"status": "interrupted"}]
    scan_whole(workspace, parquet_lake)
    assert tables_of(workspace) == tables_of(alike)


def test_killed_scan_leaves_no_decode_process_behind(lake, tmp_path, make_workspace):
    workspace = make_workspace(tmp_path / "workspace")
    code = SCAN_AND_DIE.replace('"scan.decode_workers": 0', '"scan.decode_workers": 2')
    command = [*interpreter.command(), "-c", code, str(workspace.layout.root), str(lake), "60"]
    mark = f"CURATOR_TEST_MARK={tmp_path}"
    environment = os.environ | dict([mark.split("=", 1)])
    result = subprocess.run(command, capture_output=True, timeout=BRAKE_SECONDS, env=environment)
    assert result.returncode == -signal.SIGKILL
    wait_for(lambda: not processes_with(mark))


def processes_with(mark: str) -> list[str]:
    """Processes whose environment holds a mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append((path / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found
