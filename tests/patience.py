"""Tests wait for facts, not for times: a line, a file, the end of a process. What never comes must still end them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

BRAKE_SECONDS = 600.0  # for emergencies only: longer than the busiest machine takes for anything that a test waits for

Fact = TypeVar("Fact")


def wait_for(fact: Callable[[], Fact]) -> Fact:
    """Ask until there is something (or something true), and return it; fail after BRAKE_SECONDS."""
    end = time.monotonic() + BRAKE_SECONDS
    while not (found := fact()):
        assert time.monotonic() < end, f"waited for {BRAKE_SECONDS:g} seconds"
        time.sleep(0.02)
    return found
