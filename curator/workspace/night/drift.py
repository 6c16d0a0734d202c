"""How a night differs from the pinned baseline, and what may be asked of that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import cast

import numpy as np
import pyarrow as pa

from curator.errors import UsageError
from curator.report.night_data import NightDrift, PinnedNight, ScoreShares
from curator.report.statistics import (
    MMD_SAMPLE,
    Tested,
    Values,
    kolmogorov_smirnov,
    mean_discrepancy,
    stability_index,
)
from curator.store import Database
from curator.store.tables import Row
from curator.types import Vectors
from curator.vectors.collections import unit
from curator.workspace.context import Context
from curator.workspace.look.neighbours import image_collection
from curator.workspace.night.conditions import FIGURES as SCAN_FIGURES
from curator.workspace.night.conditions import Condition

SEED = 20010
BINS = 40
TAIL = 0.001  # share of the scores beyond the outermost edges of the histograms

FIGURES = {
    **{name: SCAN_FIGURES[name] for name in ("data", "images", "duplicates", "rejects", "reject_rate")},
    "scored": "images that arrived that night and have a score",
    "flagged": "those of them that are flagged",
    "flag_rate": "the same as a share",
    "flag_rate_low": "the lower end of its 95 % interval",
    "flag_rate_high": "the upper end",
    "new_clusters": "clusters of flagged images unlike what was flagged before",
    "seconds": "how long the scan took",
}
DRIFT_FIGURES = {
    "psi": "population stability index of the scores",
    "ks": "Kolmogorov-Smirnov distance of the scores",
    "ks_p": "its p-value",
    "mmd": "maximum mean discrepancy of the vectors, squared",
    "mmd_p": "its p-value",
}


@dataclass(frozen=True, slots=True)
class NightScores:
    """Log-odds by side. baseline: the row of the pinned baseline, if there is one."""

    tonight: Values
    reference: Values
    baseline: Values
    baseline_ids: tuple[str, ...]
    pinned: Row | None

    @classmethod
    def read(cls, database: Database, selection: Row, tonight: Values) -> NightScores:
        pinned = ruling_baseline(database)
        base = database.table("list_baseline_scores")
        names = ("encoder_id", "bank_digest", "method_id")
        reference = database.table("list_reference_scores", **{name: selection.get(name) for name in names})
        return cls(
            tonight,
            reference["log_odds"].to_numpy(),
            base["log_odds"].to_numpy(),
            tuple(base["image_id"].to_pylist()),
            pinned,
        )


def ruling_baseline(database: Database) -> Row | None:
    """The baseline that nights are compared with: of the encoder in force, the one pinned last."""
    return next((row for row in database.rows("list_baselines") if row["ruling"]), None)


def report_conditions(database: Database, texts: Sequence[str]) -> list[Condition]:
    """Conditions on a report. Raises UsageError for a bad one, and for one on drift while nothing is pinned: it could
    never hold, and somebody relies on it."""
    conditions = [Condition.parse(text, {**FIGURES, **DRIFT_FIGURES}) for text in texts]
    for condition in conditions:
        if condition.figure in DRIFT_FIGURES and ruling_baseline(database) is None:
            raise UsageError(
                f"`fail_on` {condition.text}: no night is pinned to compare with", hint="run `curator baseline pin`"
            )
    return conditions


def score_shares(scores: NightScores) -> ScoreShares:
    """Histograms of the sides that have scores over common edges, as shares of each side."""
    sides = {name: getattr(scores, name) for name in ("tonight", "reference", "baseline")}
    sides = {name: values for name, values in sides.items() if len(values)}
    if not sides:
        return {"edges": [], "shares": {}, "counts": {}}
    low = min(float(np.quantile(values, TAIL)) for values in sides.values())
    high = max(float(np.quantile(values, 1 - TAIL)) for values in sides.values())
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    edges = np.linspace(low, high, BINS + 1)
    shares = {
        name: (np.histogram(values.clip(low, high), edges)[0] / len(values)).tolist() for name, values in sides.items()
    }
    counts = {name: len(values) for name, values in sides.items()}
    return {"edges": edges.tolist(), "shares": shares, "counts": counts}


def measure_drift(
    context: Context, database: Database, selection: Row, scores: NightScores, arrivals: pa.Table
) -> NightDrift:
    """All tests of tonight against the baseline; None where there is nothing to test."""
    psi, by_chance = stability_index(scores.baseline, scores.tonight)
    distance = kolmogorov_smirnov(scores.baseline, scores.tonight)
    sides = [sorted(scores.baseline_ids), sorted(arrivals["image_id"].to_pylist())]
    discrepancy, sampled = Tested(float("nan"), float("nan")), [0, 0]
    if all(sides):
        base, night = (vectors_of(context, database, selection["encoder_id"], ids[:MMD_SAMPLE])[1] for ids in sides)
        discrepancy = mean_discrepancy(base, night, np.random.default_rng(SEED))
        sampled = [len(base), len(night)]
    return {
        "baseline": cast(PinnedNight, plain_row(scores.pinned)) if scores.pinned else None,
        "images": len(scores.tonight),
        "psi": figure(psi),
        "psi_by_chance": figure(by_chance),
        "ks": figure(distance.statistic),
        "ks_p": figure(distance.p_value),
        "mmd": figure(discrepancy.statistic),
        "mmd_p": figure(discrepancy.p_value),
        "mmd_images": sampled,
    }


def figure(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value


def plain_row(row: Row) -> Row:
    """A row as JSON has it: times as text, DuckDB's sums as whole numbers; all else as it is."""
    return {
        key: int(value) if isinstance(value, Decimal) else value.isoformat() if isinstance(value, date) else value
        for key, value in row.items()
    }


def vectors_of(
    context: Context, database: Database, encoder_id: str, image_ids: Sequence[str]
) -> tuple[list[str], Vectors]:
    """Unit vectors (n, d) of those of the images that have one, and their ids, in the order of the vector files."""
    collection = image_collection(context, database, encoder_id)
    positions = collection.positions_of(image_ids)
    return collection.ids_at(positions), unit(collection.vectors_at(positions))
