"""The dry run of `curator bank SYSTEM` as a person reads it: the calls of each prompt, what they cost, what is free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from curator.cli.output import echo_json, echo_rows, say
from curator.cli.plan import duration
from curator.printable import printable

if TYPE_CHECKING:
    from curator.generators.planning import PlannedCalls

COUNTS = ("calls", "answered", "rejected", "to_make", "network_passes", "all_tokens", "time")


def echo_plan(plan: Sequence[PlannedCalls], *, as_json: bool) -> None:
    """The calls of each prompt, as rows; nothing was sent."""
    import pyarrow as pa

    rows = [asdict(item) | {"to_make": item.to_make} | item.totals() for item in plan]
    if as_json:
        return echo_json(rows)
    for item, row in zip(plan, rows, strict=True):
        row["time"] = None if item.seconds is None else duration(item.to_make * item.seconds)
    echo_rows(pa.table({name: [row[name] for row in rows] for name in ("role", "model", "prompt", *COUNTS)}))
    for item in plan:
        say(f"{item.prompt}, for example: {printable(' '.join(item.example.split()))}", err=True)
    for line in what_it_takes(plan):
        say(line, err=True)
    return None


def what_it_takes(plan: Sequence[PlannedCalls]) -> list[str]:
    """The whole of a plan in a few lines. Only calls of models count towards `--max-calls`."""
    total, free = (sum(item.to_make for item in plan if item.free in kinds) for kinds in ((True, False), (True,)))
    embedded = f", {free} of them by embedded generators, which are free" if free else ""
    lines = [f"{total} calls would be made now{embedded}; of stages that build on answers only what is sure is counted"]
    if rejected := sum(item.rejected for item in plan):
        lines.append(f"{rejected} calls were rejected before: --ask-again asks them anew")
    timed = [(item, item.seconds) for item in plan if item.seconds is not None]
    if timed:
        seconds = sum(item.to_make * each for item, each in timed)
        made = sum(item.timed for item, _ in timed)
        lines.append(f"{duration(seconds)}, by {made} calls like them that were made before")
    if any(item.to_make and item.seconds is None and not item.free for item in plan):
        lines.append("time and tokens are known of calls that were made: --max-calls 8 makes a few, and keeps them")
    return lines
