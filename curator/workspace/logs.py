"""What the program says while it works: one logger, lines for people or JSON lines, the run id in each.

Logs go to stderr; data go to stdout and never through here. In JSON every line of stderr is an object: warnings of
Python and of other packages, and the traceback of a bug, are lines of the log too. Events (`log_event`, `stage`) are
for programs: a person sees them with -v, a JSON log always has them.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO

from curator.printable import finite, printable
from curator.progress import step

log = logging.getLogger("curator")
STEPS = {  # of stages, for people
    "list": "list the sources",
    "known": "look up what is known",
    "count": "count what is flagged",
    "score": "score what is stored",
    "near_duplicates": "find near-duplicates",
    "same_format": "save all images alike",
    "publish": "publish the snapshot",
    "copy": "copy the report views as Parquet",
}
_run_id: ContextVar[str | None] = ContextVar("run_id", default=None)
_stage_seconds: ContextVar[dict[str, float] | None] = ContextVar("stage_seconds", default=None)


@contextmanager
def run_context(run_id: str) -> Iterator[None]:
    """Name the run in every line logged inside, and time its stages."""
    run, stages = _run_id.set(run_id), _stage_seconds.set({})
    try:
        yield
    finally:
        _stage_seconds.reset(stages)
        _run_id.reset(run)


def log_event(event: str, message: str, **fields: Any) -> None:
    """A line for programs: `event` names it, and its fields are stable."""
    log.info(message, extra={"fields": {"event": event, **fields}, "for_programs": True})


@contextmanager
def stage(name: str) -> Iterator[MutableMapping[str, Any]]:
    """Time a stage of the run and log its end, with the fields that the block puts into what it is given."""
    fields: dict[str, Any] = {}
    started = time.perf_counter()
    with step(STEPS.get(name, name)) if name != "read" else nullcontext():  # which says itself how far it is
        yield fields
    seconds = round(time.perf_counter() - started, 3)
    taken = _stage_seconds.get()
    if taken is not None:
        taken[name] = round(taken.get(name, 0.0) + seconds, 3)
    log_event("stage", f"{name}: {seconds:.1f} s", stage=name, seconds=seconds, **fields)


def stage_seconds() -> dict[str, float]:
    """The wall time of each stage that the run has ended, in order."""
    return dict(_stage_seconds.get() or {})


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
        return json.dumps(finite(line), default=str)


class HumanFormatter(logging.Formatter):
    """`message`, with the level in front when it is a warning or worse; the run id in front with -v."""

    def __init__(self, *, verbose: bool) -> None:
        super().__init__()
        self._verbose = verbose

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        run = f"[{_run_id.get()}] " if self._verbose and _run_id.get() else ""
        return f"{run}{level}{printable(record.getMessage())}"


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what stderr is by then: while bars are shown, to what puts lines above them."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute that is set once, of others
        return sys.stderr


def configure_logs(*, style: Literal["human", "json"] = "human", verbosity: int = 0) -> None:
    """Send curator's log to stderr. verbosity: -1 warnings only, 0 information, 1 debug. Call once, from the CLI."""
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else HumanFormatter(verbose=verbosity > 0))
    if style == "human" and verbosity <= 0:
        handler.addFilter(lambda record: not getattr(record, "for_programs", False))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel({-1: logging.WARNING, 0: logging.INFO}.get(verbosity, logging.DEBUG))
    if style == "json":
        _take_all_of_stderr()


def _take_all_of_stderr() -> None:
    """Make JSON lines of what other packages and Python itself would write as text."""
    others = logging.StreamHandler(sys.stderr)
    others.setFormatter(JsonFormatter())
    others.setLevel(logging.WARNING)
    logging.lastResort = others  # of every logger without a handler of its own
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").handlers[:] = [others]
    sys.excepthook = _log_bug


def _log_bug(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    fields = {"event": "bug", "traceback": "".join(traceback.format_exception(kind, fault, trace))}
    log.critical("%s: %s", kind.__name__, fault, extra={"fields": fields})
