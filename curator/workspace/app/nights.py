"""The nights one after the other: how much of what came is flagged, how its scores differ, and rejects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from curator.app.guard import BadRequest
from curator.app.server import Said
from curator.report.statistics import stability_index, wilson
from curator.workspace.app.frame import LakeFrame
from curator.workspace.layout import Layout
from curator.workspace.night.drift import figure, ruling_baseline
from curator.workspace.published import reading

MOST_NIGHTS = 400  # at a time: more than a year of them


def show_nights(layout: Layout, frame: LakeFrame, said: Said) -> Mapping[str, object]:
    """At most MOST_NIGHTS scans that read something, the oldest first, without the `skip` newest.

    Drift is the population stability index of the scores of a night against those of the pinned baseline; where none is
    pinned, of the first night whose images are in the lake. Of that are images that are in the lake now.
    """
    skip = said.get("skip", 0)
    if type(skip) is not int or skip < 0:
        raise BadRequest(400, "so many nights are skipped: 0 or more")
    runs = frame.texts["first_run_id"]
    starts = np.searchsorted(np.sort(runs.codes), np.arange(len(runs.known) + 1))
    order = np.argsort(runs.codes, kind="stable")
    rows_of = {run: order[starts[code] : starts[code + 1]] for code, run in enumerate(runs.known)}
    baseline, called = _baseline(layout)
    if not called and (first := next((row for row in reversed(frame.nights) if row["run_id"] in rows_of), None)):
        baseline, called = frame.log_odds[rows_of[first["run_id"]]], f"the first night, {frame.night_name(first)}"
    chosen = frame.nights[skip : skip + MOST_NIGHTS][::-1]
    nobody = np.zeros(0, np.int64)
    return {
        "nights": [
            {"night": frame.night_name(row)} | _figures(frame, row, rows_of.get(row["run_id"], nobody), baseline)
            for row in chosen
        ],
        "all": len(frame.nights),
        "skip": skip,
        "most": MOST_NIGHTS,
        "baseline": called,
    }


def _baseline(layout: Layout) -> tuple[Any, str]:
    """The log-odds of the pinned baseline, and what it is called; nothing without one."""
    with reading(layout) as database:
        if (pinned := ruling_baseline(database)) is None:
            return np.zeros(0), ""
        scores = database.table("list_baseline_scores")["log_odds"].to_numpy()
    return scores, f"the pinned night, {pinned['night']}"


def _figures(frame: LakeFrame, night: Mapping[str, Any], rows: Any, baseline: Any) -> dict[str, object]:
    flagged = int(frame.flagged[rows].sum())
    rate = wilson(flagged, rows.size)
    drift, by_chance = stability_index(baseline, frame.log_odds[rows])
    read, rejects = int(night["data_read"]), int(night["rejects"])
    return {
        "run": night["run_id"],
        "images": int(rows.size),
        "flagged": flagged,
        "rate": figure(rate.value),
        "low": figure(rate.low),
        "high": figure(rate.high),
        "drift": figure(drift),
        "by_chance": figure(by_chance),
        "read": read,
        "rejects": rejects,
        "reject_rate": rejects / read,
    }
