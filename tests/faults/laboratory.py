"""Where faults are tried out: workspaces in known states, commands that take them further, what unbroken runs give.

A trial copies a workspace, does something to it or to a run on it, lets the same command run again, and compares.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.conftest import SMALL_BANK
from tests.faults.lakes import make_known, make_lake, make_other
from tests.faults.ledger_tables import Tables, differences, faults_in, half_files, tables_of
from tests.faults.runs import Ended, Runs


@dataclass(frozen=True, slots=True)
class Command:
    """A command line and the state of the workspace that it starts from. `{known}` and the like are data folders."""

    state: str
    arguments: tuple[str, ...]


COMMANDS = {
    "scan": Command("built", ("scan", "{lake}")),
    "calibrate": Command("scanned", ("calibrate", "--reference", "{known}")),
    "score": Command("calibrated", ("score", "--bank", "base", "--method", "mcm", "--method", "max_logit")),
    "bank build": Command("fresh", ("bank", "build", "base")),
    "bank ants": Command("calibrated", ("bank", "ants", "--force")),
    "bank synood": Command("calibrated", ("bank", "synood")),
    "evaluate": Command(
        "scanned", ("evaluate", "--id", "{known}", "--ood", "other={other}", "--positive", "id", "--bootstrap", "9")
    ),
    "index build": Command("scanned", ("index", "build")),
    "publish": Command("scanned", ("publish",)),
}
# How a state comes from the one before it.
STATES = {"built": ("fresh", "bank build"), "scanned": ("built", "scan"), "calibrated": ("scanned", "calibrate")}


@dataclass(frozen=True, slots=True)
class Unbroken:
    """What a command leaves when nothing happens to it, and how many events it has."""

    tables: Tables
    events: int


@dataclass(slots=True)
class Trial:
    """What came of one fault. `runs`: of the program; `losses`: everything that is not as it would be without it."""

    kind: str
    what: str
    injected: int = 1
    runs: int = 0
    losses: list[str] = field(default_factory=list)
    skipped: str = ""

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.losses.append(otherwise)

    def expect_one_line(self, ended: Ended, *wanted: str, status: int = 1) -> None:
        """The run ended with this status and one line for the user that says all of what is wanted."""
        self.runs += 1
        self.expect(ended.status == status, f"status {ended.status} instead of {status}: {ended.stderr[-900:]}")
        self.expect("Traceback" not in ended.stderr, f"a traceback: {ended.stderr[-1500:]}")
        told = [line for line in ended.stderr.splitlines() if line.startswith("curator: ")]
        self.expect(len(told) == 1, f"{len(told)} lines for the user: {ended.stderr[-900:]}")
        for text in wanted:
            self.expect(text in " ".join(told), f"not said: {text!r} in {told}")


class Laboratory:
    """Runs, data and templates of workspaces under one temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = make_lake(folder / "lake")
        self.places = {
            "lake": str(self.lake),
            "known": str(make_known(folder / "known")),
            "other": str(make_other(folder / "other")),
        }
        self.runs = Runs(folder)
        self.unbroken = cache(self._unbroken)
        self.template = cache(self._template)

    def _template(self, state: str) -> Path:
        """A workspace in a state; never changed, only copied."""
        path = self.folder / "templates" / state
        if state == "fresh":
            labels = self.folder / "labels.txt"
            labels.write_text("red\ngreen\n", encoding="utf-8")
            self.must(self.runs.run("init", path, "--labels", labels, "--encoder", "fake"))
            (path / "banks" / "base.toml").write_text(SMALL_BANK, encoding="utf-8")
            return path
        before, command = STATES[state]
        self._copy(self.template(before), path)
        self.must(self.run(path, command))
        return path

    def _unbroken(self, command: str) -> Unbroken:
        with self.workspace(COMMANDS[command].state) as workspace:
            ended = self.must(self.run(workspace, command))
            assert ended.events is not None
            assert faults_in(workspace) == []
            return Unbroken(tables_of(snapshot(workspace)), ended.events)

    @contextmanager
    def workspace(self, state: str, *, within: Path | None = None) -> Iterator[Path]:
        """A copy of a workspace in a state, for the time of the block; `within` a folder instead of a temporary one."""
        parent = Path(tempfile.mkdtemp(dir=within or self.folder, prefix="trial-"))
        try:
            yield self._copy(self.template(state), parent / "workspace")
        finally:
            shutil.rmtree(parent, ignore_errors=True)

    @staticmethod
    def _copy(template: Path, path: Path) -> Path:
        def copy(source: str, target: str) -> None:
            """Files of caches are never written to, so a second name will do."""
            try:
                os.link(source, target) if "/cache/" in source else shutil.copyfile(source, target)
            except OSError:  # another file system
                shutil.copyfile(source, target)

        shutil.copytree(template, path, copy_function=copy, symlinks=True)  # the Parquet copy is one
        return path

    def arguments(self, workspace: Path, command: str) -> tuple[str, ...]:
        return ("-w", str(workspace), *(text.format(**self.places) for text in COMMANDS[command].arguments))

    def run(self, workspace: Path, command: str, **order: Any) -> Ended:
        return self.runs.run(*self.arguments(workspace, command), **order)

    @staticmethod
    def must(ended: Ended) -> Ended:
        assert ended.status == 0, ended.stderr
        return ended

    def recover(self, trial: Trial, workspace: Path, command: str) -> None:
        """Run the command again, untouched: it must leave what an unbroken run leaves, and nothing broken."""
        trial.losses += [f"not whole: {path.name}" for path in half_files(workspace)]
        trial.runs += 1
        ended = self.run(workspace, command)
        if ended.status != 0:
            trial.losses.append(f"run again: status {ended.status}: {ended.stderr[-1500:]}")
            return
        trial.losses += differences(tables_of(snapshot(workspace)), self.unbroken(command).tables)
        trial.losses += faults_in(workspace)


def snapshot(workspace: Path) -> Path:
    return workspace / "published" / "curator.duckdb"


Experiment = Callable[[Laboratory, random.Random], Trial]
