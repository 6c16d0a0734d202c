"""What an evaluation found, as values and as rows: measured figures, and published ones beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from curator.evaluation.figures import Estimate, Figures, Group
from curator.evaluation.formats import Form, SameFormat
from curator.evaluation.protocol import PublishedRow
from curator.metrics import METRICS, Positive
from curator.report.notebook import Shown

Row = dict[str, object]
SHOWN = ("bank", "method", "ood", "auroc", "auroc_low", "auroc_high", "fpr95_id_positive", "fpr95_ood_positive")
WITH_INTERVAL = ("auroc", "fpr95_id_positive", "fpr95_ood_positive")


@dataclass(frozen=True, slots=True)
class SetCounts:
    """One image set: data = images + copies + unreadable + excluded. `excluded`: OOD contents that are ID as well."""

    side: str
    name: str
    near_far: Group | None
    sources: tuple[str, ...]
    data: int
    images: int
    copies: int
    unreadable: int
    excluded: int
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """All figures of one bank and method. `labelled`: ID images that came with a label which the bank has as an ID
    label; `correct`: those whose nearest ID label is their own. `form`: of the images, as they are or saved alike.
    `order`: of a stream, the seed that shuffled it."""

    bank: str
    bank_digest: str
    method: str
    method_id: str
    figures: tuple[Figures, ...]
    labelled: int
    correct: int
    form: Form = "as_is"
    order: int | None = None

    @property
    def id_label_accuracy(self) -> float | None:
        return self.correct / self.labelled if self.labelled else None


@dataclass(frozen=True, slots=True, repr=False)
class EvaluationSummary(Shown):
    """What one evaluation measured. Figures are 0–1. `positive` is the positive class of the headline figures. stored:
    they were in the ledger already, from the run `run_id`."""

    run_id: str
    encoder_id: str
    protocol: str | None
    positive: Positive
    replicates: int
    seed: int
    embedded: int
    sets: tuple[SetCounts, ...]
    measured: tuple[Measured, ...]
    published: tuple[PublishedRow, ...] = ()
    same_format: SameFormat | None = None
    warnings: tuple[str, ...] = ()
    stored: bool = False

    def shown(self) -> tuple[Mapping[str, object], Sequence[Row]]:
        """In short: the figures that are published most."""
        facts = Shown.shown(self)[0]  # no super() in a dataclass with slots
        rows = [{name: row[name] for name in SHOWN} for row in self.rows()]
        return {name: value for name, value in facts.items() if name != "same_format"}, rows

    def rows(self) -> list[Row]:
        """One row for each bank, method, form and OOD set or mean, then the published ones of the same sets.

        Every row has every metric; a published FPR95 stands under its own positive class alone.
        """
        groups = {item.name: item.near_far for item in self.sets}
        own = [row for item in self.measured for row in _measured_rows(item, groups)]
        return [*own, *(row for item in self.published for row in _published_rows(item, groups))]

    def metric_rows(self) -> list[Row]:
        """The figures as rows of the table evaluation_metric."""
        return [row for item in self.measured for row in _metric_rows(item)]

    def as_json(self) -> Row:
        facts = ("run_id", "encoder_id", "protocol", "positive", "replicates", "seed", "embedded", "warnings")
        return {
            **{name: getattr(self, name) for name in facts},
            "same_format": asdict(self.same_format) if self.same_format else None,
            "sets": [asdict(item) for item in self.sets],
            "id_label_accuracy": [
                {
                    "bank": item.bank,
                    "method": item.method,
                    "form": item.form,
                    "labelled": item.labelled,
                    "correct": item.correct,
                    "accuracy": item.id_label_accuracy,
                }
                for item in self.measured
            ],
            "rows": self.rows(),
        }


def _measured_rows(item: Measured, groups: dict[str, Group | None]) -> Iterator[Row]:
    for figures in item.figures:
        yield {
            "bank": item.bank,
            "method": item.method,
            "form": item.form,
            "ood": figures.name,
            "near_far": groups.get(figures.name),
            "id_images": figures.id_count,
            "ood_images": figures.ood_count,
            **_columns(figures.metrics),
            "source": "measured",
            "note": item.method_id,
        }


def _published_rows(item: PublishedRow, groups: dict[str, Group | None]) -> Iterator[Row]:
    for name, figures in item.figures.items():
        metrics = {"auroc": figures.auroc}
        notes = [item.note] if item.note else []
        if item.positive != "unstated":
            metrics[f"fpr95_{item.positive}_positive"] = figures.fpr95
        elif figures.fpr95 is not None:
            notes.append(f"FPR95 {figures.fpr95:.2f} %, positive class not stated")
        shares = {key: Estimate(value / 100, math.nan, math.nan) for key, value in metrics.items() if value is not None}
        yield {
            "bank": None,
            "method": item.method,
            "form": "as_is",
            "ood": name,
            "near_far": groups.get(name),
            "id_images": None,
            "ood_images": None,
            **_columns(shares),
            "source": f"published ({item.source})",
            "note": "; ".join(notes),
        }


def _columns(metrics: Mapping[str, Estimate]) -> Row:
    """Each metric, and the ends of its interval where it has columns for them; None for what is not known."""
    row: Row = {}
    for name in METRICS:
        estimate = metrics.get(name)
        row[name] = estimate.value if estimate else None
        if name in WITH_INTERVAL:
            row[f"{name}_low"], row[f"{name}_high"] = _ends(estimate)
    return row


def _ends(estimate: Estimate | None) -> tuple[float | None, float | None]:
    return (None, None) if estimate is None or math.isnan(estimate.low) else (estimate.low, estimate.high)


def _metric_rows(item: Measured) -> Iterator[Row]:
    key = {"bank_digest": item.bank_digest, "method_id": item.method_id, "form": item.form}
    for figures in item.figures:
        for name, estimate in figures.metrics.items():
            low, high = _ends(estimate)
            yield {
                **key,
                "scope": figures.scope,
                "ood_name": figures.name if figures.scope == "set" else None,
                "metric": name,
                "value": estimate.value,
                "low": low,
                "high": high,
                "id_count": figures.id_count,
                "ood_count": figures.ood_count,
            }
    if item.id_label_accuracy is not None:
        yield {
            **key,
            "scope": "id",
            "ood_name": None,
            "metric": "id_label_accuracy",
            "value": item.id_label_accuracy,
            "low": None,
            "high": None,
            "id_count": item.labelled,
            "ood_count": 0,
        }
