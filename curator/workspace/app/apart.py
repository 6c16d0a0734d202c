"""Work in a process of its own, which ends with it: what it took of memory is then free again, and requests are
answered meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar, cast

from curator.errors import CuratorError, WorkspaceError
from curator.progress import steps
from curator.workspace.layout import Layout

LARGE_BYTES = 16 << 20  # of a snapshot, some 50,000 images; a process takes a second to start
ENDING_SECONDS = 5.0  # for the process to be gone when it says nothing more
TELL_SECONDS = 0.3  # between two words of how far the work is

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class HowFar:
    """What is under way in the process, in words: `embed labels, 120 of 480 labels`."""

    said: str


class WorkProcess:
    """Some work that was begun in a process of its own; `end` it."""

    def __init__(
        self, work: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object] | None = None
    ) -> None:
        context = get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_answer, args=(sender, work, args, kwargs or {}), daemon=True)
        self._process.start()
        sender.close()

    def outcome(self, tell: Callable[[str], None] = lambda said: None) -> object:
        """What the work returns or raises of CuratorErrors; `tell` is told how far it is. Raises WorkspaceError where
        the process was ended."""
        while True:
            try:
                found = self._receiver.recv()
            except (EOFError, OSError) as fault:
                raise self._ended() from fault
            if isinstance(found, CuratorError):
                raise found
            if not isinstance(found, HowFar):
                return found
            tell(found.said)

    def _ended(self) -> WorkspaceError:
        """Why the process said nothing more: memory is short where the system killed it."""
        self._process.join(ENDING_SECONDS)
        if (code := self._process.exitcode) == -signal.SIGKILL:
            return WorkspaceError("the process that does the work was ended", hint="is there memory enough?")
        return WorkspaceError("the process that does the work was ended", hint=f"exit code {code}")

    def end(self) -> None:
        """End the process, also in the midst of its work."""
        self._process.kill()
        self._process.join()


def is_large(layout: Layout) -> bool:
    """Whether work on the snapshot is done apart."""
    try:
        return layout.snapshot.stat().st_size > LARGE_BYTES
    except OSError:
        return False


def apart(layout: Layout, work: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """What `work` returns or raises of CuratorErrors; in a process of its own for a large snapshot. Raises
    WorkspaceError where that process was ended."""
    if not is_large(layout):
        return work(*args, **kwargs)
    process = WorkProcess(work, args, kwargs)
    try:
        return cast(Result, process.outcome())
    finally:
        process.end()


def _answer(
    sender: Connection, work: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object]
) -> None:
    """In the process: how far the work is, and what comes of it. Ctrl-C is for whoever asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)  # whoever looks at the page goes before
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # DuckDB draws bars there, where it takes the process for a session
    ended = threading.Event()
    teller = threading.Thread(target=_tell, args=(sender, ended), daemon=True)
    teller.start()
    outcome: object
    try:
        outcome = work(*args, **kwargs)
    except CuratorError as fault:
        outcome = fault
    except Exception as fault:  # of this program: said to whoever waits, where it happened to the log
        traceback.print_exc()
        outcome = WorkspaceError(
            f"{type(fault).__name__}: {fault}", hint="this is a fault of curator: please report it"
        )
    finally:
        ended.set()
        teller.join()  # two at once would mix what they send
    with suppress(BrokenPipeError):  # nobody waits any more
        sender.send(outcome)


def _tell(sender: Connection, ended: threading.Event) -> None:
    """Say how far the work is, as often as that changes."""
    before = ""
    while not ended.wait(TELL_SECONDS):
        said = ", ".join(part for step in steps.under_way[-1:] for part in (step.name, step.amount()) if part)
        if said != before:
            before = said
            with suppress(BrokenPipeError):
                sender.send(HowFar(said))
