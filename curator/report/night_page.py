"""The page of a night: what came, what of it does not belong, whether the night was like others, and what to look at.

`data` is what `curator report --json` prints. All figures are in it; the page adds pictures, charts and the map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from curator.report.charts import rate_chart, score_chart
from curator.report.night_data import NightData, NightDrift, NightRate, ScoreShares, StageTime
from curator.report.night_map import MapPoints, packed
from curator.report.pages import Thumbnail, render
from curator.report.words import NONE, moment, percent, ruling_said

SECTIONS = {  # what does not belong first; how all of it adds up last
    "scores": "Scores",
    "certain": "Most certain flags",
    "doubtful": "Most doubtful flags",
    "clusters": "Clusters of flagged images",
    "map": "Map",
    "rates": "Flag rate",
    "drift": "Drift",
    "rejects": "Rejects",
    "passed": "Passed over",
    "slowest": "What took long",
    "made": "How this was decided",
    "accounting": "Accounting",
}


@dataclass(frozen=True, slots=True)
class NightView:
    """What a page shows. thumbnails: by image id."""

    data: NightData
    points: MapPoints
    thumbnails: Mapping[str, Thumbnail] = field(default_factory=dict)


def night_page(view: NightView) -> str:
    """The whole page."""
    data, scores, cut = view.data, view.data["scores"], view.data["decided_by"]["min_log_odds"]
    scored = [night for night in data["nights"] if night["flag_rate"] is not None]
    said = _rates_said(scored) if scored and scored[-1]["run_id"] == data["night"]["run_id"] else None
    counts = ", ".join(f"{side}: {scores['counts'][side]:,} images" for side in scores["shares"])
    below = "" if cut is None else f" Images below {cut:.4g} are flagged."
    return render(
        "night",
        data=data,
        thumbnails=view.thumbnails,
        unread=Thumbnail(None),
        points=packed(view.points),
        sections=SECTIONS,
        verdict=_verdict(data),
        ruled_by=ruled_by(data),
        objects={key: value for key, value in data["accounting"].items() if "objects" in key},
        rates=[_rate(night) for night in reversed(data["nights"])],
        rates_said=said,
        rate_chart=said and rate_chart(scored, said),
        counts=counts,
        bins=_bins(scores),
        score_chart=scores["edges"] and score_chart(scores["edges"], scores["shares"], cut, f"{counts}.{below}"),
        psi_said=_psi_said(data["drift"]),
        stages=[{**row, "share": percent(row["share"])} for row in [*data["stages"], *_all_else(data)]],
        made=_made(data),
    )


def _verdict(data: NightData) -> dict[str, str]:
    """The night in five figures."""
    flags, accounting = data["flags"], data["accounting"]
    return {
        "images": f"{accounting['images']:,}",
        "flagged": f"{flags['flagged']:,}",
        "flag rate": percent(flags["flag_rate"]),
        "rejects": f"{accounting['rejects']:,}",
        "drift": _drift_word(data["drift"]),
    }


def ruled_by(data: NightData) -> str:
    """What judges the images now, in a sentence."""
    if (found := data["ruled_by"]) is None:
        return "Nothing rules yet: no image has a score."
    return f"Ruled by {ruling_said(found)}."


def _drift_word(drift: NightDrift) -> str:
    """What the tests of drift say, in a word or two."""
    if drift["baseline"] is None:
        return "no baseline"
    values = [value for value in (drift["ks_p"], drift["mmd_p"]) if value is not None]
    if not values:
        return "too few images"
    return "yes" if min(values) < 0.01 else "none seen"


def _psi_said(drift: NightDrift) -> str:
    """By the usual rule of thumb, and beside what chance alone would give."""
    if drift["psi"] is None:
        return NONE
    word = "small" if drift["psi"] < 0.1 else "moderate" if drift["psi"] < 0.25 else "large"
    return f"{word} (rule of thumb: 0.1, 0.25); chance alone gives about {drift['psi_by_chance']:.2g}"


def _rates_said(nights: Sequence[NightRate]) -> str:
    """The rate of the last night, and of those before it."""
    *earlier, last = nights
    said = (
        f"{percent(last['flag_rate'])} of the {last['scored']:,} images that arrived tonight are flagged, "
        f"between {percent(last['low'])} and {percent(last['high'])} with 95 % confidence."
    )
    scored = sum(night["scored"] for night in earlier)
    if not scored:
        return said
    when = "night" if len(earlier) == 1 else f"{len(earlier)} nights"
    return f"{said} On the {when} before it was {percent(sum(night['flagged'] for night in earlier) / scored)}."


def _rate(night: NightRate) -> dict[str, object]:
    return {
        "night": night["name"],
        **{key: night[key] for key in ("run_id", "images", "rejects", "scored", "flagged")},
        "flag_rate": percent(night["flag_rate"]),
        "interval": f"{percent(night['low'])} to {percent(night['high'])}",
    }


def _bins(scores: ScoreShares) -> list[dict[str, object]]:
    return [
        {"from": low, "to": high, **{side: percent(values[place]) for side, values in scores["shares"].items()}}
        for place, (low, high) in enumerate(zip(scores["edges"], scores["edges"][1:], strict=False))
    ]


def _all_else(data: NightData) -> list[StageTime]:
    """What the stages leave of the night."""
    whole, timed = data["night"]["seconds"], sum(row["seconds"] for row in data["stages"])
    if not data["stages"] or not whole or timed >= whole:
        return []
    name = "all else: starting, loading models, publishing"
    return [{"stage": name, "seconds": whole - timed, "share": 1 - timed / whole}]


def _made(data: NightData) -> dict[str, object]:
    night: dict[str, object] = {key: value for key, value in data["night"].items() if key != "night"}
    night |= {key: moment(str(night[key])) for key in ("started_at", "finished_at") if night.get(key)}
    decided = {**data["decided_by"], **night}
    return {key: value for key, value in decided.items() if not (isinstance(value, float) and math.isnan(value))}
