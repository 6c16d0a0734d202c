"""What the program says while it works: one logger, lines for people or JSON lines, the run id in each.

Logs go to stderr; data go to stdout and never through here.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

log = logging.getLogger("curator")
_run_id: ContextVar[str | None] = ContextVar("run_id", default=None)


@contextmanager
def run_context(run_id: str) -> Iterator[None]:
    """Name the run in every line logged inside."""
    token = _run_id.set(run_id)
    try:
        yield
    finally:
        _run_id.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, run_id, message, and the fields given as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "run_id": _run_id.get(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return json.dumps(line, default=str)


class HumanFormatter(logging.Formatter):
    """`message`, with the level in front when it is a warning or worse; the run id in front with -v."""

    def __init__(self, *, verbose: bool) -> None:
        super().__init__()
        self._verbose = verbose

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        run = f"[{_run_id.get()}] " if self._verbose and _run_id.get() else ""
        return f"{run}{level}{record.getMessage()}"


def configure_logs(*, style: Literal["human", "json"] = "human", verbosity: int = 0) -> None:
    """Send curator's log to stderr. verbosity: -1 warnings only, 0 information, 1 debug. Call once, from the CLI."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else HumanFormatter(verbose=verbosity > 0))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel({-1: logging.WARNING, 0: logging.INFO}.get(verbosity, logging.DEBUG))
