"""Charts of a workspace for notebooks and papers: each draws on matplotlib axes and returns them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curator.errors import UsageError
from curator.evaluation.summary import EvaluationSummary
from curator.report.charts import Palette, draw_auroc, draw_rates, draw_scores
from curator.report.words import percent
from curator.store import Database
from curator.store.tables import Row
from curator.workspace.context import Context
from curator.workspace.look.arrivals import Arrivals
from curator.workspace.night.baselines import find_night
from curator.workspace.night.drift import NightScores, score_shares
from curator.workspace.night.map import map_night
from curator.workspace.night.report import night_rates
from curator.workspace.published import reading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLAGGED, KEPT = "#b91c1c", "#9ca3af"
PRINTED = Palette(tonight="#1d4ed8", reference="#15803d", baseline="#6b7280", cut=FLAGGED)


@dataclass(frozen=True, slots=True)
class Plots:
    """The charts of the night report. night: a date or run id, by default the last scan that brought images. ax: the
    axes to draw on, by default those of a new figure of pyplot. Each raises UsageError where there is nothing to draw.
    """

    context: Context

    def rates(self, night: str | None = None, *, ax: Axes | None = None) -> Axes:
        """The share of images that each night flagged, with its 95 % interval, up to that night."""
        with self._night(night) as (database, found, _):
            rates = [rate for rate in night_rates(database, found["run_number"]) if rate["flag_rate"] is not None]
        if not rates:
            raise _nothing("no image has a score yet")
        axes = _axes(ax)
        draw_rates(axes, rates, PRINTED)
        return axes

    def scores(self, night: str | None = None, *, ax: Axes | None = None) -> Axes:
        """The log-odds of the images that arrived, of the reference and of the pinned baseline, and the cut."""
        with self._night(night) as (database, found, selection):
            arrivals = Arrivals.read(database, found["run_id"])
            shares = score_shares(NightScores.read(database, selection, arrivals.log_odds))
        if not shares["edges"]:
            raise _nothing("no image has a score yet")
        axes = _axes(ax)
        draw_scores(axes, shares["edges"], shares["shares"], selection.get("min_log_odds"), PRINTED)
        return axes

    def map(self, night: str | None = None, *, ax: Axes | None = None) -> Axes:
        """The images that arrived on the plane of their two principal axes: those that look alike lie together."""
        with self._night(night) as (database, found, selection):
            arrivals = Arrivals.read(database, found["run_id"])
            drawn = map_night(self.context, database, selection, run_number=found["run_number"], arrivals=arrivals)
        if not len(drawn.points):
            raise _nothing("no image that arrived has a vector")
        axes, places = _axes(ax), drawn.points.places.astype(float) / np.array([65535, -65535]) + np.array([0, 1])
        for is_flagged, colour, marker, name in ((False, KEPT, "s", "kept"), (True, FLAGGED, "D", "flagged")):
            x, y = places[drawn.points.flagged == is_flagged].T
            axes.scatter(x, y, s=14, c=colour, marker=marker, label=f"{name} ({len(x):,})")
        axes.set_aspect("equal")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=[], yticks=[])
        first, second = (f"{percent(share)} of the variance" for share in drawn.explained)
        axes.set(xlabel=first, ylabel=second)
        axes.legend()
        return axes

    def evaluation(self, summary: EvaluationSummary, *, ax: Axes | None = None) -> Axes:
        """The AUROC of each bank, method and OOD set of an evaluation, with its interval."""
        axes = _axes(ax)
        draw_auroc(axes, [row for row in summary.rows() if row["auroc"] is not None], PRINTED)
        return axes

    @contextmanager
    def _night(self, night: str | None) -> Iterator[tuple[Database, Row, Row]]:
        """The snapshot, the row of a night, and what rules."""
        with reading(self.context.layout) as database:
            last = database.row("find_last_arrivals") if night is None else None
            yield database, last or find_night(database, night), database.row("show_selection") or {}


def _axes(given: Axes | None) -> Axes:
    if given is not None:
        return given
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def _nothing(why: str) -> UsageError:
    return UsageError(f"there is nothing to draw: {why}", hint="run `curator scan SOURCE`")
