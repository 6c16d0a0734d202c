"""Several processes at one workspace: two scans at once, and readers while a scan writes and publishes."""

from __future__ import annotations

import random
import subprocess
import sys
import threading

from curator.store import Database
from tests.faults.laboratory import Laboratory, Trial, snapshot
from tests.faults.ledger_tables import differences, tables_of

# An analyst: opens the snapshot with plain DuckDB, says so, holds it open until told, and asks again.
ANALYST = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
count = lambda: connection.execute("select count(*), count(distinct image_id) from score").fetchone()
print(count(), flush=True)
sys.stdin.readline()
print(count(), flush=True)
"""


def two_scans(lab: Laboratory, rng: random.Random) -> Trial:
    """Of scans started together one runs, and the others say who does; with --wait they wait. Nothing is doubled."""
    trial = Trial("scans started together", "without waiting")
    waiting = rng.random() < 0.5
    trial.what = "with --wait" if waiting else trial.what
    lab.unbroken("scan")
    with lab.workspace("built") as workspace:
        arguments = [*lab.arguments(workspace, "scan"), *(["--wait", "60"] if waiting else [])]
        runs = [lab.runs.start(*arguments) for _ in range(rng.choice([2, 3]))]
        ended = [run.wait() for run in runs]
        trial.runs, trial.injected = len(ended), len(ended) - 1
        statuses = sorted(item.status for item in ended)
        trial.expect(statuses[0] == 0 and set(statuses) <= ({0} if waiting else {0, 5}), f"they ended with {statuses}")
        told = [item for item in ended if item.status == 5]
        trial.expect(all("is locked by run" in item.said for item in told), f"{[item.said for item in told]}")
        trial.losses += differences(tables_of(snapshot(workspace)), lab.unbroken("scan").tables)
        lab.recover(trial, workspace, "scan")
    return trial


def analyst(lab: Laboratory, rng: random.Random) -> Trial:
    """Who has the snapshot open by DuckDB keeps the old state whole while a scan publishes a new one."""
    trial = Trial("snapshot held open", "by DuckDB, during a scan")
    lab.unbroken("calibrate")
    with lab.workspace("scanned") as workspace:
        holder = subprocess.Popen(
            [sys.executable, "-c", ANALYST, str(snapshot(workspace))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdin is not None and holder.stdout is not None
        before = holder.stdout.readline()
        trial.expect(before.startswith("("), f"it could not open the snapshot: {before}")
        lab.recover(trial, workspace, "calibrate")
        holder.stdin.write("\n")
        holder.stdin.close()
        after = holder.stdout.readline()
        trial.expect(after == before, f"the analyst saw {before} and then {after}")
        trial.expect(holder.wait() == 0, "the analyst's process failed")
        holder.stdout.close()
        with Database.open_reader(snapshot(workspace)) as database:
            count = database.arrow("select count(*) as n from score")["n"][0].as_py()
        trial.expect(f"({count}," not in before, "the new snapshot shows the old state")
    return trial


def readers(lab: Laboratory, rng: random.Random) -> Trial:
    """Readers that open the snapshot over and over during publications see one whole state or the other."""
    trial = Trial("readers during publication", "opening in a loop", injected=0)
    lab.unbroken("calibrate")
    with lab.workspace("scanned") as workspace:
        seen: set[int] = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                try:
                    with Database.open_reader(snapshot(workspace)) as database:
                        row = database.arrow(
                            "select (select count(*) from score) as scores, "
                            "(select count(*) from score semi join image using (image_id)) as whole"
                        ).to_pylist()[0]
                except Exception as fault:  # whatever a reader meets is a loss
                    trial.losses.append(f"a reader met {fault!r}")
                    return
                trial.expect(row["scores"] == row["whole"], f"half a state: {row}")
                seen.add(row["scores"])
                trial.injected += 1

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for command in ("calibrate", "publish", "calibrate"):
                trial.runs += 1
                lab.run(workspace, command)
        finally:
            done.set()
            thread.join()
        trial.expect(len(seen) >= 2, f"the readers saw one state only: {seen}")
        lab.recover(trial, workspace, "calibrate")
    return trial
