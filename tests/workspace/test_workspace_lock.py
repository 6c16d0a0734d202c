"""One writer at a time, and the lock ends with its holder however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from curator.endings import ending_of
from curator.errors import WorkspaceError, WorkspaceLocked
from curator.workspace import lock as lock_module
from curator.workspace.lock import Holder, describe_holder, hold_lock, is_locked, read_holder
from tests.patience import BRAKE_SECONDS, wait_for

HOLDER = """
import sys
from pathlib import Path
from curator.workspace.lock import hold_lock
with hold_lock(Path(sys.argv[1]), command="scan", run_id="r1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    path = tmp_path / ".lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield path, process
        process.kill()


def test_second_writer_is_told_who_holds_the_lock(holder):
    path, process = holder
    message = rf"run r1 \(curator scan, pid {process.pid} on .+, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\+00:00\)"
    with pytest.raises(WorkspaceLocked, match=message) as caught, hold_lock(path, command="scan", run_id="r2"):
        pass
    assert ending_of(caught.value) == "locked"
    assert is_locked(path)


def test_second_writer_waits_for_the_name_of_one_who_has_just_come(tmp_path, monkeypatch):
    path = tmp_path / ".lock"
    with path.open("wb") as first:
        fcntl.flock(first, fcntl.LOCK_EX)

        def write_name(_: float) -> None:
            path.write_text(json.dumps(asdict(Holder.me("scan", "r1"))))

        monkeypatch.setattr(lock_module.time, "sleep", write_name)
        with pytest.raises(WorkspaceLocked, match="locked by run r1"), hold_lock(path, command="scan", run_id="r2"):
            pass


def test_lock_of_a_killed_process_is_free_at_once(holder):
    path, process = holder
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not is_locked(path)
    with hold_lock(path, command="scan", run_id="r2"):
        assert "run r2" in describe_holder(path)
    assert not is_locked(path)


def test_garbage_in_the_lock_file_does_not_matter(tmp_path):
    path = tmp_path / ".lock"
    path.write_text("garbage")
    assert describe_holder(path) == "another process"
    with hold_lock(path, command="scan", run_id="r1"):
        pass


def test_who_waits_gets_the_lock_when_the_holder_ends(holder):
    path, process = holder
    threading.Timer(0.5, process.kill).start()
    with hold_lock(path, command="bank build", run_id="r2", wait_seconds=BRAKE_SECONDS):
        assert process.wait() == -signal.SIGKILL
        assert "run r2 (curator bank build" in describe_holder(path)


def test_who_waits_gives_up_at_the_time_that_was_set(holder):
    path, _ = holder
    started = time.monotonic()
    with pytest.raises(WorkspaceLocked), hold_lock(path, command="scan", run_id="r2", wait_seconds=0.3):
        pass
    assert time.monotonic() - started >= 0.3


def test_text_of_a_run_that_died_is_taken_over_with_a_warning(holder, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("curator"), "propagate", True)
    path, process = holder
    process.kill()
    process.wait()
    assert read_holder(path).run_id == "r1"
    with hold_lock(path, command="scan", run_id="r2"):
        pass
    assert "taking over from run r1 (curator scan, pid " in caplog.text
    assert read_holder(path) is None


def test_run_that_fails_leaves_no_text(tmp_path):
    path = tmp_path / ".lock"
    with contextlib.suppress(ValueError), hold_lock(path, command="scan", run_id="r1"):
        raise ValueError
    assert path.read_bytes() == b""


def test_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock_module.fcntl, "flock", no_locks)
    with (
        pytest.raises(WorkspaceError, match="no file locks: Operation not supported") as caught,
        hold_lock(tmp_path / ".lock", command="scan", run_id="r1"),
    ):
        pass
    assert ending_of(caught.value) == "failed"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A lock file with the text of a run on another machine, whose flock does not reach this one."""
    monkeypatch.setattr(lock_module, "STALE_SECONDS", 0.6)
    path = tmp_path / ".lock"
    holder = replace(Holder.me("scan", "far-1"), host="far-away", boot="another-boot", pid=7)
    path.write_text(json.dumps(asdict(holder)))
    return path


@pytest.fixture
def beats(elsewhere):
    """Another process that touches the file, as the holder on the other machine does."""
    code = "import os, sys, time\nwhile True: os.utime(sys.argv[1]); time.sleep(0.05)"
    process = subprocess.Popen([sys.executable, "-c", code, str(elsewhere)])
    first = elsewhere.stat().st_mtime_ns
    wait_for(lambda: elsewhere.stat().st_mtime_ns != first)
    yield process
    process.kill()
    process.wait()


def test_living_run_on_another_machine_locks_though_its_flock_does_not_reach(elsewhere, beats, monkeypatch):
    monkeypatch.setattr(lock_module, "STALE_SECONDS", BRAKE_SECONDS)  # the next beat may be late
    assert not is_locked(elsewhere)
    before = elsewhere.read_text()
    message = r"run far-1 \(curator scan, pid 7 on far-away, since "
    with pytest.raises(WorkspaceLocked, match=message), hold_lock(elsewhere, command="scan", run_id="r2"):
        pass
    assert elsewhere.read_text() == before


def test_dead_run_on_another_machine_is_taken_over_after_its_silence(elsewhere):
    started = time.monotonic()
    with hold_lock(elsewhere, command="scan", run_id="r2"):
        assert time.monotonic() - started >= 0.6
        assert read_holder(elsewhere).run_id == "r2"


def test_who_waits_outlives_a_run_on_another_machine(elsewhere, beats):
    threading.Timer(0.4, beats.kill).start()
    with hold_lock(elsewhere, command="scan", run_id="r2", wait_seconds=BRAKE_SECONDS):
        assert read_holder(elsewhere).run_id == "r2"
    assert beats.wait() == -signal.SIGKILL


def test_holder_shows_that_it_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(lock_module, "BEAT_SECONDS", 0.01)
    path = tmp_path / ".lock"
    with hold_lock(path, command="scan", run_id="r1"):
        first, text = path.stat().st_mtime_ns, path.read_text()
        wait_for(lambda: path.stat().st_mtime_ns != first)
        assert path.read_text() == text
