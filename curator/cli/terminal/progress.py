"""How a command shows that it is alive: bars with rate and time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from curator.cli.terminal.rows import bytes_text
from curator.progress import Step, steps

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

HEARTBEAT_SECONDS = 10.0
LOOK_SECONDS = 0.25
UNSEEN_SECONDS = 1.0  # a step that takes less is not shown


class Display(AbstractContextManager["Display"]):
    """Shows the steps that are under way within it, from a thread of its own, so that also one call that takes long is
    seen to go on. plain: lines of the log on a terminal, too. quiet: nothing."""

    def __init__(self, *, quiet: bool, plain: bool = False) -> None:
        self._quiet = quiet
        self._bars = sys.stderr.isatty() and not plain
        self._bar: Progress | None = None
        self._tasks: dict[Step, TaskID] = {}
        self._said = time.monotonic()
        self._lock = threading.RLock()
        self._over = threading.Event()

    def __enter__(self) -> Display:
        if not self._quiet:
            steps.ended = self.clear
            threading.Thread(target=self._watch, name="curator-progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.clear()
        steps.ended = lambda: None

    def clear(self) -> None:
        """Take the bars away: what comes next is a result."""
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
            self._bar = None
            self._tasks.clear()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Show what is under way by now."""
        with self._lock:
            seen = [step for step in steps.under_way if step.seconds >= UNSEEN_SECONDS]
            if not seen or self._over.is_set():
                return
            if self._bars:
                self._draw(seen)
            elif time.monotonic() - max(self._said, seen[-1].began) >= HEARTBEAT_SECONDS:
                self._said = time.monotonic()
                seen[-1].context.run(say_step, seen[-1])

    def _draw(self, seen: list[Step]) -> None:
        if self._bar is None:
            self._bar = make_bar()
            self._bar.start()
        for step in [step for step in self._tasks if step not in seen]:
            self._bar.remove_task(self._tasks.pop(step))
        for step in seen:
            if step not in self._tasks:
                self._tasks[step] = self._bar.add_task(step.name, total=step.total or None, amount="", times="")
            left = step.seconds_left
            self._bar.update(
                self._tasks[step],
                completed=min(step.done, step.total or 0),
                amount=step.amount(),
                times=clock(step.seconds) + ("" if left is None else f", {clock(left)} left"),
            )
        self._bar.refresh()


def say_step(step: Step) -> None:
    """A line of the log: how far it is."""
    from curator.workspace.logs import log

    left = step.seconds_left
    parts = (step.name, step.amount(), f"{step.seconds:.0f} s" if left is None else f"about {left:.0f} s left")
    fields = {"event": "heartbeat", "step": step.name, "done": step.done, "total": step.total, **step.fields}
    log.info(", ".join(filter(None, parts)), extra={"fields": fields})


def clock(seconds: float) -> str:
    """`0:07`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


class ScanStep(Step):
    """Reading a lake: done and total are bytes."""

    images = objects = total_objects = 0

    def amount(self) -> str:
        done, total = min(self.done, self.total or 0), self.total or 0
        rate = self.images / max(self.seconds, 1e-9)
        return (
            f"{self.images} images, {min(self.objects, self.total_objects)} of {self.total_objects} objects, "
            f"{bytes_text(done)} of {bytes_text(total)}, {rate:.0f} images/s"
        )


class ScanProgress(AbstractContextManager["ScanProgress"]):
    """A scan watcher that makes a step of the reading. Use it in a `with`."""

    def __init__(self) -> None:
        self._step: ScanStep | None = None

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._step is not None:
            steps.end(self._step)
        self._step = None

    def begin(self, *, objects: int, byte_size: int) -> None:
        """So much is to be read."""
        self._end()
        self._step = ScanStep("read", byte_size)
        self._step.total_objects = objects
        if objects:
            steps.begin(self._step)

    def advance(self, *, data: int = 0, objects: int = 0, byte_size: int = 0) -> None:
        """So much more was done."""
        if self._step is None:
            return
        self._step.images += data
        self._step.objects += objects
        self._step.fields = {"data": self._step.images, "objects": self._step.objects}
        self._step.advance(byte_size)
        if self._step.objects >= self._step.total_objects > 0:
            self._end()


def make_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[amount]}", markup=False),
        TextColumn("{task.fields[times]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # results are no lines of stderr
        auto_refresh=False,
    )
