"""The time that a decode process is waited for: as long as it works, or would if it could, and no longer.

An image may not only burn processor time, for which the process has a limit of its own, but also block: wait for a
lock that never opens, sleep, or stop to read its socket. A plain time-out would reject good images where the machine
is busy, paused or suspended. So what is counted is idleness, in looks of a second: the process neither runs, nor waits
for a core or for the disk (states R and D of `/proc/PID/stat`), and its processor time stands still. A machine that
was suspended for a night, and a parent that was stopped, count one look. The processor time is looked at from outside,
too: a process that a hostile image has taken over can switch off its own limit.
"""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

LOOK_SECONDS = 1.0
IDLE_LOOKS = 120  # decoders never wait for anything; this is for machines on which a second is not one
WORKING = ("R", "D")


class Hanging(Exception):
    """A process did nothing for so long, or worked beyond its limit, that it has to be ended. One line says which."""


class Patience:
    """Waits for one answer of a process. `cpu_seconds`: processor time that it may take for it; None: any."""

    def __init__(
        self, pid: int, *, cpu_seconds: float | None, look_seconds: float = LOOK_SECONDS, idle_looks: int = IDLE_LOOKS
    ) -> None:
        self._pid = pid
        self._cpu_seconds = cpu_seconds
        self._look_seconds = look_seconds
        self._idle_looks = idle_looks
        self._idle = 0
        self._begun: float | None = None  # its processor time at the first look
        self._last = -1.0

    def until(self, channel: socket.socket, event: int) -> None:
        """Return once the socket is ready to be read (POLLIN) or written (POLLOUT). Raises Hanging."""
        poll = select.poll()
        poll.register(channel, event)
        while not poll.poll(self._look_seconds * 1000):
            self._look()

    def _look(self) -> None:
        state, seconds = process_state(self._pid)
        self._begun = seconds if self._begun is None else self._begun
        self._idle = self._idle + 1 if state not in WORKING and seconds == self._last else 0
        self._last = seconds
        if self._idle >= self._idle_looks:
            raise Hanging(f"did nothing for {self._idle_looks * self._look_seconds:g} s")
        if self._cpu_seconds is not None and seconds - self._begun > self._cpu_seconds:
            raise Hanging(f"took more than {self._cpu_seconds:g} s of processor time")


def process_state(pid: int) -> tuple[str, float]:
    """The state of a process and its processor time in seconds; nothing and 0 where there is no `/proc` to tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "", 0.0
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
