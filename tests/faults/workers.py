"""Decode processes that are killed or stopped from outside, and a parent that runs out of memory."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from tests.faults.laboratory import COMMANDS, Laboratory, Trial


def children_of(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return []


def kill_decoders(lab: Laboratory, rng: random.Random, *, number: signal.Signals | None = None) -> Trial:
    """Decode processes die, or stand still for a while, while they work: nobody's image is lost for it."""
    number = number or rng.choice([signal.SIGKILL, signal.SIGSTOP])
    trial = Trial("decode process killed", number.name, injected=0, runs=1)
    lab.unbroken("scan")
    with lab.workspace("built") as workspace:
        running = lab.runs.start(*lab.arguments(workspace, "scan"), workers=2)
        deadline = time.monotonic() + 20
        while not (children := children_of(running.pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.6))
        for child in children[: 1 if number == signal.SIGKILL else 2]:
            if child in children_of(running.pid):
                os.kill(child, number)
                trial.injected += 1
        if number == signal.SIGSTOP:
            time.sleep(0.5)
            for child in children:
                if child in children_of(running.pid):
                    os.kill(child, signal.SIGCONT)
        ended = running.wait()
        if ended.status != 0:
            trial.runs -= 1
            trial.expect_one_line(ended, "decode process")
        lab.recover(trial, workspace, "scan")
    return trial


# A C or C++ library that has no other way out, or does not look at what it was given, or the loader (127); DuckDB 2.0
# may also wait for ever for a task that found no memory. What is committed stays.
ENDS_WITHOUT_MEMORY = (-signal.SIGABRT, -signal.SIGSEGV, 127, -signal.SIGALRM)


def starve(lab: Laboratory, rng: random.Random, *, command: str | None = None, megabytes: int | None = None) -> Trial:
    """A parent that may not have more memory ends with one line, and goes on when it may."""
    command = command or rng.choice(["scan", "calibrate", "score", "evaluate", "bank build"])
    megabytes = rng.randint(5, 400) if megabytes is None else megabytes
    trial = Trial("out of memory", f"{command}: {megabytes} MiB more than it has")
    lab.unbroken(command)
    with lab.workspace(COMMANDS[command].state) as workspace:
        ended = lab.run(workspace, command, more_memory=megabytes << 20)
        if ended.status == 0:
            trial.injected, trial.runs = 0, 1
        elif ended.status in ENDS_WITHOUT_MEMORY:
            trial.runs = 1
        else:
            trial.expect_one_line(ended, "memory")
        lab.recover(trial, workspace, command)
    return trial
