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
from datetime import datetime
from typing import cast

import numpy as np

from curator.progress import step
from curator.report.night_data import (
    Accounting,
    ClusterData,
    DecidedBy,
    FlagRate,
    GalleryImage,
    NightData,
    NightFacts,
    NightRate,
    PassedFiles,
    RejectCount,
    StageTime,
)
from curator.report.night_map import MapPoints
from curator.report.night_page import NightView, night_page, ruled_by
from curator.report.notebook import Shown
from curator.report.pages import Thumbnail
from curator.report.statistics import wilson
from curator.store import Database
from curator.store.tables import Row
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.judge.shortage import selected_shortage
from curator.workspace.look.arrivals import Arrivals
from curator.workspace.look.pictures import thumbnails
from curator.workspace.night.baselines import find_night
from curator.workspace.night.conditions import conditions_held
from curator.workspace.night.drift import NightScores, figure, measure_drift, plain_row, report_conditions, score_shares
from curator.workspace.night.map import NightMap, map_night
from curator.workspace.night.reasons import reasons_of
from curator.workspace.published import reading

NIGHTS = 30
GALLERY = 24
SHARDS = 10


@dataclass(frozen=True, slots=True, repr=False)
class NightReport(Shown):
    """A night as data, and what its page shows besides."""

    data: NightData
    points: MapPoints = field(repr=False)
    thumbnails: Mapping[str, Thumbnail] = field(repr=False)

    @property
    def broken_limits(self) -> tuple[str, ...]:
        """A line for each condition that held."""
        return tuple(self.data["broken_limits"])

    def shown(self) -> tuple[Mapping[str, object], Sequence[Row]]:
        """The night in figures."""
        night, figures = self.data["night"], self.data["figures"]
        facts = {
            "night": night["night"],
            "run": night["run_id"],
            "ruled by": ruled_by(self.data).removeprefix("Ruled by "),
        }
        return facts | {name: value for name, value in figures.items() if value is not None}, ()

    def as_json(self) -> NightData:
        return self.data

    def as_html(self) -> str:
        """One page without network."""
        return night_page(NightView(self.data, self.points, self.thumbnails))


@step("make the report")
def report_night(context: Context, night: str | None, *, fail_on: Sequence[str], pictures: bool) -> NightReport:
    """Gather the report of a night. pictures: for a page too, so thumbnails are read.

    Raises UsageError for a night that is not there, a bad condition, or one on drift while nothing is pinned.
    """
    with reading(context.layout) as database:
        found = find_night(database, night)
        selection = database.row("show_selection") or {}
        arrivals = Arrivals.read(database, found["run_id"])
        conditions = report_conditions(database, fail_on)
        drawn = map_night(context, database, selection, run_number=found["run_number"], arrivals=arrivals)
        data = _gather(context, database, found, selection, arrivals, drawn)
        figures = figures_of(data)
        data["figures"] = {name: figure(value) for name, value in figures.items()}
        data["broken_limits"] = conditions_held(conditions, figures)
        wanted = [item["image_id"] for item in (*data["certain"], *data["doubtful"])]
        wanted += [item["image_id"] for cluster in data["clusters"] for item in cluster["examples"]]
        shown = thumbnails(context, database, list(dict.fromkeys(wanted))) if pictures else {}
    return NightReport(data, drawn.points, shown)


