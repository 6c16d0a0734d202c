"""Runs that are struck by a signal: at an event of theirs, or from outside at any moment."""

from __future__ import annotations

import os
import random
import signal
import time

from curator.store import Database
from tests.faults.laboratory import COMMANDS, Laboratory, Trial, snapshot
from tests.faults.runs import Ended

INTERRUPTIONS = {signal.SIGINT, signal.SIGTERM}


def strike(lab: Laboratory, command: str, event: int, number: signal.Signals) -> Trial:
    """One signal at one event of a command, and the command again."""
    trial = Trial(number.name, f"{command}: event {event} of {lab.unbroken(command).events}", runs=1)
    with lab.workspace(COMMANDS[command].state) as workspace:
        ended = lab.run(workspace, command, at=event, signal=int(number))
        if not was_over(trial, ended, event):
            if number == signal.SIGKILL:
                trial.expect(ended.status == -signal.SIGKILL, f"status {ended.status}: {ended.stderr[-500:]}")
            else:
                trial.runs -= 1
                trial.expect_one_line(ended, "interrupted", status=130)
        lab.recover(trial, workspace, command)
    return trial


def strike_within(lab: Laboratory, command: str, event: int, number: signal.Signals, *, statement: str = "") -> Trial:
    """A signal while DuckDB is at a statement (that of an event, or the first with a text in it): the run was
    interrupted, and has not failed."""
    what = statement or f"event {event} of {lab.unbroken(command).events}"
    trial = Trial(f"{number.name} within", f"{command}: {what}")
    with lab.workspace(COMMANDS[command].state) as workspace:
        ended = lab.run(workspace, command, at=event, signal=int(number), within=True, statement=statement)
        if statement or not was_over(trial, ended, event):
            trial.expect_one_line(ended, "interrupted", status=130)
        lab.recover(trial, workspace, command)
        with Database.open_reader(snapshot(workspace)) as database:
            statuses = database.arrow("select distinct status from run order by status")["status"].to_pylist()
        trial.expect("failed" not in statuses, f"runs are {statuses}")
    return trial


def was_over(trial: Trial, ended: Ended, event: int) -> bool:
    """Whether the run had ended, well, before the event that was to be struck: some events are due by the clock."""
    if ended.events is None or ended.events >= event:
        return False
    trial.injected = 0
    trial.expect(ended.status == 0, f"status {ended.status}: {ended.stderr[-500:]}")
    return True


def interrupt_within_a_statement(lab: Laboratory, rng: random.Random) -> Trial:
    command = rng.choice(list(COMMANDS))
    number = rng.choice([signal.SIGINT, signal.SIGTERM])
    return strike_within(lab, command, rng.randint(1, lab.unbroken(command).events), number)


def strike_at_random(lab: Laboratory, rng: random.Random, number: signal.Signals) -> Trial:
    command = rng.choice(list(COMMANDS))
    return strike(lab, command, rng.randint(1, lab.unbroken(command).events), number)


def kill_at_event(lab: Laboratory, rng: random.Random) -> Trial:
    return strike_at_random(lab, rng, signal.SIGKILL)


def terminate_at_event(lab: Laboratory, rng: random.Random) -> Trial:
    return strike_at_random(lab, rng, signal.SIGTERM)


def interrupt_at_event(lab: Laboratory, rng: random.Random) -> Trial:
    return strike_at_random(lab, rng, signal.SIGINT)


def strike_from_outside(lab: Laboratory, rng: random.Random) -> Trial:
    """Up to three signals at any moment of a run with decode processes, wherever it is: DuckDB and FAISS included."""
    command = rng.choice(["scan", "calibrate", "evaluate", "bank ants", "bank synood"])
    number = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    trial = Trial(f"{number.name} from outside", command, injected=0)
    lab.unbroken(command)
    with lab.workspace(COMMANDS[command].state) as workspace:
        for _ in range(rng.randint(1, 3)):
            running = lab.runs.start(*lab.arguments(workspace, command), workers=rng.choice([0, 1]))
            time.sleep(rng.uniform(0.0, 1.0))
            os.kill(running.pid, number)  # of a run that has ended nobody has asked for the status yet
            ended = running.wait()
            trial.runs += 1
            trial.injected += ended.status != 0
            trial.expect("Traceback" not in ended.stderr, f"a traceback: {ended.stderr[-1500:]}")
            trial.expect(ended.status in (0, 130, -number), f"status {ended.status}: {ended.stderr[-500:]}")
        lab.recover(trial, workspace, command)
    return trial
