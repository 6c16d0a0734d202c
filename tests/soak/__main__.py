"""`make soak`: many nights of a living lake, each a process of its own, and what they cost.

Prints for each night: what came, time, peak memory, size of the ledger, and whether the accounts add up; at the end how
memory, time and size went. Exits with 1 when an account does not add up, a check finds something, or an image is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curator.workspace import Workspace
from tests.soak.lake import LivingLake, Tally

BANK = """\
name = "base"
[id]
labels = "labels.txt"
[negatives.wordnet]
include = ["noun.shape", "noun.motive"]
[mining]
method = "neglabel"
"""


@dataclass(frozen=True, slots=True)
class Night:
    """One night: what it cost and what it left."""

    number: int
    tally: Tally
    summary: dict[str, Any]
    seconds: float
    peak_bytes: int
    ledger_bytes: int
    lake_images: int
    faults: tuple[str, ...]


def scan(workspace: Path, lake: Path) -> tuple[dict[str, Any], float, int]:
    """Scan in a process of its own: its summary, seconds, and the peak memory of it and of each of its processes."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        command = [sys.executable, "-m", "curator", "-q", "-w", str(workspace), "scan", str(lake), "--json"]
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"the scan ended with {process.returncode}")
        out.seek(0)
        return json.loads(out.read()), seconds, usage.ru_maxrss * 1024


def faults_of(workspace: Workspace, summary: dict[str, Any], tally: Tally) -> tuple[str, ...]:
    """What does not add up after a night."""
    found = [f"check {result.name}" for result in workspace.check() if not result.healthy]
    data = summary["images"] + summary["duplicates"] + summary["rejects"]
    if data != summary["data_read"]:
        found.append(f"{summary['data_read']} data were read, {data} are accounted for")
    made = tally.new + tally.changed
    if summary["images"] != made:
        found.append(f"{made} new contents were put into the lake, {summary['images']} were found")
    if summary["rejects"] != tally.corrupt:
        found.append(f"{tally.corrupt} files are corrupt, {summary['rejects']} were rejected")
    gone = sum(listing["objects_gone"] for listing in summary["listings"])
    if gone != tally.deleted:
        found.append(f"{tally.deleted} files were deleted, {gone} are gone")
    return tuple(found)


def run_night(workspace: Workspace, lake: LivingLake, number: int, images: int) -> Night:
    tally = lake.night(number, images)
    summary, seconds, peak = scan(workspace.layout.root, lake.folder)
    return Night(
        number,
        tally,
        summary,
        seconds,
        peak,
        workspace.layout.ledger.stat().st_size,
        int(workspace.sql("select count(*) as n from image")["n"][0].as_py()),
        faults_of(workspace, summary, tally),
    )


def show(night: Night) -> None:
    tally, stages = night.tally, night.summary["stage_seconds"]
    spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in stages.items())
    accounts = "; ".join(night.faults) or "accounts add up"
    print(
        f"night {night.number:3d}: {tally.new:6,} new, {tally.copies:4,} copies, {tally.corrupt:3} corrupt, "
        f"{tally.changed:4} changed, {tally.deleted:4} deleted | {night.seconds:6.1f} s ({spent}) | "
        f"peak {night.peak_bytes / 2**20:5,.0f} MiB | ledger {night.ledger_bytes / 2**20:5.1f} MiB, "
        f"{night.ledger_bytes / night.lake_images:4.0f} B an image | {accounts}",
        flush=True,
    )


def conclude(nights: list[Night]) -> int:
    """The course of things from the second night on (the first builds the bank), and the exit code."""
    later = nights[1:] or nights
    peaks = [night.peak_bytes / 2**20 for night in later]
    per_thousand = [1000 * night.seconds / max(night.summary["images"], 1) for night in later]
    half = max(len(later) // 2, 1)
    faults = sum(len(night.faults) for night in nights)
    last = nights[-1]
    print()
    print(f"images: {last.lake_images:,} in {len(nights)} nights")
    print(f"peak memory: {peaks[0]:,.0f} MiB in the second night, {peaks[-1]:,.0f} MiB in the last")
    print(
        f"seconds for 1,000 new images: {statistics.mean(per_thousand[:half]):.2f} in the first half of the nights, "
        f"{statistics.mean(per_thousand[-half:]):.2f} in the second"
    )
    print(f"ledger: {last.ledger_bytes / last.lake_images:,.0f} bytes an image")
    print(f"accounts that do not add up: {faults}")
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--images", type=int, default=200_000, help="new images in all nights")
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--encoder", default="fake:256")
    parser.add_argument("--folder", type=Path, help="kept; by default a temporary one")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="curator-soak-"))
    try:
        workspace = Workspace.create(folder / "workspace", labels=["red", "green"], encoder=options.encoder)
        workspace.layout.bank_spec("base").write_text(BANK, encoding="utf-8")
        lake = LivingLake(folder / "lake")
        nights = []
        for number in range(1, options.nights + 1):
            nights.append(run_night(workspace, lake, number, options.images // options.nights))
            show(nights[-1])
        return conclude(nights)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
