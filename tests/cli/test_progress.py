"""Progress: a heartbeat where there is no terminal, a bar where there is one, silence when asked."""

from __future__ import annotations

import logging

import pytest

from curator.cli import progress
from curator.cli.progress import ScanProgress


@pytest.fixture
def heartbeat(monkeypatch, caplog):
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(logging.getLogger("curator"), "propagate", True)
    caplog.set_level(logging.INFO, logger="curator")
    return caplog


def run_scan(shown: ScanProgress) -> None:
    with shown:
        shown.begin(objects=2, byte_size=2000)
        shown.advance(data=10, byte_size=1000)
        shown.advance(objects=1)


def test_heartbeat_tells_rate_and_time_left(heartbeat):
    run_scan(ScanProgress(quiet=False))
    line = heartbeat.messages[-1]
    assert "10 images, 1 of 2 objects, 1.0 kB of 2.0 kB" in line
    assert "images/s" in line
    assert "s left" in line


def test_quiet_says_nothing(heartbeat):
    run_scan(ScanProgress(quiet=True))
    assert heartbeat.messages == []


def test_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    shown = ScanProgress(quiet=False)
    with shown:
        shown.begin(objects=2, byte_size=2000)
        shown.advance(data=10, byte_size=1000)
        assert shown._bar is not None
        task = shown._bar.tasks[0]
        assert (task.completed, task.fields["data"]) == (1000, 10)
