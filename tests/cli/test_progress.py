"""Progress: bars on a terminal, a line now and then elsewhere, silence when asked; and never more than there is."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from curator.cli.terminal import progress
from curator.cli.terminal.progress import Display, ScanProgress
from curator.progress import step, steps
from curator.workspace.logs import JsonFormatter, run_context


@pytest.fixture
def lines(monkeypatch, caplog):
    """Of the log, whatever is under way when it is looked at."""
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(progress, "UNSEEN_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LOOK_SECONDS", 3600.0)  # by the test, not by the thread
    monkeypatch.setattr(logging.getLogger("curator"), "propagate", True)
    caplog.set_level(logging.INFO, logger="curator")
    return caplog


def test_a_line_tells_rate_and_time_left(lines):
    with Display(quiet=False) as display, ScanProgress() as scan:
        scan.begin(objects=2, byte_size=2000)
        scan.advance(data=10, byte_size=1000)
        display.look()
    assert lines.messages[-1].startswith("read, 10 images, 0 of 2 objects, 1.0 kB of 2.0 kB, ")
    assert "images/s, about " in lines.messages[-1] and lines.messages[-1].endswith(" s left")
    assert lines.records[-1].fields["data"] == 10


def test_never_more_than_there_is_and_no_time_below_nothing(lines):
    with Display(quiet=False) as display, ScanProgress() as scan:
        scan.begin(objects=2, byte_size=26_700_000)
        scan.advance(data=10, objects=1, byte_size=27_200_000)
        display.look()
    assert "26.7 MB of 26.7 MB" in lines.messages[-1] and "left" not in lines.messages[-1]


def test_the_innermost_step_is_said_and_ends_with_its_block(lines):
    with Display(quiet=False) as display:
        with step("bank mmood"), step("encode labels", 480, "texts") as encoding:
            encoding.advance(120)
            display.look()
        display.look()
    (line,) = lines.messages
    assert line.startswith("encode labels, 120 of 480 texts, about ") and not steps.under_way


def test_a_step_without_an_end_in_sight_says_for_how_long(lines):
    with Display(quiet=False) as display, step("publish the snapshot"):
        display.look()
    assert lines.messages == ["publish the snapshot, 0 s"]


def test_a_line_of_a_run_has_its_id_whoever_writes_it(lines, monkeypatch):
    said = []
    write = lambda record: said.append(json.loads(JsonFormatter().format(record)))  # noqa: E731
    monkeypatch.setattr(lines.handler, "emit", write)
    with Display(quiet=False) as display, run_context("the-run"), step("publish the snapshot"):
        thread = threading.Thread(target=display.look)
        thread.start()
        thread.join()
    assert [line["run_id"] for line in said] == ["the-run"]


def test_quiet_says_nothing(lines):
    threads = threading.active_count()
    with Display(quiet=True), step("anything"):
        assert threading.active_count() == threads
    assert lines.messages == []


def test_a_terminal_gets_bars_and_they_go_before_results(monkeypatch, lines, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Display(quiet=False) as display:
        with step("evaluate"), step("encode labels", 480, "texts") as encoding:
            encoding.advance(500)
            display.look()
            (outer, inner) = display._bar.tasks
            assert outer.description == "evaluate" and outer.total is None
            assert (inner.completed, inner.fields["amount"]) == (480, "480 of 480 texts")
        assert display._bar is None
        print("a result")
    assert capsys.readouterr().out == "a result\n"
    assert lines.messages == []


def test_clock():
    assert [progress.clock(seconds) for seconds in (7, 67, 3723)] == ["0:07", "1:07", "1:02:03"]
