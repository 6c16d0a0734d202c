"""Serving the app: until Ctrl-C, while snapshots come and decisions go."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from curator.workspace.app.desk import AppDesk, keep_up
from curator.workspace.context import Context

Ready: TypeAlias = Callable[[str, int], None]

FOLLOW_SECONDS = 1.0
RECORD_SECONDS = 60.0


def serve_app(
    context: Context, *, port: int, reviewer: str, ready: Ready | None, ended: threading.Event
) -> tuple[int, bool]:
    """Serve the app until `ended` is set, or Ctrl-C. `ready(address, images)` is called when it can be opened.

    Returns how many decisions were taken down, and whether all are recorded. Raises UsageError when the port cannot be
    had, WorkspaceError where nothing was scanned yet.
    """
    from curator.app.server import AppServer

    context.looker_processes = len(os.sched_getaffinity(0))
    desk = AppDesk(context, reviewer=reviewer)
    try:
        desk.make_ready()
        with AppServer(desk, port=port) as server, suppress(KeyboardInterrupt):  # how people end it
            if ready is not None:
                ready(server.address, len(desk))
            recorded_at = time.monotonic()
            keep_up(desk, is_time_to_record=False)
            while not ended.wait(FOLLOW_SECONDS):
                is_time = time.monotonic() - recorded_at >= RECORD_SECONDS
                recorded_at = time.monotonic() if is_time else recorded_at
                keep_up(desk, is_time_to_record=is_time)
    finally:
        recorded = desk.close()
    return desk.decisions.taken_down, recorded
