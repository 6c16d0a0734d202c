"""How a scan shows that it is alive: a bar with rate and ETA on a terminal, a heartbeat line elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from curator.cli.output import bytes_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

HEARTBEAT_SECONDS = 10.0


class ScanProgress(AbstractContextManager["ScanProgress"]):
    """A scan watcher for the terminal. Use it in a `with`; it shows nothing until there is something to read."""

    def __init__(self, *, quiet: bool, plain: bool = False) -> None:
        """plain: lines of the log on a terminal too, and no bar."""
        self._quiet = quiet
        self._plain = plain
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._started = self._last_line = time.monotonic()
        self._objects = self._bytes = self._data = 0
        self._total_objects = self._total_bytes = 0

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, *, objects: int, byte_size: int) -> None:
        """So much is to be read."""
        self._total_objects, self._total_bytes = objects, byte_size
        self._started = self._last_line = time.monotonic()
        if sys.stderr.isatty() and not self._quiet and not self._plain:
            self._bar = _make_bar()
            self._task = self._bar.add_task("scan", total=max(byte_size, 1), data=0, rate=0.0)
            self._bar.start()

    def advance(self, *, data: int = 0, objects: int = 0, byte_size: int = 0) -> None:
        """So much more was done."""
        self._data += data
        self._objects += objects
        self._bytes += byte_size
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._bytes, data=self._data, rate=self._rate())
        elif not self._quiet and time.monotonic() - self._last_line >= HEARTBEAT_SECONDS:
            self._last_line = time.monotonic()
            self._heartbeat()

    def _rate(self) -> float:
        return self._data / max(time.monotonic() - self._started, 1e-9)

    def _heartbeat(self) -> None:
        from curator.workspace.logs import log

        seconds = time.monotonic() - self._started
        left = seconds * (self._total_bytes - self._bytes) / self._bytes if self._bytes else None
        log.info(
            "%d images, %d of %d objects, %s of %s, %.0f images/s, %s",
            self._data,
            self._objects,
            self._total_objects,
            bytes_text(self._bytes),
            bytes_text(self._total_bytes),
            self._rate(),
            "time left unknown" if left is None else f"about {left:.0f} s left",
            extra={"fields": {"event": "heartbeat", "data": self._data, "objects": self._objects}},
        )


def _make_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[data]} images"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rate]:.0f}/s"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
