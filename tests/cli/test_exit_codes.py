"""The exit codes of a scan, each through a real process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from curator.workspace.lock import hold_lock
from tests.cli.runs import run
from tests.patience import BRAKE_SECONDS, wait_for

# A shell hands SIGINT down ignored to what it starts in the background, CI jobs among them.
CURATOR = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from curator.__main__ import main; main()"
)


@pytest.fixture
def root(workspace) -> Path:
    return workspace.layout.root


def curator(root: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return run("-w", root, *words)


def test_done_is_0_and_many_rejects_are_3_and_a_condition_is_4_and_the_results_are_kept(root, lake, workspace):
    done = curator(root, "scan", lake, "--workers", "0", "--max-reject-rate", "0.1", "--fail-on", "flag_rate>=0")
    assert done.returncode == 3, done.stderr
    assert "curator: 3 of 21 data are rejects" in done.stderr and "--fail-on flag_rate>=0: flag_rate is" in done.stderr
    assert workspace.sql("select count(*) as n from report.scores").to_pylist() == [{"n": 14}]
    done = curator(root, "scan", lake, "--fail-on", "images<1", "--fail-on", "gone>1000")
    assert done.returncode == 4, done.stderr
    assert done.stderr == "curator: --fail-on images<1: images is 0; the results are kept\n"
    done = curator(root, "scan", lake, "--max-reject-rate", "0.1", "--fail-on", "gone>1000")
    assert (done.returncode, done.stderr) == (0, "")
    statuses = workspace.sql("select distinct status from run").to_pylist()
    assert statuses == [{"status": "done"}], "a limit that is broken does not make the run a failed one"


def test_failed_is_1_and_says_why_in_one_line(root):
    done = curator(root, "scan", "/no/such/folder")
    assert done.returncode == 1
    assert done.stderr.startswith("curator: ") and done.stderr.count("\n") == 1


def test_bad_condition_and_bad_option_are_2_before_any_work(root, lake, run_cli):
    done = curator(root, "scan", lake, "--fail-on", "flagrate>0.2")
    assert done.returncode == 2
    assert done.stderr.startswith("curator: --fail-on flagrate>0.2: no figure is called 'flagrate' (figures: data, ")
    for words in (["--max-reject-rate", "2"], ["--wait", "-1"], ["--fail-on"]):
        run_cli("scan", lake, *words, folder=root, code=2)
    assert not (root / "ledger.duckdb").exists()


def test_locked_is_5_and_names_who_holds_it_since_when(root, lake):
    with hold_lock(root / ".lock", command="scan", run_id="other"):
        done = curator(root, "scan", lake, "--wait", "0.1")
    assert done.returncode == 5
    assert f"locked by run other (curator scan, pid {os.getpid()} on " in done.stderr and ", since 20" in done.stderr


@pytest.mark.slow
def test_who_waits_scans_when_the_other_has_ended(root, lake):
    with hold_lock(root / ".lock", command="scan", run_id="other"):
        command = [sys.executable, "-c", CURATOR, "-w", str(root), "scan", str(lake), "--wait", "600", "--workers", "0"]
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1)
    output, _ = waiting.communicate(timeout=BRAKE_SECONDS)
    assert waiting.returncode == 0 and "14 images" in output


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_who_is_stopped_is_130_also_while_it_only_waits(stop, root, lake):
    command = [sys.executable, "-c", CURATOR, "-w", str(root), "scan", str(lake), "--wait", "600"]
    with hold_lock(root / ".lock", command="scan", run_id="other"):
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert has_opened(waiting, root / ".lock"), waiting.communicate()
        waiting.send_signal(stop)
        _, said = waiting.communicate(timeout=BRAKE_SECONDS)
    assert (waiting.returncode, said) == (130, "curator: interrupted\n")


def open_files(process_id: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{process_id}/fd").glob("*"):
        with contextlib.suppress(OSError):  # closed since
            found.add(str(link.readlink()))
    return found


def has_opened(process: subprocess.Popen[str], path: Path) -> bool:
    """Waits until a process has opened a file, or has ended."""
    wait_for(lambda: process.poll() is not None or str(path) in open_files(process.pid))
    return process.poll() is None


def test_help_lists_every_code(run_cli):
    listed = run_cli("--help").stdout.partition("Exit codes:")[2]
    for code in (0, 1, 2, 3, 4, 5, 130):
        assert f" {code} " in listed
