"""The page of a night: what came, what of it does not belong, whether the night was like others, and what to look at.

`data` is what `curator report --json` prints. All figures are in it; the page adds pictures, charts and the map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Literal

from curator.report import blocks
from curator.report.blocks import Thumbnail, facts, table
from curator.report.charts import rate_chart, score_chart
from curator.report.gallery import card
from curator.report.night_data import ClusterData, NightData, NightDrift, NightFacts, NightRate, StageTime
from curator.report.night_map import MapPoints, packed

RATES = "95 % intervals by Wilson (1927). Images count on the night they first came. Times are UTC."


@dataclass(frozen=True, slots=True)
class NightView:
    """What a page shows. thumbnails: by image id."""

    data: NightData
    points: MapPoints
    thumbnails: Mapping[str, Thumbnail] = field(default_factory=dict)


def night_page(view: NightView) -> str:
    """The whole page."""
    data = view.data
    night = data["night"]
    parts = [
        f"<h1>Night of {escape(str(night['night']))}</h1>{_scan(night)}",
        _verdict(data),
        _contents(),
        _accounting(data),
        _rates(data),
        _scores(data),
        _drift(data),
        _map(view),
        _clusters(view),
        _gallery(view, "certain", "Flagged images that are the furthest below the cut."),
        _gallery(view, "doubtful", "Flagged images that are the nearest to the cut."),
        _rejects(data),
        _passed_over(data),
        _slowest(data),
        _made(data),
        "<dialog><form method=dialog><button>Close</button></form><div></div></dialog>",
    ]
    return blocks.document(f"curator: night of {night['night']}", parts, own="night")


SECTIONS = {
    "accounting": "Accounting",
    "rates": "Flag rate",
    "scores": "Scores",
    "drift": "Drift",
    "map": "Map",
    "clusters": "Clusters of flagged images",
    "certain": "Most certain flags",
    "doubtful": "Most doubtful flags",
    "rejects": "Rejects",
    "passed": "Passed over",
    "slowest": "What took long",
    "made": "How this was decided",
}


def _section(name: str, *parts: str) -> str:
    heading = f'<h2 id="{name}-heading">{escape(SECTIONS[name])}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-heading">{heading}{"".join(parts)}</section>'


def _scan(night: NightFacts) -> str:
    """Which scan it was, for there may be several on one date."""
    said = f"Scan {night['run_id']}, {night['status']}"
    if night["started_at"]:
        said += f"; begun {moment_text(night['started_at'])}"
    return f'<p class="muted">{escape(said)}.</p>'


def moment_text(moment: str) -> str:
    """A time of the ledger for a person's eye."""
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S} UTC"


def _contents() -> str:
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title in SECTIONS.items())
    return f'<nav aria-label="Sections"><ul>{links}</ul></nav>'


def _verdict(data: NightData) -> str:
    """The night in five figures and a line for each condition that held."""
    flags, accounting = data["flags"], data["accounting"]
    cards = {
        "images": f"{accounting['images']:,}",
        "flagged": f"{flags['flagged']:,}",
        "flag rate": percent(flags["flag_rate"]),
        "rejects": f"{accounting['rejects']:,}",
        "drift": drift_word(data["drift"]),
    }
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in cards.items())
    broken = "".join(f'<p class="broken" role="alert">{escape(line)}</p>' for line in data["broken_limits"])
    return f'{broken}<dl class="cards">{shown}</dl><p id="ruled-by">{escape(ruled_by(data))}</p>'


def ruled_by(data: NightData) -> str:
    """What judges the images now, in a sentence."""
    if (found := data["ruled_by"]) is None:
        return "Nothing rules yet: no image has a score."
    return f"Ruled by bank {found['bank']}, method {found['method_id']}, policy {found['policy'] or 'none'}."


def drift_word(drift: NightDrift) -> str:
    """What the tests of drift say, in a word or two."""
    if drift["baseline"] is None:
        return "no baseline"
    values = [value for value in (drift["ks_p"], drift["mmd_p"]) if value is not None]
    if not values:
        return "too few images"
    return "yes" if min(values) < 0.01 else "none seen"


def percent(share: float | None) -> str:
    return blocks.NONE if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _accounting(data: NightData) -> str:
    read, lake = data["accounting"], data["lake"]
    sum_line = (
        f"<p>{read['data_read']:,} data read = {read['images']:,} images + {read['duplicates']:,} duplicates + "
        f"{read['rejects']:,} rejects.</p>"
        f"<p>In the lake now: {lake['data']:,} data = {lake['images']:,} images + {lake['duplicates']:,} duplicates + "
        f"{lake['rejects']:,} rejects, in {lake['objects']:,} objects.</p>"
    )
    objects = {f"objects {key.removeprefix('objects_')}": value for key, value in read.items() if "objects" in key}
    return _section("accounting", sum_line, facts(objects))


