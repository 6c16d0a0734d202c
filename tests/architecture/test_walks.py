"""The walks of ARCHITECTURE.md, taken: what a walk names is called on it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import curator
from tests.architecture.page import PAGE, STEP, sections

PACKAGE = f"{Path(curator.__file__).parent}/"
pytestmark = pytest.mark.slow  # each takes some commands, and watching them slows them down
# What runs in a process of its own or on large nights, and what only stands for many classes or faults.
UNSEEN = {
    "decode/failures.py:DecodeFailure",
    "decode/image.py:prepare_sampled",
    "engines/read_process.py:ReadProcess",
    "types.py:Encoder.encode_images",
}


@contextmanager
def watched() -> Iterator[set[str]]:
    """The functions of the package that are called meanwhile, in any thread, as `path:function`."""
    called: set[str] = set()

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            called.add(f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_code.co_qualname}")

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.fixture
def start(tmp_path, lake, make_workspace, run_cli, monkeypatch) -> Callable[..., None]:
    """A workspace without a night yet, in which command lines run."""
    make_workspace(tmp_path / "workspace")
    monkeypatch.chdir(tmp_path / "workspace")
    return run_cli


NIGHT = ("scan", "../lake", "--fail-on", "flag_rate>0.2", "--metrics-file", "night.prom")
COMMANDS = {
    "An image, from the lake to its flag": [NIGHT, ("sql", "select count(*) from report.flagged")],
    "A threshold": [NIGHT, ("calibrate", "--reference", "../lake", "--fdr", "0.5", "--by-class")],
    "A label": [("init", "../other", "--labels", "labels.txt", "--encoder", "fake"), NIGHT],
    "A generator's answer": [("bank", "eoe", "-s", "per_class=1"), ("bank", "eoe", "-s", "per_class=2")],
    "A condition": [NIGHT, ("report", "-o", "night.html", "--fail-on", "flag_rate>0.2")],
}


@pytest.mark.parametrize("title", COMMANDS)
def test_a_walk_goes_where_it_says(title, start):
    steps = {f"{file}:{name}" for file, name in STEP.findall(sections(PAGE.read_text())[title]) if file.endswith(".py")}
    with watched() as called:
        for command in COMMANDS[title]:
            assert start(*command, code=None).exit_code in (0, 4)  # 4: the condition holds
    assert steps - UNSEEN - called == set()
