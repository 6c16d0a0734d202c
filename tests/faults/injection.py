"""What is done to a run from inside: it is struck at its n-th event, sees another clock, or gets little to work with.

An event is a statement on a ledger, a flush to disk, a file that gets its name, or a file that is half written. Events
are counted in the order in which they happen, so a run can be struck at each of them, and again at the same.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import faiss

import curator.store.database as database
import curator.store.ledger as ledger
from curator.lake import read
from curator.lake.parquet import reading as parquet
from curator.lake.sources.local import LocalSource
from curator.lake.tar import reading as tar
from curator.types import Datum


@dataclass(slots=True)
class Strike:
    """A signal that a process sends itself at an event; `at` 0: never, the events are only counted.

    within: a statement is not struck before it begins, but while DuckDB is at work for it; `statement` has the first
    that holds this text struck, whichever event it is.
    """

    at: int
    signal: int
    within: bool = False
    statement: str = ""
    events: int = 0

    def is_due(self, sql: str = "") -> bool:
        self.events += 1
        if self.statement and self.statement in sql:
            self.at = self.events
            self.statement = ""
        return self.events == self.at

    def fall(self) -> None:
        os.kill(os.getpid(), self.signal)


def install(order: dict[str, Any]) -> Strike:
    """Make this process behave as ordered."""
    strike = Strike(
        at=int(order.get("at", 0)),
        signal=int(order.get("signal", signal.SIGKILL)),
        within=bool(order.get("within", False)),
        statement=str(order.get("statement", "")),
    )
    count_events(strike)
    if meanwhile := order.get("meanwhile"):
        act_at_datum(**meanwhile)
    if clock := order.get("clock"):
        turn_clock(clock)
    if "file_bytes" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"], order["file_bytes"]))
    if "more_memory" in order:
        limit = address_space() + order["more_memory"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return strike


def address_space() -> int:
    """Bytes of address space that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def count_events(strike: Strike) -> None:
    database.Database.execute = struck_within(database.Database.execute, strike)  # type: ignore[method-assign]
    for owner, name in (
        (os, "fsync"),
        (os, "replace"),
        (os, "copy_file_range"),
        (os, "pwrite"),
        (Path, "replace"),
        (Path, "rename"),
    ):
        setattr(owner, name, struck_before(getattr(owner, name), strike))
    for owner, name in ((Path, "write_bytes"), (Path, "write_text")):
        setattr(owner, name, struck_half_way(getattr(owner, name), strike))
    shutil.copyfile = struck_after_half(shutil.copyfile, strike, target=1)  # type: ignore[assignment]
    faiss.write_index = struck_after_half(faiss.write_index, strike, target=1)


def struck_before(function: Callable[..., Any], strike: Strike) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if strike.is_due():
            strike.fall()
        return function(*args, **kwargs)

    return wrapper


SLOW = "create or replace temp table slow as select range as a from range(10000000) order by hash(range)"


def struck_within(function: Callable[..., Any], strike: Strike) -> Callable[..., Any]:
    """For statements: the signal falls before one, or while DuckDB is at a slow one in its place.

    DuckDB may see the signal then, or leave it to Python, which sees it right after: both are to end alike.
    """

    def wrapper(self: Any, sql: str, *args: Any) -> Any:
        if strike.is_due(sql):
            if strike.within:
                threading.Timer(0.1, strike.fall).start()
                function(self, SLOW)
            else:
                strike.fall()
        return function(self, sql, *args)

    return wrapper


def struck_half_way(function: Callable[..., Any], strike: Strike) -> Callable[..., Any]:
    """For `write(path, data)`: half of the data are written when the strike falls."""

    def wrapper(path: Path, data: Any, *args: Any, **kwargs: Any) -> Any:
        if strike.is_due():
            function(path, data[: len(data) // 2], *args, **kwargs)
            strike.fall()
        return function(path, data, *args, **kwargs)

    return wrapper


def struck_after_half(function: Callable[..., Any], strike: Strike, *, target: int) -> Callable[..., Any]:
    """For what writes a file by itself: it is cut to half its length when the strike falls."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not strike.is_due():
            return function(*args, **kwargs)
        function(*args, **kwargs)
        path = Path(args[target])
        os.truncate(path, path.stat().st_size // 2)
        strike.fall()
        return function(*args, **kwargs)  # of a signal that did not end it

    return wrapper


def act_at_datum(at: int, code: str) -> None:
    """Run a piece of Python when the reader has read so many data; 0: when it has listed them and read none."""
    data = 0

    class ActingDatum(Datum):
        __slots__ = ()

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            nonlocal data
            super().__init__(*args, **kwargs)
            data += 1
            if data == at:
                exec(code)

    def listed(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: Any) -> Any:
            found = list(function(self))
            exec(code)
            return iter(found)

        return wrapper

    if at == 0:
        LocalSource.list = listed(LocalSource.list)  # type: ignore[method-assign]
    for module in (read, tar, parquet):
        module.Datum = ActingDatum  # type: ignore[attr-defined]


def turn_clock(jumps: list[list[float]]) -> None:
    """Wall clocks show other times: from the n-th look on, so many seconds more. Monotonic clocks stay."""
    real_now, real_time = ledger.utc_now, time.time
    looks = 0

    def offset() -> float:
        return next((seconds for first, seconds in reversed(jumps) if looks >= first), 0.0)

    def turned_now() -> Any:
        nonlocal looks
        looks += 1
        return real_now() + timedelta(seconds=offset())

    for module in list(sys.modules.values()):
        if getattr(module, "utc_now", None) is real_now:
            module.utc_now = turned_now  # type: ignore[attr-defined]
    time.time = lambda: real_time() + offset()
