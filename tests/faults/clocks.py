"""Wall clocks that jump, between runs and within one. What a workspace shows must not depend on them."""

from __future__ import annotations

import json
import os
import random
import time

from tests.faults.laboratory import COMMANDS, Laboratory, Trial, snapshot
from tests.faults.ledger_tables import differences, faults_in, tables_of

YEAR = 365 * 86_400.0
COMMON = ("scan", "calibrate", "score", "bank build", "evaluate", "publish")


def jump_within(lab: Laboratory, rng: random.Random) -> Trial:
    """A clock that is years off from the start, and jumps at some look to other years."""
    command = rng.choice(COMMON)
    years = [rng.choice([-30, -3, 0, 3, 40]) for _ in range(3)]
    jumps = [[0, years[0] * YEAR], [rng.randint(1, 4), years[1] * YEAR], [rng.randint(5, 9), years[2] * YEAR]]
    trial = Trial("clock jumps", f"{command}: by {years} years", runs=1)
    lab.unbroken(command)
    with lab.workspace(COMMANDS[command].state) as workspace:
        ended = lab.run(workspace, command, clock=jumps)
        trial.expect(ended.status == 0, f"status {ended.status}: {ended.stderr[-900:]}")
        trial.losses += differences(tables_of(snapshot(workspace)), lab.unbroken(command).tables)
        lab.recover(trial, workspace, command)
    return trial


def jump_between(lab: Laboratory, rng: random.Random) -> Trial:
    """Calibrated twice, the second time years before the first: the second cut rules, here and in what is shown."""
    trial = Trial("clock jumps", "two calibrations in the wrong order")
    first, second = (rng.choice([5, 20]) * YEAR, rng.choice([-5, -20]) * YEAR)
    with lab.workspace("scanned") as workspace:
        for clock, keep in ((first, "0.5"), (second, "0.9")):
            ended = lab.runs.run(
                "-w", workspace, "calibrate", "--reference", lab.places["known"], "--keep", keep, clock=[[0, clock]]
            )
            trial.runs += 1
            trial.expect(ended.status == 0, ended.stderr[-900:])
        trial.runs += 3
        ended = lab.run(workspace, "scan", clock=[[0, 0.0]])
        trial.expect(
            ended.status == 0 and "policy keep-0.9" in ended.stdout, f"another policy rules: {ended.stdout[-300:]}"
        )
        shown = (
            "select policy_name from report.selection union all select policy_name from report.scorings where selected"
        )
        ended = lab.runs.run("-w", workspace, "sql", shown, "--json")
        names = [row["policy_name"] for row in json.loads(ended.stdout)]
        trial.expect(names == ["keep-0.9"] * 2, f"another policy is shown: {ended.stdout}")
        ended = lab.runs.run("-w", workspace, "doctor")
        trial.expect("last run" in ended.stdout and "done" in ended.stdout, ended.stdout)
        newest = (
            "select run_number = max(run_number) over () and command = 'scan' as newest from run order by run_number"
        )
        ended = lab.runs.run("-w", workspace, "sql", newest, "--json")
        is_newest = [row["newest"] for row in json.loads(ended.stdout)]
        trial.expect(is_newest[-1] and not any(is_newest[:-1]), f"the newest run is not the last scan: {is_newest}")
        trial.losses += faults_in(workspace)
    return trial


def files_of_the_future(lab: Laboratory, rng: random.Random) -> Trial:
    """Files whose times lie in the future, or before all time, are read once, and again when they change."""
    trial = Trial("clock jumps", "files with impossible times", runs=3)
    lab.unbroken("scan")
    with lab.workspace("built") as workspace:
        lake = workspace.parent / "lake"
        lake.mkdir()
        source = sorted(lab.lake.glob("*.png"))[:4]
        for path, years in zip(source, (60, -50, 7, 0), strict=True):
            (lake / path.name).write_bytes(path.read_bytes())
            os.utime(lake / path.name, (time.time() + years * YEAR,) * 2)
        said = [lab.runs.run("-w", workspace, "scan", lake).stdout for _ in range(2)]
        trial.expect("4 new, 0 changed" in said[0] and "0 new, 0 changed, 4 unchanged" in said[1], "".join(said))
        (lake / source[0].name).write_bytes(source[3].read_bytes())
        os.utime(lake / source[0].name, (time.time() - rng.choice([1, 9]) * YEAR,) * 2)
        ended = lab.runs.run("-w", workspace, "scan", lake)
        trial.expect("0 new, 1 changed, 3 unchanged" in ended.stdout, ended.stdout)
        trial.losses += faults_in(workspace)
    return trial
