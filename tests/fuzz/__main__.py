"""`make fuzz`: every door for a while, with fresh inputs, each door in a process of its own that may die.

    python -m tests.fuzz [--seconds N] [--door NAME ...] [--seed N]

The process of a door has a memory limit; an input that takes it longer than HANG_SECONDS is a failure, and so is one
that ends it. What failed is written to the folder `fuzz/`, ready for a regression test.
"""

from __future__ import annotations

import argparse
import json
import resource
import secrets
import signal
import subprocess
import sys
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.doors import DOORS
from tests.fuzz.inputs import inputs

FOLDER = Path("fuzz")
ROUND_EXAMPLES = 400  # of one seed; then another, so that no round grows old
HANG_SECONDS = 30  # of one input, on a busy machine
MEMORY_BYTES = 4 << 30  # of address space beyond what a door holds when it opens
GROWTH_BYTES = 1 << 30  # that an input may make it hold at its peak
MAX_FAILURES = 10  # of one door; the rest would be more of the same


class Hang(BaseException):
    """An input took too long. Not an Exception, so that nothing takes it for a fault of the data."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=180.0, help="for each door")
    parser.add_argument("--door", action="append", choices=list(DOORS))
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    start = secrets.randbits(32) if options.seed is None else options.seed
    if options.inside:
        print(json.dumps(run_door(options.door[0], options.seconds, start)))
        return 0
    print(f"seed {start}, {options.seconds:g} s a door; failing inputs go to {FOLDER}/")
    results = [supervise(name, options.seconds, start) for name in options.door or DOORS]
    failed = sum(len(result["failures"]) for result in results)
    print(f"{sum(result['inputs'] for result in results):,} inputs, {failed} failures")
    return 1 if failed else 0


def supervise(name: str, seconds: float, start: int) -> dict[str, Any]:
    """Run a door in a process of its own, until its time is over or it dies; its death is a failure too."""
    command = [sys.executable, "-m", "tests.fuzz", "--inside", "--door", name, "--seconds", str(seconds)]
    done = subprocess.run([*command, "--seed", str(start)], capture_output=True, text=True)
    try:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        kept = _keep(name, _current(name).read_bytes() if _current(name).is_file() else b"")
        why = f"ended with status {done.returncode}: {done.stderr[-2000:]}"
        result = {"inputs": 0, "seconds": seconds, "peak_mb": 0, "failures": [[str(kept), why]]}
    _current(name).unlink(missing_ok=True)
    found = len(result["failures"])
    spent = f"{result['inputs']:>9,} inputs  {result['seconds']:>6.0f} s  {result['peak_mb']:>6,} MB"
    print(f"{name:10} {spent}  {found} failed")
    for path, why in result["failures"]:
        print(f"  {path}: {why.strip().splitlines()[-1]}", flush=True)
    return result


def run_door(name: str, seconds: float, start: int) -> dict[str, Any]:
    """Rounds of fresh inputs until the time is over."""
    door, counted, failures = DOORS[name], [0], {}
    FOLDER.mkdir(exist_ok=True)
    signal.signal(signal.SIGALRM, _hang)
    for data in door.seeds:
        door.enter(data)
    opened = _peak()
    _limit_memory()
    began = time.monotonic()

    def enter(data: bytes) -> None:
        counted[0] += 1
        if time.monotonic() - began > seconds:
            return  # the rest of the round runs empty
        _current(name).write_bytes(data)
        signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
        try:
            door.enter(data)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert _peak() - opened < GROWTH_BYTES, "it grew"

    rounds = 0
    while time.monotonic() - began < seconds and len(failures) < MAX_FAILURES:
        try:
            _round(enter, name, start + rounds)
        except (Exception, Hang) as fault:  # whatever it is, it was not allowed
            why = "".join(traceback.format_exception(fault))
            failures[str(_keep(name, _current(name).read_bytes()))] = why[-2000:]
        rounds += 1
    taken, peak = time.monotonic() - began, (_peak() - opened) >> 20
    return {"inputs": counted[0], "seconds": taken, "peak_mb": peak, "failures": list(failures.items())}


def _round(enter: Any, name: str, number: int) -> None:
    shape = settings(
        max_examples=ROUND_EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seed(number)(shape(given(inputs(DOORS[name]))(enter)))()


def _hang(_: int, __: FrameType | None) -> None:
    raise Hang(f"more than {HANG_SECONDS} s")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limit_memory() -> None:
    with suppress(OSError, ValueError):  # Linux only
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY_BYTES, resource.RLIM_INFINITY))


def _current(name: str) -> Path:
    """The input that a door has in hand, for the case that it dies of it."""
    return FOLDER / f"{name}-current"


def _keep(name: str, data: bytes) -> Path:
    path = FOLDER / f"{name}-{sum(data) & 0xFFFF:04x}-{len(data)}"
    path.write_bytes(data)
    return path


if __name__ == "__main__":
    sys.exit(main())
