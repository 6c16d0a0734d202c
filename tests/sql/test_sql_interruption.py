"""Queries beside the main thread: one that is left behind keeps none of those that come after it, nor does a fork."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from curator.store import interruption
from curator.store.interruption import read


class Connection:
    """A connection that does not look up when it is asked to."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def interrupt(self) -> None:
        self.told.append("interrupt")

    def close(self) -> None:
        self.told.append("close")


@pytest.fixture
def connection(monkeypatch) -> Connection:
    monkeypatch.setattr(interruption, "GRACE_SECONDS", 0.01)
    return Connection()


def test_queries_share_a_thread_beside_the_main_one(connection):
    threads = {read(connection, threading.current_thread) for _ in range(3)}
    assert len(threads) == 1 and threads.pop() is not threading.main_thread()
    with pytest.raises(ZeroDivisionError):
        read(connection, lambda: 1 // 0)


def test_a_query_that_is_left_behind_closes_its_connection_at_its_end_and_the_next_is_not_kept(connection):
    end = threading.Event()

    def endless() -> None:
        time.sleep(0.2)  # until the main thread waits: a signal on its way there may pass unseen
        os.kill(os.getpid(), signal.SIGINT)
        end.wait()

    with pytest.raises(KeyboardInterrupt):
        read(connection, endless)
    assert connection.told == ["interrupt"]
    assert read(connection, lambda: 5) == 5
    end.set()
    for _ in range(1000):
        if connection.told == ["interrupt", "close"]:
            return
        time.sleep(0.01)
    raise AssertionError(connection.told)


def test_a_forked_process_has_a_thread_of_its_own(connection):
    assert read(connection, lambda: 5) == 5
    if (process := os.fork()) == 0:
        signal.alarm(20)
        os._exit(read(connection, lambda: 7))
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7
