"""A published table made again: each of its rows beside what was measured by its recipe, or why it was not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curator.evaluation.protocol import Protocol, PublishedRow
from curator.evaluation.summary import EvaluationSummary, Row
from curator.report.notebook import Shown


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A published row, and the evaluation that its recipe gave; or `why_not`."""

    row: PublishedRow
    summary: EvaluationSummary | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Reproduction(Shown):
    """A table and its rows, in the order in which they are printed."""

    protocol: Protocol
    encoder: str
    results: tuple[Reproduced, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of all evaluations, each once."""
        every = (warning for item in self.results if item.summary for warning in item.summary.warnings)
        return tuple(dict.fromkeys(every))

    def shown(self) -> tuple[Mapping[str, object], Sequence[Row]]:
        shown = ("method", "ood", "auroc", "auroc_published", "fpr95", "fpr95_published", "not_measured")
        rows = [{name: row[name] for name in shown} for row in self.rows()]
        return {"protocol": self.protocol.name, "encoder": self.encoder}, rows

    def rows(self) -> list[Row]:
        """A row for each published row and list, or mean over lists. Figures in percent, as printed."""
        return [row for item in self.results for row in _rows(self.protocol, item)]


def _rows(protocol: Protocol, result: Reproduced) -> Iterator[Row]:
    """Columns: `auroc` and `fpr95` are measured, with `…_deviation` over the orders of a stream; `…_published` is
    printed, `…_less_published` the difference. FPR95 has the positive class of the row; of a row that does not state
    its own, the measured one is of ID, and there is no difference."""
    row, recipe = result.row, result.row.recipe
    positive = "ood" if row.positive == "ood" else "id"
    groups = ("average", "near", "far")
    names = [item.name for item in protocol.ood] + [name for name in groups if name in row.figures]
    for name in names:
        printed = row.figures.get(name)
        if printed is None and result.summary is None:
            continue
        measured = _measured(result.summary, name, ("auroc", f"fpr95_{positive}_positive"))
        cells: Row = {
            "method": row.method,
            "note": row.note,
            "ood": name,
            "near_far": protocol.groups.get(name),
            "positive": row.positive,
        }
        published = {"auroc": printed.auroc, "fpr95": printed.fpr95} if printed else {"auroc": None, "fpr95": None}
        for metric, (value, deviation) in zip(published, measured, strict=True):
            there = published[metric]
            known = value is not None and there is not None and (metric == "auroc" or row.positive != "unstated")
            cells |= {
                metric: value,
                f"{metric}_deviation": deviation,
                f"{metric}_published": there,
                f"{metric}_less_published": value - there if known else None,  # type: ignore[operator]
            }
        cells |= {
            "orders": len(result.summary.measured) if result.summary and recipe and recipe.stream else None,
            "recipe": recipe.said if recipe else "",
            "source": row.source,
            "not_measured": result.why_not,
            "run_id": result.summary.run_id if result.summary else None,
        }
        yield cells


def _measured(
    summary: EvaluationSummary | None, name: str, metrics: Sequence[str]
) -> list[tuple[float | None, float | None]]:
    """Of each metric the mean over the orders of a stream and its deviation (of a sample), in percent. One that is no
    stream has no deviation."""
    found: list[tuple[float | None, float | None]] = []
    for metric in metrics:
        values = [
            100 * figures.metrics[metric].value
            for item in (summary.measured if summary else ())
            for figures in item.figures
            if figures.name == name
        ]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        found.append((float(np.mean(values)) if values else None, None if math.isnan(deviation) else deviation))
    return found
