"""What a run of the tests cost, by room: processor seconds and seconds by the clock, shown at its end."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
KEY = "timing"


def processor_seconds() -> float:
    """Of this process and of those that it waited for."""
    used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


class Timing:
    """Room -> [tests, processor seconds, seconds]. Workers hand theirs over, the controller adds them up.

    A process that outlives its test counts with the test that waits for it, or with none; the sum has them all.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._rooms: dict[str, list[float]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        used, began = processor_seconds(), time.monotonic()
        try:
            return (yield)
        finally:
            self._add(item.path.relative_to(TESTS).parts[0], [1, processor_seconds() - used, time.monotonic() - began])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[KEY] = self._rooms

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for room, spent in getattr(node, "workeroutput", {}).get(KEY, {}).items():
            self._add(room, spent)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._rooms:
            return
        terminalreporter.section("processor seconds, seconds and tests by room")
        dearest = sorted(self._rooms.items(), key=lambda room: -room[1][1])
        for room, (tests, used, lasted) in dearest:
            terminalreporter.write_line(f"{used:8.1f} {lasted:8.1f} {tests:6.0f}  {room}")
        in_tests = sum(used for _, used, _ in self._rooms.values())
        used, lasted = processor_seconds(), time.monotonic() - self._started
        tests = sum(tests for tests, _, _ in self._rooms.values())
        terminalreporter.write_line(f"{used - in_tests:8.1f}                  starting, collecting, shared processes")
        terminalreporter.write_line(f"{used:8.1f} {lasted:8.1f} {tests:6.0f}  in all")

    def _add(self, room: str, spent: list[float]) -> None:
        known = self._rooms.setdefault(room, [0, 0.0, 0.0])
        self._rooms[room] = [sum(pair) for pair in zip(known, spent, strict=True)]
