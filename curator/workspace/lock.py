"""One writer at a time: an advisory lock on a file that says who holds it, since when, and that it is alive.

The lock is the kernel's (flock), so on one machine it ends with the process, however that ends: text that is left in a
file that nobody holds is that of a run that died, and the next run takes over at once.

On a network file system the flock of one machine may not reach another. So a holder also touches the file every
BEAT_SECONDS, and text of another machine (another boot of the kernel) is believed as long as it is touched: a run that
finds such text watches the file on its own clock, which needs no clock that both share. Touched: locked. Still for
STALE_SECONDS: that run died. What this cannot hold apart are two machines that begin in the same moment where flock
does not reach; there DuckDB's own lock on the ledger is the last door. A file system without flock is refused.

Readers never take the lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from curator.errors import WorkspaceError, WorkspaceLocked
from curator.workspace.logs import log

RETRY_SECONDS = 0.1
NAMELESS_SECONDS = 2.0  # from taking the lock to writing a name, or back, on a busy machine
BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0  # twelve beats: a holder whose storage hangs for longer writes nothing either


@dataclass(frozen=True, slots=True)
class Holder:
    """Who the text of a lock file names. `boot` names the running kernel: containers of a machine share it."""

    command: str
    run_id: str
    pid: int
    host: str
    boot: str = ""
    since: str = ""

    @classmethod
    def me(cls, command: str, run_id: str) -> Holder:
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        return cls(command, run_id, os.getpid(), socket.gethostname(), boot_id(), since)

    @property
    def is_of_this_machine(self) -> bool:
        return self.boot == boot_id()

    def __str__(self) -> str:
        since = f", since {self.since}" if self.since else ""
        return f"run {self.run_id} (curator {self.command}, pid {self.pid} on {self.host}{since})"


def boot_id() -> str:
    """The id of this boot of this machine's kernel; the host's name where the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


@contextmanager
def hold_lock(path: Path, *, command: str, run_id: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the workspace's lock for the time of the block.

    Raises WorkspaceLocked when it is taken, or not free after `wait_seconds`; WorkspaceError where it cannot be taken.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as fault:
        raise WorkspaceError(f"{path.parent}: cannot write to the workspace: {fault.strerror}") from fault
    try:
        deadline = time.monotonic() + wait_seconds
        _take(descriptor, path, deadline=deadline)
        _outlive_holder(path, deadline=deadline)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(Holder.me(command, run_id))).encode(), 0)
        try:
            with _beating(descriptor):
                yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, *, deadline: float) -> None:
    """Tries until the deadline: a blocking flock could not be given one. Who comes first is not who gets it first.

    A holder without a name has just come, or is about to go: another look tells who it is, or gets the lock.
    """
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            if time.monotonic() >= deadline + (0.0 if read_holder(path) else NAMELESS_SECONDS):
                raise _locked(path) from fault
        except OSError as fault:
            raise WorkspaceError(
                f"{path.parent}: its file system has no file locks: {fault.strerror}",
                hint="keep the workspace on a local disk or on NFS 4; sources may lie anywhere",
            ) from fault
        time.sleep(RETRY_SECONDS)


def _outlive_holder(path: Path, *, deadline: float) -> None:
    """Returns when nobody on another machine holds the lock that is ours on this one."""
    holder = read_holder(path)
    if holder is None:
        return
    if not holder.is_of_this_machine:
        _watch(path, holder, deadline=deadline)
    log.warning("taking over from %s, which died", holder)


def _watch(path: Path, holder: Holder, *, deadline: float) -> None:
    """Returns when the file has been still for STALE_SECONDS; raises WorkspaceLocked when it is touched, and goes on
    so until the deadline."""
    log.info("the lock names %s, another machine: watching for %g s whether it lives", holder, STALE_SECONDS)
    seen, since = _state(path), time.monotonic()
    while time.monotonic() - since < STALE_SECONDS:
        time.sleep(RETRY_SECONDS)
        now = _state(path)
        if now is not None and now[1] == 0:
            return  # it has ended well: an ended run leaves no text
        if now != seen:
            if time.monotonic() >= deadline:
                raise _locked(path)
            seen, since = now, time.monotonic()


def _state(path: Path) -> tuple[int, int] | None:
    """Time and size of the file. Opened anew: on NFS that is what asks the server."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        return found.st_mtime_ns, found.st_size
    finally:
        os.close(descriptor)


@contextmanager
def _beating(descriptor: int) -> Iterator[None]:
    """Touches the file every BEAT_SECONDS while the block runs."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            with suppress(OSError):  # a full or failing disk is for the run itself to meet
                os.utime(descriptor)

    thread = threading.Thread(target=beat, name="curator-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _locked(path: Path) -> WorkspaceLocked:
    return WorkspaceLocked(
        f"{path.parent}: the workspace is locked by {describe_holder(path)}",
        hint="wait for it to end; reading (sql, query, index search) works meanwhile",
    )


def read_holder(path: Path) -> Holder | None:
    """Who the text of the lock file names; None when it names nobody."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Holder(**{name: document[name] for name in Holder.__slots__ if name in document})
    except (OSError, ValueError, TypeError):
        return None


def describe_holder(path: Path) -> str:
    """Who the lock file says is writing, in words."""
    return str(read_holder(path) or "another process")


def is_locked(path: Path) -> bool:
    """Whether someone on this machine, or where flock reaches, holds the lock now."""
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