def _rates(data: NightData) -> str:
    nights = [night for night in data["nights"] if night["flag_rate"] is not None]
    if not nights or nights[-1]["run_id"] != data["night"]["run_id"]:
        chart = "<p>No image that arrived tonight has a score.</p>"
    else:
        last = nights[-1]
        said = (
            f"{percent(last['flag_rate'])} of the {last['scored']:,} images that arrived tonight are flagged, "
            f"between {percent(last['low'])} and {percent(last['high'])} with 95 % confidence."
        )
        said += _against_earlier(nights)
        chart = f"<p>{escape(said)}</p>{_wide(rate_chart(nights, said))}"
    rows = [
        {"night": night["name"]}
        | {key: night[key] for key in ("run_id", "images", "rejects", "scored", "flagged")}
        | {"flag_rate": percent(night["flag_rate"]), "interval": f"{percent(night['low'])} to {percent(night['high'])}"}
        for night in reversed(data["nights"])
    ]
    return _section("rates", chart, f'<p class="muted">{RATES}</p>', _folded(rows))


def _against_earlier(nights: Sequence[NightRate]) -> str:
    earlier = nights[:-1]
    scored = sum(night["scored"] for night in earlier)
    if not scored:
        return ""
    when = "night" if len(earlier) == 1 else f"{len(earlier)} nights"
    return f" On the {when} before it was {percent(sum(night['flagged'] for night in earlier) / scored)}."


def _folded(rows: Sequence[Mapping[str, object]]) -> str:
    """What a chart shows, as a table."""
    return f"<details><summary>As a table</summary>{table(rows[0] if rows else (), rows)}</details>"


def _wide(markup: str) -> str:
    """What is wider than a telephone scrolls by itself."""
    return f'<div class="wide">{markup}</div>'


def _scores(data: NightData) -> str:
    scores, cut = data["scores"], data["decided_by"]["min_log_odds"]
    if not scores["edges"]:
        return _section("scores", "<p>There are no scores to show.</p>")
    counts = ", ".join(f"{side}: {scores['counts'][side]:,} images" for side in scores["shares"])
    below = "" if cut is None else f" Images below {cut:.4g} are flagged."
    rows = [
        {"from": low, "to": high, **{side: percent(values[place]) for side, values in scores["shares"].items()}}
        for place, (low, high) in enumerate(zip(scores["edges"], scores["edges"][1:], strict=False))
    ]
    chart = _wide(score_chart(scores["edges"], scores["shares"], cut, f"{counts}.{below}"))
    note = f'<p class="muted">{escape(counts)}. The outermost bins hold all beyond them.</p>'
    return _section("scores", chart, note, _folded(rows))


def _drift(data: NightData) -> str:
    drift = data["drift"]
    if drift["baseline"] is None:
        return _section(
            "drift", "<p>Nothing is pinned to compare with: <code>curator baseline pin</code> pins a night.</p>"
        )
    rows = [
        {"test": "population stability index, of scores", "value": drift["psi"], "p": "", "read": psi_word(drift)},
        {"test": "Kolmogorov–Smirnov, of scores", "value": drift["ks"], "p": p_text(drift["ks_p"]), "read": ""},
        {
            "test": "maximum mean discrepancy, of vectors",
            "value": drift["mmd"],
            "p": p_text(drift["mmd_p"]),
            "read": "",
        },
    ]
    base = drift["baseline"]
    said = (
        f"Tonight ({drift['images']:,} images) against the night of {base['night']} ({base['images']:,} images, "
        f"run {base['night_run_id']}): {drift_word(drift)}. p is how often chance alone differs as much."
    )
    return _section("drift", f"<p>{escape(said)}</p>", table(("test", "value", "p", "read"), rows))


def p_text(value: float | None) -> str:
    return blocks.NONE if value is None else f"{value:.3f}" if value >= 0.001 else "<\N{NO-BREAK SPACE}0.001"


def psi_word(drift: NightDrift) -> str:
    """By the usual rule of thumb, and beside what chance alone would give."""
    if drift["psi"] is None:
        return "–"
    word = "small" if drift["psi"] < 0.1 else "moderate" if drift["psi"] < 0.25 else "large"
    return f"{word} (rule of thumb: 0.1, 0.25); chance alone gives about {drift['psi_by_chance']:.2g}"


