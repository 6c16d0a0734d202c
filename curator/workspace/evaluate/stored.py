"""Evaluations in the ledger: what one depends on, as a digest, and its figures as they were stored.

The rows of an evaluation are committed at once, so those that are there are whole. One that is asked for again, of the
very same images, banks and methods, need not be measured again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

from curator.evaluation.figures import AVERAGES, Estimate, Figures, Scope
from curator.evaluation.formats import Form
from curator.evaluation.sets import EvaluationSets
from curator.evaluation.summary import EvaluationSummary, Measured, Row
from curator.store import Ledger
from curator.version import VERSION
from curator.workspace.context import Context
from curator.workspace.evaluate.field import Field
from curator.workspace.evaluate.plan import EvaluationPlan
from curator.workspace.evaluate.stream_recipe import StreamRecipe

ACCURACY = "id_label_accuracy"
Stored: TypeAlias = Mapping[str, Any]  # a row as DuckDB gives it


def evaluation_digest(context: Context, plan: EvaluationPlan, sets: EvaluationSets, field: Field) -> str:
    """64 hexadecimal digits of all that the figures depend on: a stored evaluation with the same ones is this one."""
    request, recipes = plan.request, [StreamRecipe.parse(asked) for asked in plan.request.streams]
    roles = {role for recipe in recipes for role in recipe.settings.roles}
    content = {
        "version": VERSION,
        "sets": [[item.name, sorted(zip(item.image_ids, map(str, item.labels), strict=True))] for item in sets.all],
        "groups": dict(plan.groups),
        "banks": [
            [item.scorer.bank.digest, [method.method_id for method in item.scorer.methods]] for item in field.contenders
        ],
        "streams": [recipe.method_id(order) for recipe in recipes for order in range(request.orders)],
        "generators": {role: getattr(context.config.generators, role) for role in roles},
        "asked": [request.protocol, request.positive, request.replicates, request.seed, request.same_format],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def stored_figures(
    ledger: Ledger, digest: str, plan: EvaluationPlan, sets: EvaluationSets, field: Field
) -> tuple[str, tuple[Measured, ...]] | None:
    """The run that measured just this, and what it found; None where none did."""
    found = ledger.database.row("find_evaluation", digest=digest)
    if found is None:
        return None
    rows = ledger.database.rows("list_evaluation_metrics", run_id=found["run_id"])
    of: dict[tuple[str, str, Form], list[Stored]] = {}
    for row in rows:
        of.setdefault((row["bank_digest"], row["method_id"], row["form"]), []).append(row)
    names, streams = field.names, _streams(plan)
    measured = [
        _measured(key, rows, names | {name: asked for name, (asked, _) in streams.items()}, sets, streams)
        for key, rows in of.items()
    ]
    places = {name: place for place, name in enumerate((*names, *streams))}
    measured.sort(key=lambda item: (places[item.bank_digest], item.form != "as_is", places[item.method_id]))
    return found["run_id"], tuple(measured)


def _streams(plan: EvaluationPlan) -> dict[str, tuple[str, int]]:
    """What each stream is called, and its order, by method id."""
    recipes = map(StreamRecipe.parse, plan.request.streams)
    orders = range(plan.request.orders)
    return {recipe.method_id(order): (recipe.named(order), order) for recipe in recipes for order in orders}


def _measured(
    key: tuple[str, str, Form],
    rows: Sequence[Stored],
    names: Mapping[str, str],
    sets: EvaluationSets,
    streams: Mapping[str, tuple[str, int]],
) -> Measured:
    bank_digest, method_id, form = key
    by_figure: dict[tuple[Scope | Literal["id"], str], list[Stored]] = {}
    for row in rows:
        by_figure.setdefault((row["scope"], row["ood_name"] or row["scope"]), []).append(row)
    accuracy = next((row for row in by_figure.pop(("id", "id"), []) if row["metric"] == ACCURACY), None)
    order = {name: place for place, name in enumerate((*sets.ood, *AVERAGES))}
    figures = [_figures(scope, name, found) for (scope, name), found in by_figure.items() if scope != "id"]
    return Measured(
        bank=names[bank_digest],
        bank_digest=bank_digest,
        method=names[method_id],
        method_id=method_id,
        figures=tuple(sorted(figures, key=lambda item: order[item.name])),
        labelled=int(accuracy["id_count"]) if accuracy else 0,
        correct=round(accuracy["value"] * accuracy["id_count"]) if accuracy else 0,
        form=form,
        order=streams[method_id][1] if method_id in streams else None,
    )


def _figures(scope: Scope, name: str, rows: Sequence[Stored]) -> Figures:
    metrics = {
        row["metric"]: Estimate(row["value"], *(math.nan if row[end] is None else row[end] for end in ("low", "high")))
        for row in rows
    }
    return Figures(scope, name, rows[0]["id_count"], rows[0]["ood_count"], metrics)


def record_evaluation(ledger: Ledger, summary: EvaluationSummary, digest: str) -> None:
    """All rows of an evaluation, in one transaction."""
    sets: list[Row] = [
        {
            "side": item.side,
            "name": item.name,
            "near_far": item.near_far,
            "sources": json.dumps(item.sources),
            "data_count": item.data,
            "image_count": item.images,
            "copy_count": item.copies,
            "unreadable_count": item.unreadable,
            "excluded_count": item.excluded,
            "expected_count": item.expected,
        }
        for item in summary.sets
    ]
    facts = {name: getattr(summary, name) for name in ("encoder_id", "protocol", "positive", "replicates", "seed")}
    facts["same_format"] = json.dumps(asdict(summary.same_format)) if summary.same_format else None
    with ledger.database.transaction():
        ledger.add(
            evaluation=[{**facts, "digest": digest}], evaluation_set=sets, evaluation_metric=summary.metric_rows()
        )
