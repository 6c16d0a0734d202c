"""Reading that Ctrl-C ends at once.

Python hands a signal to the main thread, and only between two of its own steps; DuckDB keeps the main thread for as
long as a query lasts. So a query runs beside it, and the main thread waits. DuckDB looks up from most queries when it
is asked to; from some (planning, one long call of a function) it does not, and those are left behind: they only read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

import duckdb

Result = TypeVar("Result")
GRACE_SECONDS = 1.0  # for DuckDB to look up
LOOK_SECONDS = 0.5  # handlers of other libraries (Polars) let a wait go on after a signal, without end if it has none


def read(connection: duckdb.DuckDBPyConnection, query: Callable[[], Result]) -> Result:
    """What the query returns or raises. On KeyboardInterrupt, a connection that is still at it closes itself later."""
    if threading.current_thread() is not threading.main_thread():
        return query()  # no signal comes here
    outcome: Future[Result] = Future()
    try:
        _beside().put(partial(_settle, outcome, query))
        while wait([outcome], LOOK_SECONDS).not_done:
            pass
        return outcome.result()
    except KeyboardInterrupt:
        connection.interrupt()
        if wait([outcome], GRACE_SECONDS).not_done:
            outcome.add_done_callback(lambda _: connection.close())
            _leave()
        raise


def _settle(outcome: Future[Result], query: Callable[[], Result]) -> None:
    try:
        outcome.set_result(query())
    except BaseException as fault:  # it is raised where the outcome is waited for
        outcome.set_exception(fault)


_threads: list[SimpleQueue[Callable[[], None]]] = []  # what the thread beside the main one is asked by, once it runs


def _beside() -> SimpleQueue[Callable[[], None]]:
    """Begins the thread where there is none: of queries of a few milliseconds, a thread each is a tenth."""
    if not _threads:
        _threads.append(SimpleQueue())
        threading.Thread(target=_serve, args=(_threads[0],), name="curator-query", daemon=True).start()
    return _threads[0]


def _serve(asked: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        asked.get()()  # under no name, which would keep what was read until the next query


def _leave() -> None:
    """The next query begins another thread: this one is at work still, or of the process that ours was forked from."""
    _threads.clear()


os.register_at_fork(after_in_child=_leave)


@contextmanager
def interrupts() -> Iterator[None]:
    """For a statement in the main thread: DuckDB takes the KeyboardInterrupt of a signal, and raises one of its own."""
    try:
        yield
    except RuntimeError as fault:
        if str(fault) == "Query interrupted":
            raise KeyboardInterrupt from fault
        raise