def _map(view: NightView) -> str:
    seen, data = len(view.points), view.data["map"]
    if not seen:
        return _section("map", "<p>No image that arrived tonight has a vector to show.</p>")
    first, second = (percent(share) for share in data["explained"])
    said = (
        f"{seen:,} of {data['images']:,} images of tonight by their two principal axes, which show {first} and "
        f"{second} of what tells them apart. Images that look alike lie together."
    )
    clusters = "".join(
        f'<option value="{place}">{escape(name)}</option>' for place, name in enumerate(view.points.clusters)
    )
    controls = (
        '<form class="filters" id="filters" aria-label="Filter the map and the galleries">'
        '<label>Name or label contains <input type="search" id="label-filter" autocomplete="off"></label>'
        f'<label>Cluster <select id="cluster-filter"><option value="">all</option>{clusters}</select></label>'
        '<label>Log-odds from <input type="number" step="any" id="low-filter"></label>'
        '<label>to <input type="number" step="any" id="high-filter"></label>'
        '<label><input type="checkbox" id="flagged-filter"> only flagged</label>'
        '<button type="reset">Show all</button></form>'
        '<p id="filter-count" role="status" aria-live="polite"></p>'
    )
    canvas = (
        '<canvas id="map-canvas" tabindex="0" role="application" aria-describedby="map-said map-help" '
        'aria-label="Map of the images of tonight"></canvas>'
        '<p id="map-help" class="muted">Arrow keys walk through the flagged images, the least ID first; Escape leaves.'
        " A pointer shows what lies under it. Flagged images are diamonds, the others squares.</p>"
        '<p id="map-point" role="status" aria-live="polite"></p>'
    )
    content = f'<script type="application/json" id="map-data">{packed(view.points)}</script>'
    return _section("map", f'<p id="map-said">{escape(said)}</p>', controls, canvas, content)


def _clusters(view: NightView) -> str:
    clusters = view.data["clusters"]
    if not clusters:
        return _section("clusters", "<p>Nothing that arrived tonight is flagged.</p>")
    shown = "".join(_cluster(view, cluster) for cluster in clusters)
    note = (
        '<p class="muted">By k-means. A cluster is called by the most frequent names of its images, and is new when no'
        " image flagged on an earlier night lies as near to the centre as its own do.</p>"
    )
    return _section("clusters", note, f'<ol class="clusters">{shown}</ol>')


def _cluster(view: NightView, cluster: ClusterData) -> str:
    state = '<strong class="new">new</strong>' if cluster["new"] else f"{cluster['before']:,} like it before"
    said = f"{cluster['images']:,} images, {state}"
    pictures = "".join(
        f"<li>{blocks.shown(view.thumbnails[item['image_id']], item['uri'])}</li>" for item in cluster["examples"]
    )
    return f'<li><h3>{escape(cluster["name"])}</h3><p>{said}</p><ul class="strip">{pictures}</ul></li>'


def _gallery(view: NightView, name: Literal["certain", "doubtful"], said: str) -> str:
    items = view.data[name]
    if not items:
        none = "All are above." if view.data["flags"]["flagged"] else "Nothing that arrived tonight is flagged."
        return _section(name, f"<p>{none}</p>")
    figures = "".join(card(item, view.thumbnails.get(item["image_id"], Thumbnail(None))) for item in items)
    help_ = (
        "One image of each group of near-duplicates, called by the common word that is nearest to it. Arrow keys "
        "go from one to the next, Enter opens one."
    )
    note = f'<p class="muted">{escape(said)} {help_}</p>'
    return _section(name, note, f'<div class="gallery" data-gallery>{figures}</div>')


def _rejects(data: NightData) -> str:
    rows = data["rejects"]
    if not rows:
        return _section("rejects", "<p>None.</p>")
    return _section("rejects", table(("rejects", "stage", "reason", "example", "detail"), rows))


def _passed_over(data: NightData) -> str:
    rows = data["passed_over"]
    if not rows:
        return _section("passed", "<p>Nothing.</p>")
    note = (
        '<p class="muted">What was never read: by its suffix, or for what stands in brackets. In a listing a folder '
        "that was not entered counts as one; archives count as far as this scan read them.</p>"
    )
    return _section("passed", note, table(("files", "heading", "place", "example"), rows))


def _slowest(data: NightData) -> str:
    stages = [{**row, "share": percent(row["share"])} for row in [*data["stages"], *_all_else(data)]]
    parts = [table(("stage", "seconds", "share"), stages)] if stages else ["<p>Its stages were not timed.</p>"]
    if data["shards"]:
        columns = ("shard_id", "kind", "data", "rejects", "milliseconds_per_datum", "decode_seconds", "encode_seconds")
        parts += ["<h3>Slowest shards, by processor time for a datum</h3>", table(columns, data["shards"])]
    return _section("slowest", *parts)


def _all_else(data: NightData) -> list[StageTime]:
    """What the stages leave of the night."""
    whole, timed = data["night"]["seconds"], sum(row["seconds"] for row in data["stages"])
    if not data["stages"] or not whole or timed >= whole:
        return []
    name = "all else: starting, loading models, publishing"
    return [{"stage": name, "seconds": whole - timed, "share": 1 - timed / whole}]


def _made(data: NightData) -> str:
    night = {key: value for key, value in data["night"].items() if key != "night"}
    night |= {key: moment_text(str(night[key])) for key in ("started_at", "finished_at") if night.get(key)}
    decided = {key.replace("_", " "): value for key, value in {**data["decided_by"], **night}.items()}
    return _section("made", facts({key: value for key, value in decided.items() if not _is_nan(value)}))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
