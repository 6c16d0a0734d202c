"""Evaluation: images whose side is known are embedded once, scored under each bank and method, and measured.

They have the role `evaluation`, so they are never in the views of the lake. Vectors and scores are stored like all
others: a second evaluation of the same images embeds nothing, and one with another method only scores. In the same
format images are measured too, if that is asked for: then vectors are a cache, and no scores are stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from curator.banks.wordnet.lexicon import word_key
from curator.errors import UsageError
from curator.evaluation.formats import SMALL
from curator.evaluation.labels import label_of
from curator.evaluation.sets import EvaluationSets, Found, choose_sets
from curator.evaluation.summary import EvaluationSummary, Measured, Row, SetCounts
from curator.lake import Source
from curator.store import Ledger
from curator.store.tables import uri_table
from curator.workspace.context import Context
from curator.workspace.evaluate.field import Contender, Field
from curator.workspace.evaluate.measure import SavedAlike, measure_alike, measure_as_is
from curator.workspace.evaluate.plan import EvaluationPlan, EvaluationRequest, plan_evaluation
from curator.workspace.scan.listing import ListedSource
from curator.workspace.scan.request import ScanRequest, ScanWatcher
from curator.workspace.scan.run import take_in
from curator.workspace.session import writing


def run_evaluation(context: Context, request: EvaluationRequest, watcher: ScanWatcher) -> EvaluationSummary:
    """Measure banks and methods on images whose side is known, and store the figures.

    Raises UsageError, before anything is read, for a request that cannot be; and when a set turns out to be empty.
    """
    plan = plan_evaluation(context, request)
    arguments = {"sources": [source.name for source in plan.sources], "protocol": request.protocol}
    with writing(context, "evaluate", arguments) as ledger:
        if plan.reference:
            known = ScanRequest(tuple(source.name for source in plan.reference), role="reference")
            _, reference = take_in(
                context, ledger, plan.reference, known, watcher, bank=next(iter(request.banks), None)
            )
        field = Field.find(context, ledger, request)
        listed = _take_in(context, ledger, plan, field.contenders[0], watcher)
        if context.encoder_id(ledger.database) != field.encoder_id:  # reading has shown that its weights changed
            field = Field.find(context, ledger, request)
        sets = _sets(ledger, plan, listed)
        if plan.reference:
            among = _reference_ids(ledger, plan, listed, reference)
            field = Field.find(context, ledger, request, reference_ids=among)
        asked, alike = request.same_format, None
        if asked is not None:
            alike = SavedAlike.make(context, ledger, asked, sets, field, watcher)
        measured: list[Measured] = []
        for contender in field.contenders:
            measured += measure_as_is(context, ledger, plan, sets, contender)
            measured += measure_alike(plan, alike, contender) if alike else ()
        totals = ledger.database.row("summarise_run", run_id=ledger.run_id) or {}
        summary = EvaluationSummary(
            run_id=ledger.run_id,
            encoder_id=field.encoder_id,
            protocol=plan.protocol.name if plan.protocol else None,
            positive=request.positive,
            replicates=request.replicates,
            seed=request.seed,
            embedded=int(totals["images"]),
            sets=tuple(_counts(plan, sets)),
            measured=tuple(measured),
            published=plan.protocol.published if plan.protocol else (),
            same_format=alike.used if alike else None,
            warnings=(
                *field.passed_over,
                *_warnings(context, plan, sets, measured),
                *(_format_warnings(alike) if alike else ()),
            ),
        )
        _record(ledger, summary)
    return summary


def _take_in(
    context: Context, ledger: Ledger, plan: EvaluationPlan, contender: Contender, watcher: ScanWatcher
) -> dict[str, ListedSource]:
    """Embed what is new in the sources. Returns what each of them listed, by its name."""
    wanted = ScanRequest(tuple(source.name for source in plan.sources), role="evaluation")
    _, listed = take_in(context, ledger, plan.sources, wanted, watcher, bank=contender.address)
    return {item.source.name: item for item in listed}


def _sets(ledger: Ledger, plan: EvaluationPlan, listed: Mapping[str, ListedSource]) -> EvaluationSets:
    """The image sets, out of what lies in the sources now. Raises UsageError for an empty one."""

    def found(sources: Sequence[Source]) -> list[Found]:
        return _found(ledger, plan, [listed[source.name] for source in sources], role="evaluation")

    sets = choose_sets(
        found(plan.id_sources),
        {name: found(sources) for name, sources in plan.ood_sources.items()},
        id_labels=plan.id_labels,
        rest_name=plan.request.ood_rest,
    )
    for item in sets.all:
        if not item.image_ids:
            why = "every one of its images is an ID image as well" if item.excluded else "no image in its sources"
            hint = (
                "do the labels of its images stand in `id_labels`?"
                if plan.id_labels
                else "see `id_sources` and `ood_sources`"
            )
            raise UsageError(f"the set {item.name} is empty: {why}", hint=hint)
    return sets


def _found(ledger: Ledger, plan: EvaluationPlan, listed: Sequence[ListedSource], *, role: str) -> list[Found]:
    """The data that lie in sources just listed, with the labels they came with."""
    with ledger.database.incoming(object=uri_table(uri for source in listed for uri in source.uris)):
        rows = ledger.database.rows("list_evaluated_data", role=role)
    labels = (label_of(row["uri"], row["source_label"], row["kind"]) for row in rows)
    names = (None if label is None else plan.label_map.name_of(label) for label in labels)
    return [Found(row["image_id"], name) for row, name in zip(rows, names, strict=True)]


def _reference_ids(
    ledger: Ledger, plan: EvaluationPlan, listed: Mapping[str, ListedSource], reference: Sequence[ListedSource]
) -> frozenset[str]:
    """The images of the reference sources, without those whose label makes an image of the ID sources OOD."""
    data = _found(ledger, plan, [listed[source.name] for source in plan.id_sources], role="evaluation")
    ids = {word_key(label) for label in plan.id_labels or ()}
    ood = {word_key(item.label) for item in data if item.label is not None} - ids if ids else set[str]()
    found = _found(ledger, plan, reference, role="reference")
    kept = (item for item in found if item.label is None or word_key(item.label) not in ood)
    return frozenset(item.image_id for item in kept if item.image_id is not None)


def _counts(plan: EvaluationPlan, sets: EvaluationSets) -> list[SetCounts]:
    sources = {"id": plan.id_sources, **plan.ood_sources}
    return [
        SetCounts(
            side="id" if item is sets.id else "ood",
            name=item.name,
            near_far=plan.groups.get(item.name),
            sources=tuple(source.name for source in sources.get(item.name, plan.id_sources)),
            data=item.data,
            images=len(item.image_ids),
            copies=item.copies,
            unreadable=item.unreadable,
            excluded=item.excluded,
            expected=plan.expected.get(item.name),
        )
        for item in sets.all
    ]


def _warnings(context: Context, plan: EvaluationPlan, sets: EvaluationSets, measured: Sequence[Measured]) -> list[str]:
    """What a reader of the figures must know."""
    said = []
    for item in sets.all:
        expected = plan.expected.get(item.name, item.data)
        if item.data != expected:
            said.append(f"{item.name} holds {item.data} images, the protocol's list {expected}")
        if item.excluded:
            said.append(f"{item.name}: {item.excluded} images left out, they are ID images as well")
        if item.unlabelled:
            said.append(f"{item.unlabelled} images of the ID sources came without a label and are in no set")
    if plan.protocol and plan.protocol.encoder != context.config.encoder.address:
        said.append(
            f"the published figures are for the encoder {plan.protocol.encoder}, these for "
            f"{context.config.encoder.address}: they cannot be compared"
        )
    if measured and not any(item.labelled for item in measured):
        said.append("no ID image came with a label of the bank, so there is no label accuracy: a label map names them")
    return said


def _format_warnings(alike: SavedAlike) -> list[str]:
    """Where the same format is not quite the same."""
    said = []
    for item in alike.sets.all:
        count, images = alike.used.enlarged[item.name], len(item.image_ids)
        if count > SMALL * images:
            said.append(
                f"{item.name}: {count} of {images} images had to be enlarged to the same format, and show it; "
                "--same-format with a smaller size compares better"
            )
    if unsaved := alike.used.unsaved:
        said.append(f"{len(unsaved)} images are not measured in the same format, first: {unsaved[0]}")
    return said


def _record(ledger: Ledger, summary: EvaluationSummary) -> None:
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
    facts = ("encoder_id", "protocol", "positive", "replicates", "seed")
    same_format = json.dumps(asdict(summary.same_format)) if summary.same_format else None
    with ledger.database.transaction():
        ledger.add(
            evaluation=[{**{name: getattr(summary, name) for name in facts}, "same_format": same_format}],
            evaluation_set=sets,
            evaluation_metric=summary.metric_rows(),
        )
