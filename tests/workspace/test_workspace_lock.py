"""One writer at a time, and the lock ends with its holder however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from curator.errors import WorkspaceLocked
from curator.workspace.lock import describe_holder, hold_lock, is_locked

HOLDER = """
import sys, time
from pathlib import Path
from curator.workspace.lock import hold_lock
with hold_lock(Path(sys.argv[1]), command="scan", run_id="r1"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    path = tmp_path / ".lock"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield path, process
    process.kill()
    process.wait()
    process.stdout.close()


def test_second_writer_is_told_who_holds_the_lock(holder):
    path, process = holder
    message = rf"run r1 \(curator scan, pid {process.pid} on "
    with pytest.raises(WorkspaceLocked, match=message) as caught, hold_lock(path, command="scan", run_id="r2"):
        pass
    assert caught.value.exit_code == 5
    assert is_locked(path)


def test_lock_of_a_killed_process_is_free_at_once(holder):
    path, process = holder
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.05)
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
    started = time.monotonic()
    with hold_lock(path, command="bank build", run_id="r2", wait_seconds=30):
        assert 0.4 < time.monotonic() - started < 10
        assert "run r2 (curator bank build" in describe_holder(path)


def test_who_waits_gives_up_at_the_time_that_was_set(holder):
    path, _ = holder
    started = time.monotonic()
    with pytest.raises(WorkspaceLocked), hold_lock(path, command="scan", run_id="r2", wait_seconds=0.3):
        pass
    assert 0.3 <= time.monotonic() - started < 5
