"""Work on a large snapshot in a process of its own, which ends with it: what it took of memory is then free again, and
requests are answered meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar, cast

from curator.errors import CuratorError, WorkspaceError
from curator.workspace.layout import Layout

LARGE_BYTES = 16 << 20  # of a snapshot, some 50,000 images; a process takes a second to start

Given = ParamSpec("Given")
Result = TypeVar("Result")


def apart(layout: Layout, work: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """What `work` returns or raises of CuratorErrors; in a process of its own for a large snapshot. Raises
    WorkspaceError where that process was ended."""
    try:
        is_large = layout.snapshot.stat().st_size > LARGE_BYTES
    except OSError:
        is_large = False
    if not is_large:
        return work(*args, **kwargs)
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, work, args, kwargs), daemon=True)
    process.start()
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError as fault:
        raise WorkspaceError("the process that reads the snapshot was ended", hint="is there memory enough?") from fault
    finally:
        process.kill()
        process.join()
        receiver.close()
    if isinstance(outcome, CuratorError):
        raise outcome
    return cast(Result, outcome)


def _answer(
    sender: Connection, work: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    """In the process: what comes of the work. Ctrl-C is for whoever asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)  # whoever looks at the page goes before
    try:
        sender.send(work(*args, **kwargs))
    except CuratorError as fault:
        sender.send(fault)
