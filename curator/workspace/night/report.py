"""The report of a night: gathered from the snapshot and the vectors, as one JSON object and as one page.

Read-only, like every other look at the workspace. What is large is sampled: vectors of at most MAP_IMAGES images are
placed on the map, the flagged ones first, and drift of vectors is tested on MMD_SAMPLE images a side. Image ids are
hashes of contents, so the first ids in their order are a sample, the same in every report.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from curator.report.blocks import Thumbnail
from curator.report.charts import require_plots
from curator.report.night_map import MapPoints
from curator.report.night_page import NightView, night_page
from curator.report.statistics import wilson
from curator.store import Database
from curator.workspace.context import Context
from curator.workspace.judge.shortage import selected_shortage
from curator.workspace.look.arrivals import Arrivals
from curator.workspace.look.pictures import thumbnails
from curator.workspace.night.baselines import find_night
from curator.workspace.night.conditions import conditions_held
from curator.workspace.night.drift import NightScores, measure_drift, report_conditions, score_shares
from curator.workspace.night.map import NightMap, map_night
from curator.workspace.night.reasons import reasons_of
from curator.workspace.session import reading

NIGHTS = 30
GALLERY = 24
SHARDS = 10
ACCOUNTING = (
    "data_read", "images", "duplicates", "rejects", "decoded",
    "objects_listed", "objects_new", "objects_changed", "objects_unchanged", "objects_gone",
)  # fmt: skip
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NightReport:
    """A night as data, and what its page shows besides. broken_limits: a line for each condition that held."""

    data: Mapping[str, Any]
    broken_limits: tuple[str, ...]
    points: MapPoints = field(repr=False)
    thumbnails: Mapping[str, Thumbnail] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        return dict(self.data)

    def as_html(self) -> str:
        """One page without network. Raises MissingExtra where matplotlib is not installed."""
        return night_page(NightView(self.data, self.points, self.thumbnails))


def report_night(context: Context, night: str | None, *, fail_on: Sequence[str], pictures: bool) -> NightReport:
    """Gather the report of a night. pictures: for a page too, so matplotlib must be there and thumbnails are read.

    Raises UsageError for a night that is not there, a bad condition, or one on drift while nothing is pinned;
    MissingExtra where the page could not be made.
    """
    if pictures:
        require_plots()
    with reading(context.layout) as database:
        found = find_night(database, night)
        selection = database.row("show_selection") or {}
        arrivals = Arrivals.read(database, found["run_id"])
        conditions = report_conditions(database, fail_on)
        drawn = map_night(context, database, selection, run_number=found["run_number"], arrivals=arrivals)
        data = _facts(database, found, selection, arrivals)
        data |= _judged(context, database, selection, arrivals, drawn)
        figures = figures_of(data)
        broken = tuple(conditions_held(conditions, figures))
        data |= {"figures": _clean(figures), "broken_limits": list(broken)}
        wanted = [item["image_id"] for name in ("certain", "doubtful") for item in data[name]]
        wanted += [item["image_id"] for cluster in data["clusters"] for item in cluster["examples"]]
        shown = thumbnails(context, database, list(dict.fromkeys(wanted))) if pictures else {}
    return NightReport(data, broken, drawn.points, shown)


def _facts(database: Database, night: Data, selection: Data, arrivals: Arrivals) -> Data:
    """What the ledger says by itself."""
    run_id = night["run_id"]
    times = ("night", "run_id", "status", "started_at", "finished_at", "seconds", "version", "error")
    flags = wilson(int(arrivals.flagged.sum()), len(arrivals))
    nights = database.rows("list_night_rates", run_number=night["run_number"], nights=NIGHTS)
    return {
        "night": {key: _plain(night[key]) for key in times},
        "decided_by": _decided_by(selection) | {"policy_warning": (selected_shortage(database) or (None, None))[1]},
        "accounting": {key: _plain(night[key]) for key in ACCOUNTING},
        "lake": _row(database.row("accounting", limit=1) or {}),
        "flags": {"scored": flags.whole, "flagged": flags.part} | _rate(flags.part, flags.whole),
        "nights": [
            {**_row(row), "name": name} | _rate(row["flagged"], row["scored"])
            for row, name in zip(nights, distinct_names([row["started_at"] for row in nights]), strict=True)
        ],
        "rejects": database.rows("list_reject_reasons", run_id=run_id),
        "passed_over": database.rows("list_passed_over", run_id=run_id),
        "stages": database.rows("list_stages", run_id=run_id),
        "shards": [_row(row) for row in database.rows("list_slowest_shards", run_id=run_id, limit=SHARDS)],
    }


def distinct_names(moments: Sequence[datetime]) -> list[str]:
    """What scans that began then are called, no two alike: the date, and as much of the time as tells them apart."""
    names = [f"{moment:%Y-%m-%d}" for moment in moments]
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"):
        often = Counter(names)
        names = [
            name if often[name] == 1 else moment.strftime(form) for name, moment in zip(names, moments, strict=True)
        ]
    return names


def _decided_by(selection: Data) -> Data:
    names = ("encoder_id", "bank_name", "bank_version", "bank_digest", "method_id", "policy_name", "policy_rule")
    return {name: selection.get(name) for name in (*names, "min_id_score", "min_log_odds")}


def _judged(context: Context, database: Database, selection: Data, arrivals: Arrivals, drawn: NightMap) -> Data:
    """Scores, drift, clusters and galleries."""
    scores = NightScores.read(database, selection, arrivals.log_odds)
    drift = _clean(measure_drift(context, database, selection, scores, arrivals.table))
    certain, doubtful = _galleries(arrivals, drawn)
    reasons = reasons_of(context, database, selection, [*certain, *doubtful])
    return {
        "scores": score_shares(scores),
        "drift": drift | {"baseline": drift["baseline"] and _row(drift["baseline"])},
        "map": {"images": len(arrivals), "shown": len(drawn.points), "explained": list(drawn.explained)},
        "clusters": [
            {
                "label": cluster.label,
                "cosine": cluster.cosine,
                "images": len(cluster.members),
                "new": cluster.is_new,
                "before": cluster.before,
                "examples": [arrivals.item(place) for place in examples],
            }
            for cluster, examples in zip(drawn.clusters, drawn.examples, strict=True)
        ],
        "certain": [{**item, "reason": reasons.get(item["image_id"])} for item in certain],
        "doubtful": [{**item, "reason": reasons.get(item["image_id"])} for item in doubtful],
    }


def _galleries(arrivals: Arrivals, drawn: NightMap) -> tuple[list[Data], list[Data]]:
    """The most certain flags and the most doubtful, the first of each first; one of each group, none in both."""
    groups = arrivals.column("group_id")
    flagged = np.flatnonzero(arrivals.flagged)
    members: dict[str, list[int]] = {}
    for place in flagged.tolist():
        members.setdefault(groups[place], []).append(place)
    margins = {place: arrivals.item(place)["margin"] or 0.0 for place in _first_and_last(members)}
    order = sorted(margins, key=lambda place: (margins[place], place))
    half = min(GALLERY, math.ceil(len(order) / 2))
    rest = order[half:][::-1][:GALLERY]
    items = [
        {**arrivals.item(place), "alike": len(members[groups[place]]), "cluster": drawn.cluster_of.get(place)}
        for place in (*order[:half], *rest)
    ]
    return items[:half], items[half:]


def _first_and_last(members: Mapping[str, Sequence[int]]) -> list[int]:
    """The least ID image of each group, of as many groups at both ends as galleries may show. Cuts of classes and
    nights differ, so a few more than are shown are looked at."""
    places = [group[0] for group in members.values()]
    if len(places) <= 8 * GALLERY:
        return places
    return places[: 4 * GALLERY] + places[-4 * GALLERY :]


def figures_of(data: Mapping[str, Any]) -> dict[str, float]:
    """What conditions speak of; NaN where there is no such figure."""
    accounting, flags, drift = data["accounting"], data["flags"], data["drift"]
    read = accounting["data_read"]
    named = {
        **{name: accounting[name] for name in ("images", "duplicates", "rejects")},
        "data": read,
        "reject_rate": accounting["rejects"] / read if read else None,
        **{name: flags[name] for name in ("scored", "flagged", "flag_rate")},
        "flag_rate_low": flags["low"],
        "flag_rate_high": flags["high"],
        **{name: drift[name] for name in ("psi", "ks", "ks_p", "mmd", "mmd_p")},
        "new_clusters": sum(cluster["new"] for cluster in data["clusters"]),
        "seconds": data["night"]["seconds"],
    }
    return {name: math.nan if value is None else float(value) for name, value in named.items()}


def _rate(part: int, whole: int) -> Data:
    share = wilson(part, whole)
    cleaned: Data = _clean({"flag_rate": share.value, "low": share.low, "high": share.high})
    return cleaned


def _plain(value: Any) -> Any:
    """What JSON has: times as text, DuckDB's sums as whole numbers; all else as it is."""
    if isinstance(value, Decimal):
        return int(value)
    return value.isoformat() if isinstance(value, date) else value


def _row(row: Mapping[str, Any]) -> Data:
    return {key: _plain(value) for key, value in row.items()}


def _clean(values: Mapping[str, Any]) -> Data:
    """NaN, which JSON does not have, as null."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}
