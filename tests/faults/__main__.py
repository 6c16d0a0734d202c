"""`make torture`: faults of every kind, at random, for so many seconds; ends with a table, and fails on any loss."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from tests.faults.catalogue import EXPERIMENTS
from tests.faults.laboratory import Laboratory, Trial


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long (default 300)")
    parser.add_argument(
        "--seed", type=int, help="of the first trial; the n-th has seed + n - 1 (default: from the time)"
    )
    parser.add_argument("--only", metavar="WORD", default="", help="only experiments with this in their name")
    options = parser.parse_args()
    chosen = {name: run for name, run in EXPERIMENTS.items() if options.only in name}
    if not chosen:
        parser.error(f"no experiment has {options.only!r} in its name; there are {', '.join(EXPERIMENTS)}")
    first = int(time.time()) if options.seed is None else options.seed
    print(f"torture for {options.seconds:g} s, first seed {first}", flush=True)
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="curator-torture-") as folder:
        lab = Laboratory(Path(folder))
        end = time.monotonic() + options.seconds
        names = list(chosen)
        while time.monotonic() < end:
            seed = first + len(trials)
            name = names[seed % len(names)]
            trial = attempt(lab, name, seed)
            trials.append(trial)
            print_trial(trial, f"--only {name!r} --seed {seed}" if trial.losses else "")
    return print_table(trials)


def attempt(lab: Laboratory, name: str, seed: int) -> Trial:
    """One trial. A fault of the suite itself counts as a loss: it must not pass in silence."""
    try:
        return EXPERIMENTS[name](lab, random.Random(seed))
    except Exception as fault:
        return Trial(name, "the trial itself failed", losses=[repr(fault)])


def print_trial(trial: Trial, repeat: str) -> None:
    state = f"{len(trial.losses)} LOSSES" if trial.losses else trial.skipped or "no loss"
    print(f"{trial.kind}: {trial.what}: {state}", flush=True)
    for loss in trial.losses:
        print(f"    {loss}", flush=True)
    if repeat:
        print(f"    again: python -m tests.faults --seconds 1 {repeat}", flush=True)


def print_table(trials: list[Trial]) -> int:
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for trial in trials:
        for kind in (trial.kind, "all"):
            sums[kind].update(trials=1, faults=trial.injected, runs=trial.runs, losses=len(trial.losses))
    print(f"\n{'kind of fault':34} {'trials':>7} {'faults':>7} {'runs':>7} {'losses':>7}")
    for kind in sorted(sums, key=lambda kind: (kind == "all", kind)):
        columns = (sums[kind][name] for name in ("trials", "faults", "runs", "losses"))
        print(f"{kind:34}", *(f"{value:7}" for value in columns))
    for reason in sorted({f"{trial.kind}: {trial.skipped}" for trial in trials if trial.skipped}):
        print(f"skipped: {reason}")
    return min(sums["all"]["losses"], 1)


if __name__ == "__main__":
    sys.exit(main())