def _gather(
    context: Context, database: Database, night: Row, selection: Row, arrivals: Arrivals, drawn: NightMap
) -> NightData:
    """All that is known of the night, but for what conditions ask. The ledger knows no types: they are told here."""
    run_id = night["run_id"]
    plain = plain_row(night)
    scores = NightScores.read(database, selection, arrivals.log_odds)
    certain, doubtful = _galleries(arrivals, drawn)
    reasons = reasons_of(context, database, selection, [*certain, *doubtful])
    for item in (*certain, *doubtful):
        item["reason"] = reasons.get(item["image_id"])
    return {
        "night": cast(NightFacts, {key: plain[key] for key in NightFacts.__annotations__}),
        "ruled_by": InForce.of_row(selection).as_json() if selection else None,
        "decided_by": _decided_by(database, selection),
        "accounting": cast(Accounting, {key: plain[key] for key in Accounting.__annotations__}),
        "lake": plain_row(database.row("accounting", limit=1) or {}),
        "flags": _rate(int(arrivals.flagged.sum()), len(arrivals)),
        "nights": night_rates(database, night["run_number"]),
        "rejects": cast(list[RejectCount], database.rows("list_reject_reasons", run_id=run_id)),
        "passed_over": cast(list[PassedFiles], database.rows("list_passed_over", run_id=run_id)),
        "stages": cast(list[StageTime], database.rows("list_stages", run_id=run_id)),
        "shards": [plain_row(row) for row in database.rows("list_slowest_shards", run_id=run_id, limit=SHARDS)],
        "scores": score_shares(scores),
        "drift": measure_drift(context, database, selection, scores, arrivals.table),
        "map": {"images": len(arrivals), "shown": len(drawn.points), "explained": list(drawn.explained)},
        "clusters": _clusters(arrivals, drawn),
        "certain": certain,
        "doubtful": doubtful,
        "figures": {},
        "broken_limits": [],
    }


def night_rates(database: Database, run_number: int) -> list[NightRate]:
    """The last nights up to a run, the oldest first, with their flag rates."""
    rows = database.rows("list_night_rates", run_number=run_number, nights=NIGHTS)
    names = distinct_names([row["started_at"] for row in rows])
    told = (
        plain_row(row) | {"name": name} | _rate(row["flagged"], row["scored"])
        for row, name in zip(rows, names, strict=True)
    )
    return cast(list[NightRate], list(told))


def distinct_names(moments: Sequence[datetime]) -> list[str]:
    """What scans that began then are called, no two alike: the date, and as much of the time as tells them apart."""
    names = [f"{moment:%Y-%m-%d}" for moment in moments]
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"):
        often = Counter(names)
        names = [
            name if often[name] == 1 else moment.strftime(form) for name, moment in zip(names, moments, strict=True)
        ]
    return names


def _decided_by(database: Database, selection: Row) -> DecidedBy:
    warning = (selected_shortage(database) or (None, None))[1]
    known = {name: selection.get(name) for name in DecidedBy.__annotations__}
    return cast(DecidedBy, known | {"policy_warning": warning})


def _clusters(arrivals: Arrivals, drawn: NightMap) -> list[ClusterData]:
    return [
        {
            "name": name,
            "images": len(cluster.members),
            "new": cluster.is_new,
            "before": cluster.before,
            "examples": [arrivals.item(place) for place in examples],
        }
        for cluster, name, examples in zip(drawn.clusters, drawn.names, drawn.examples, strict=True)
    ]


def _galleries(arrivals: Arrivals, drawn: NightMap) -> tuple[list[GalleryImage], list[GalleryImage]]:
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
    items: list[GalleryImage] = [
        {
            **arrivals.item(place),
            "alike": len(members[groups[place]]),
            "cluster": drawn.cluster_of.get(place),
            "reason": None,
        }
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


def figures_of(data: NightData) -> dict[str, float]:
    """What conditions speak of; NaN where there is no such figure."""
    accounting, flags, drift = data["accounting"], data["flags"], data["drift"]
    read = accounting["data_read"]
    named = {
        "images": accounting["images"],
        "duplicates": accounting["duplicates"],
        "rejects": accounting["rejects"],
        "data": read,
        "reject_rate": accounting["rejects"] / read if read else None,
        "scored": flags["scored"],
        "flagged": flags["flagged"],
        "flag_rate": flags["flag_rate"],
        "flag_rate_low": flags["low"],
        "flag_rate_high": flags["high"],
        "psi": drift["psi"],
        "ks": drift["ks"],
        "ks_p": drift["ks_p"],
        "mmd": drift["mmd"],
        "mmd_p": drift["mmd_p"],
        "new_clusters": sum(cluster["new"] for cluster in data["clusters"]),
        "seconds": data["night"]["seconds"],
    }
    return {name: math.nan if value is None else float(value) for name, value in named.items()}


def _rate(part: int, whole: int) -> FlagRate:
    share = wilson(part, whole)
    return {
        "scored": whole,
        "flagged": part,
        "flag_rate": figure(share.value),
        "low": figure(share.low),
        "high": figure(share.high),
    }
