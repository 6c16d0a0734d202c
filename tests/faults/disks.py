"""Disks that are full, or that cannot be written: a small tmpfs where one may be mounted, else limits of a process."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.faults.laboratory import COMMANDS, Laboratory, Trial, snapshot

ROOM = 512 << 20
WRITING = ("scan", "calibrate", "score", "bank build", "bank ants", "bank synood", "evaluate", "publish")
NO_MOUNT = "this process may not mount a file system"


def mount(*arguments: object) -> bool:
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode == 0


@cache
def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() != 0 or not mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", folder):
            return False
        subprocess.run(["umount", folder], check=True)
        return True


@contextmanager
def disk(lab: Laboratory) -> Iterator[Path]:
    """A disk of its own, a folder; `resize` and `freeze` change it."""
    folder = Path(tempfile.mkdtemp(dir=lab.folder, prefix="disk-"))
    assert mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def used_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def fill_disk(lab: Laboratory, rng: random.Random, *, command: str | None = None, spare: int | None = None) -> Trial:
    """A run on a disk with little room; then there is room again."""
    command = command or rng.choice(WRITING)
    spare = rng.choice([0, 8 << 10, rng.randint(0, 4 << 20), rng.randint(0, 12 << 20)]) if spare is None else spare
    trial = Trial("disk full", f"{command}: {spare >> 10} KiB are free")
    if not may_mount():
        return limit_files(lab, rng, command=command)
    lab.unbroken(command)
    with disk(lab) as folder, lab.workspace(COMMANDS[command].state, within=folder) as workspace:
        assert mount("-o", f"remount,size={used_bytes(folder) + spare}", folder)
        ended = lab.run(workspace, command)
        if ended.status == 0:
            trial.injected, trial.runs = 0, 1
        else:
            trial.expect_one_line(ended, "free some space", str(workspace))
        assert mount("-o", f"remount,size={ROOM}", folder)
        lab.recover(trial, workspace, command)
    return trial


def limit_files(lab: Laboratory, rng: random.Random, *, command: str | None = None, limit: int | None = None) -> Trial:
    """A run whose files may not grow beyond a size, as under a quota; then they may."""
    command = command or rng.choice(WRITING)
    limit = rng.choice([0, 4 << 10, 64 << 10, rng.randint(0, 8 << 20)]) if limit is None else limit
    trial = Trial("file size limit", f"{command}: {limit >> 10} KiB")
    lab.unbroken(command)
    with lab.workspace(COMMANDS[command].state) as workspace:
        # What the run says goes to files as well, and must be heard.
        ended = lab.run(workspace, command, file_bytes=max(limit, 4096))
        if ended.status == 0:
            trial.injected, trial.runs = 0, 1
        else:
            trial.expect_one_line(ended, "free some space")
        lab.recover(trial, workspace, command)
    return trial


def freeze_disk(lab: Laboratory, rng: random.Random, *, command: str | None = None) -> Trial:
    """A run on a disk that is mounted read-only: it says so, and what only reads goes on working."""
    command = command or rng.choice(WRITING)
    trial = Trial("read-only disk", command)
    if not may_mount():
        trial.injected, trial.skipped = 0, NO_MOUNT
        return trial
    lab.unbroken(command)
    with disk(lab) as folder, lab.workspace(COMMANDS[command].state, within=folder) as workspace:
        assert mount("-o", "remount,ro", folder)
        trial.expect_one_line(lab.run(workspace, command), "Read-only file system", str(workspace))
        if snapshot(workspace).is_file():
            for reading in (("query", "flagged"), ("sql", "select count(*) from report.scores"), ("doctor",)):
                ended = lab.runs.run("-w", workspace, *reading)
                trial.runs += 1
                wanted = 1 if reading == ("doctor",) else 0  # it says that the disk cannot be written
                trial.expect(ended.status == wanted and "Traceback" not in ended.stderr, f"{reading}: {ended.stderr}")
        assert mount("-o", "remount,rw", folder)
        lab.recover(trial, workspace, command)
    return trial
