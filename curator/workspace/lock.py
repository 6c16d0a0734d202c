"""One writer at a time: an advisory lock on a file that says who holds it.

The lock is the kernel's (flock), so it ends with the process however that ends; the text in the file is only for
the message to the one who has to wait. Readers never take it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from curator.errors import WorkspaceError, WorkspaceLocked

RETRY_SECONDS = 0.1


@contextmanager
def hold_lock(path: Path, *, command: str, run_id: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the workspace's lock for the time of the block.

    Raises WorkspaceLocked when it is taken: at once, or when it is not free after `wait_seconds`.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as fault:
        raise WorkspaceError(f"{path.parent}: cannot write to the workspace: {fault.strerror}") from fault
    try:
        _take(descriptor, path, deadline=time.monotonic() + wait_seconds)
        holder = {"command": command, "run_id": run_id, "pid": os.getpid(), "host": socket.gethostname()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, *, deadline: float) -> None:
    """Tries until the deadline: a blocking flock could not be given one. Who comes first is not who gets it first."""
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            if time.monotonic() >= deadline:
                raise WorkspaceLocked(
                    f"{path.parent}: the workspace is locked by {describe_holder(path)}",
                    hint="wait for it to end; reading (sql, query, index search) works meanwhile",
                ) from fault
        time.sleep(RETRY_SECONDS)


def describe_holder(path: Path) -> str:
    """Who the lock file says is writing, in words."""
    try:
        holder = json.loads(path.read_text())
        return f"run {holder['run_id']} (curator {holder['command']}, pid {holder['pid']} on {holder['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def is_locked(path: Path) -> bool:
    """Whether someone holds the lock now."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
