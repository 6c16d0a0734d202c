"""Reading that Ctrl-C ends at once.

Python hands a signal to the main thread, and only between two of its own steps; DuckDB keeps the main thread for as
long as a query lasts. So a query runs beside it, and the main thread waits. DuckDB looks up from most queries when it
is asked to; from some (planning, one long call of a function) it does not, and those are left behind: they only read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

import duckdb

Result = TypeVar("Result")
GRACE_SECONDS = 1.0  # for DuckDB to look up


def read(connection: duckdb.DuckDBPyConnection, query: Callable[[], Result]) -> Result:
    """What the query returns or raises. On KeyboardInterrupt, a connection that is still at it closes itself later."""
    if threading.current_thread() is not threading.main_thread():
        return query()  # no signal comes here
    outcome: Future[Result] = Future()
    try:
        threading.Thread(target=_settle, args=(outcome, query), name="curator-query", daemon=True).start()
        return outcome.result()
    except KeyboardInterrupt:
        connection.interrupt()
        if wait([outcome], GRACE_SECONDS).not_done:
            outcome.add_done_callback(lambda _: connection.close())
        raise


def _settle(outcome: Future[Result], query: Callable[[], Result]) -> None:
    try:
        outcome.set_result(query())
    except BaseException as fault:  # it is raised where the outcome is waited for
        outcome.set_exception(fault)


@contextmanager
def interrupts() -> Iterator[None]:
    """For a statement in the main thread: DuckDB takes the KeyboardInterrupt of a signal, and raises one of its own."""
    try:
        yield
    except RuntimeError as fault:
        if str(fault) == "Query interrupted":
            raise KeyboardInterrupt from fault
        raise
