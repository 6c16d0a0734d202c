"""Evaluation: images whose side is known are embedded once, scored under each bank and method, and measured.

They have the role `evaluation`, so they are never in the views of the lake. Vectors and scores are stored like all
others: a second evaluation of the same images embeds nothing, and one with another method only scores. In the same
format images are measured too, if that is asked for: then vectors are a cache, and no scores are stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from curator.banks.wordnet.lexicon import word_key
from curator.encoders.options import split_form
from curator.errors import UsageError
from curator.evaluation.formats import SMALL
from curator.evaluation.labels import label_of
from curator.evaluation.sets import EvaluationSets, Found, choose_sets
from curator.evaluation.summary import EvaluationSummary, Measured, SetCounts
from curator.lake import Source
from curator.progress import step
from curator.store import Ledger
from curator.store.tables import uri_table
from curator.workspace.context import Context
from curator.workspace.evaluate.field import Contender, Field
from curator.workspace.evaluate.measure import SavedAlike, measure_alike, measure_as_is
from curator.workspace.evaluate.plan import EvaluationPlan, EvaluationRequest, plan_evaluation
from curator.workspace.evaluate.stored import evaluation_digest, record_evaluation, stored_figures
from curator.workspace.evaluate.streams import measure_streams
from curator.workspace.scan.listing import ListedSource
from curator.workspace.scan.request import ScanRequest, ScanWatcher
from curator.workspace.scan.run import take_in
from curator.workspace.session import writing


def run_evaluation(context: Context, request: EvaluationRequest, watcher: ScanWatcher) -> EvaluationSummary:
    """Measure banks and methods on images whose side is known, and store the figures; `keeps`: unless they are stored.

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
        also = (*_unlike_lists(plan, listed), *_encoder_warning(context, plan))
        digest = evaluation_digest(context, plan, sets, field)
        stored = stored_figures(ledger, digest, plan, sets, field) if request.keeps else None
        if stored is not None:
            return _summary(ledger, plan, sets, field, stored[1], found_in=stored[0], also=also)
        alike = None
        if request.same_format is not None:
            alike = SavedAlike.make(context, ledger, request.same_format, sets, field, watcher)
        measured: list[Measured] = []
        with step("measure", len(field.contenders), "banks with methods") as measuring:
            for contender in field.contenders:
                measured += measure_as_is(context, ledger, plan, sets, contender)
                measured += measure_alike(plan, alike, contender) if alike else ()
                measured += measure_streams(context, ledger, plan, sets, contender)
                measuring.advance()
        summary = _summary(ledger, plan, sets, field, measured, alike=alike, also=also)
        record_evaluation(ledger, summary, digest)
    return summary


def _summary(
    ledger: Ledger,
    plan: EvaluationPlan,
    sets: EvaluationSets,
    field: Field,
    measured: Sequence[Measured],
    *,
    alike: SavedAlike | None = None,
    found_in: str | None = None,
    also: Sequence[str] = (),
) -> EvaluationSummary:
    """found_in: the run that stored the figures; None where this one measured them. also: further warnings."""
    totals = ledger.database.row("summarise_run", run_id=ledger.run_id) or {}
    request = plan.request
    return EvaluationSummary(
        run_id=found_in or ledger.run_id,
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
            *_set_warnings(plan, sets),
            *also,
            *_label_warning(measured),
            *(_format_warnings(alike) if alike else ()),
        ),
        stored=found_in is not None,
    )


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


def _set_warnings(plan: EvaluationPlan, sets: EvaluationSets) -> list[str]:
    """What a reader of the figures must know of the image sets."""
    said = []
    for item in sets.all:
        expected = plan.expected.get(item.name, item.data)
        if item.data != expected:
            said.append(f"{item.name} holds {item.data} images, the protocol's list {expected}")
        if item.excluded:
            said.append(f"{item.name}: {item.excluded} images left out, they are ID images as well")
        if item.unlabelled:
            said.append(f"{item.unlabelled} images of the ID sources came without a label and are in no set")
    return said


def _encoder_warning(context: Context, plan: EvaluationPlan) -> list[str]:
    address = split_form(context.config.encoder.address)[0]
    if plan.protocol is None or plan.protocol.encoder == address:
        return []
    published = f"the published figures are for the encoder {plan.protocol.encoder}"
    return [f"{published}, these for {address}: they cannot be compared"]


def _label_warning(measured: Sequence[Measured]) -> list[str]:
    static = [item for item in measured if item.order is None]
    if not static or any(item.labelled for item in static):
        return []
    return ["no ID image came with a label of the bank, so there is no label accuracy: a label map names them"]


def _unlike_lists(plan: EvaluationPlan, listed: Mapping[str, ListedSource]) -> list[str]:
    """Where loose files are not those of a list whose names are known."""
    if plan.protocol is None:
        return []
    pairs = [(plan.protocol.id, plan.id_sources), *((item, plan.ood_sources[item.name]) for item in plan.protocol.ood)]
    said = []
    for item, sources in pairs:
        names = [uri.rpartition("/")[2] for source in sources for uri in listed[source.name].uris]
        loose = not any(name.endswith((".tar", ".parquet")) for name in names)
        said += [item.unlike(names)] if loose else []
    return list(filter(None, said))


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
