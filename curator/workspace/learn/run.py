"""Banks that systems make: one run from the spec to an immutable version with its evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from curator.banks import bank_digest, load_bank, save_bank
from curator.banks.build import keep
from curator.banks.diff import dotted
from curator.banks.refine import named_negatives, refined_bank
from curator.banks.sources import SourceLabel
from curator.banks.spec import MiningSpec
from curator.errors import BankError, BankRefused, UsageError
from curator.generators.asking import Asker, Budget
from curator.ranges import BANK, NAME
from curator.report.notebook import Shown
from curator.store import Ledger
from curator.store.generated import record_origin
from curator.systems.negrefine.judging import refine_negatives
from curator.systems.proposals import Learned
from curator.systems.registry import System
from curator.systems.settings import SystemSettings
from curator.systems.spec import SystemSpec, read_system_spec, spec_text
from curator.types import Bank, Vectors
from curator.workspace.context import Context
from curator.workspace.learn.excess import Excess, find_excess, refuse_without_excess
from curator.workspace.learn.guard import (
    GuardFigures,
    HeldOut,
    guard_figures,
    leave_judges,
    refuse_if_worse,
    refuse_without_judges,
    why_unjudged,
)
from curator.workspace.learn.online_scores import record_streamed
from curator.workspace.learn.world import LedgerWorld
from curator.workspace.logs import log
from curator.workspace.reference_labels import require_labels
from curator.workspace.scan.listing import open_sources
from curator.workspace.scan.request import ScanRequest, ScanWatcher, SilentWatcher
from curator.workspace.scan.run import take_in
from curator.workspace.session import writing
from curator.workspace.stored.calls import LedgerCalls

SAME = "the same as the version before"
SAMPLE = 20_000  # images of the lake that are looked at for systems that learn from none


@dataclass(frozen=True, slots=True)
class LearnRequest:
    """Which bank a system is to make, and what it may cost.

    settings: on top of the spec's. reference: ID images to take in first. max_calls: of models, None for no limit.
    force: learn also where there is no clear excess of OOD images, and keep a version that the guard would refuse.
    ask_again: calls that generators answered with what cannot be used.
    """

    system: str
    name: str
    parent: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    reference: tuple[str, ...] = ()
    max_calls: int | None = None
    force: bool = False
    wait_seconds: float = 0.0
    ask_again: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class LearnSummary(Shown):
    """What a run made. calls: by how they ended; `sent` counts what was asked now, repeats included.

    labels_note: a line where cleaning left little. excess: what the lake holds to learn from, excess_note a line about
    it. guard: the figures of the bank before and now, guard_note a line about them. online: the method id of the scores
    that the lake got in passing, and how far other orders moved them.
    """

    run_id: str
    system: str
    bank: str
    bank_digest: str
    method: str
    id_labels: int
    negative_labels: int
    sent: int
    calls: Mapping[str, int]
    account: Mapping[str, object]
    facts: Mapping[str, object]
    excess: Mapping[str, object] | None
    excess_note: str
    labels_note: str
    guard: Mapping[str, object] | None
    guard_note: str
    online: Mapping[str, object] | None
    seconds: float

    @property
    def judged(self) -> bool:
        """Whether the version was compared, or is the one before."""
        return self.guard is not None or self.guard_note == SAME

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def run_learning(context: Context, request: LearnRequest, watcher: ScanWatcher) -> LearnSummary:
    """Make a version of the bank. Raises UsageError or ConfigError before any work for a request that cannot be,
    BankRefused for a version that the guard refuses; what generators answered is kept in every case."""
    began, started = time.time_ns(), time.perf_counter()
    spec = spec_of(context, request)
    settings = spec.settings(request.settings)
    sources = open_sources(request.reference, context.config.scan)
    arguments = {"name": spec.name, "parent": spec.parent, "settings": settings.as_table()}
    with writing(context, f"bank {spec.system}", arguments, wait_seconds=request.wait_seconds) as ledger:
        context.require_current(ledger.database)
        if sources:
            wanted = ScanRequest(tuple(source.name for source in sources), role="reference")
            take_in(context, ledger, sources, wanted, watcher)
        budget = Budget(request.max_calls)
        parent = context.parent_bank(ledger, spec.parent, within=(spec.name,))
        world = LedgerWorld(context, ledger.database, parent)
        require_classes(world, spec)
        settings = leave_judges(world, settings, spec.table.keys() | request.settings.keys())
        summary = _learn(world, ledger, spec, settings, budget, request)
        context.mark_built(spec.name, max(began, write_spec(context.layout.bank_spec(spec.name), spec)), spec.banks)
    return replace(summary, sent=budget.sent, seconds=round(time.perf_counter() - started, 3))


def build_bank(context: Context, name: str, *, wait_seconds: float) -> Bank:
    """Build the bank of `banks/<name>.toml`, mined or made by a system that learns. A mined one needs no vectors, so it
    is built also where they are gone."""
    path = context.layout.bank_spec(name)
    spec = read_system_spec(path) if path.is_file() else None
    if spec is not None:
        request = LearnRequest(spec.system, spec.name, wait_seconds=wait_seconds)
        made = run_learning(context, request, SilentWatcher())
        log.info("bank %s: %s; %d calls sent", made.bank, made.guard_note, made.sent)
        return load_bank(context.layout.bank_versions(spec.name) / made.bank_digest)
    arguments = {"name": name}
    with writing(context, "bank build", arguments, wait_seconds=wait_seconds, needs_vectors=False) as ledger:
        return context.build_bank(ledger, name, refine=partial(refine_bank, context, ledger))


def refine_bank(context: Context, ledger: Ledger, bank: Bank, keep: Sequence[str]) -> Bank:
    """A mined bank without the negatives that a reasoner takes for names or for kinds of its ID labels."""
    world = LedgerWorld(context, ledger.database, bank)
    store = LedgerCalls(ledger, context.layout.generated)
    asker = Asker(world.generator, store)
    try:
        refined, account = refine_negatives(world, asker, keep=[*keep, *named_negatives(bank)])
    finally:
        asker.release()
    log.info(
        "bank %s: refined, %d of %d negatives stay", bank.name, len(refined.kept), len(bank.labels) - bank.id_count
    )
    return refined_bank(bank, refined, account)


def spec_of(context: Context, request: LearnRequest) -> SystemSpec:
    """The spec in banks/NAME.toml, or the defaults where there is none. Raises UsageError for another system's, and for
    what is no name of a bank: it becomes that of a file and a folder."""
    for form, given in ((NAME, request.name), (BANK, request.parent or "base")):
        if form.complaint(given):
            raise UsageError(f"bank {given!r} is none", hint=form.accepted)
    path = context.layout.bank_spec(request.name)
    found = read_system_spec(path) if path.is_file() else SystemSpec(request.name, request.system)
    if found is None or found.system != request.system:
        kind = "mined" if found is None else found.system
        raise UsageError(
            f"{path} is the spec of a {kind} bank, not of {request.system}", hint="give the bank another name"
        )
    return found if request.parent is None else replace(found, parent=request.parent)


def _learn(
    world: LedgerWorld,
    ledger: Ledger,
    spec: SystemSpec,
    settings: SystemSettings,
    budget: Budget,
    request: LearnRequest,
) -> LearnSummary:
    context, force = world.context, request.force
    excess = look_for_excess(world, spec, settings, force)
    learned = put_to_work(world, ledger, spec.made_by, settings, budget, ask_again=request.ask_again)
    if learned.emptied and not force:
        raise BankRefused(
            f"bank {spec.name}: the new version is not kept: too little is left to judge by: {learned.thinned}",
            hint="`force` keeps it as it is",
        )
    if spec.made_by.by_class:
        learned = replace(learned, account={**learned.account, "reference": world.reference_labels.account})
    if excess is not None:
        learned = replace(learned, account={**learned.account, "lake": excess.share.as_json()})
    bank = assemble(spec, settings, world.parent, learned, world.encode)
    previous = context.find_bank(ledger.database, spec.name, encoder_id=bank.encoder_id)
    method = world.method_of(spec.made_by)
    figures, note = _guard(world, bank, previous, method, learned, excess, settings.images_setting, force=force)
    bank, version = _keep(context, ledger, bank, learned, figures)
    streamed = learned.streamed
    online = record_streamed(world, ledger, bank, spec.system, streamed) if streamed is not None else None
    calls = ledger.database.rows("count_calls_of_run", run_id=ledger.run_id)
    return LearnSummary(
        run_id=ledger.run_id,
        system=spec.system,
        bank=f"{spec.name} v{version}",
        bank_digest=bank.digest,
        method=method,
        id_labels=bank.id_count,
        negative_labels=len(bank.labels) - bank.id_count,
        sent=0,
        calls={row["status"]: row["calls"] for row in calls},
        account=learned.account,
        facts=learned.facts,
        excess=excess.share.as_json() if excess else None,
        labels_note=learned.thinned,
        excess_note=excess.said(world.parent.name) if excess else "",
        guard=asdict(figures) | {"worse": figures.verdict} if figures else None,
        guard_note=note,
        online=online,
        seconds=0.0,
    )


def require_classes(world: LedgerWorld, spec: SystemSpec) -> None:
    """Raises UsageError for a system that learns by class where the labels of the reference name no class."""
    if spec.made_by.by_class:
        require_labels(world.reference_labels, spec.system)


def look_for_excess(world: LedgerWorld, spec: SystemSpec, settings: SystemSettings, force: bool) -> Excess | None:
    """What the lake holds, and the world's suspects where the system is to learn from them. None where there is nothing
    to say. Raises BankRefused where a system that learns from the lake finds no clear excess there, unless forced."""
    from_lake = spec.made_by.from_lake
    if not from_lake and not (world.has_lake and world.reference_images):
        return None
    found = find_excess(world, getattr(settings, "sample", SAMPLE))
    if from_lake and not force:
        refuse_without_excess(world, found, spec.system)
    if from_lake and found.share.clear and found.suspects.ood:
        world.suspects = found.suspects
    return found


def put_to_work(
    world: LedgerWorld,
    ledger: Ledger,
    system: System,
    settings: SystemSettings,
    budget: Budget,
    *,
    ask_again: bool = False,
) -> Learned:
    """Put the system to work. Its generators are found first: a model that is not there must not cost the calls before
    it. The counts of every step go to the log."""
    store = LedgerCalls(ledger, world.context.layout.generated)
    asker = Asker(world.generator, store, budget, world.role_behind, ask_again)
    try:
        asker.prepare(*settings.roles)
        learned = system.learn(world, asker, settings)
    except BankError as error:
        if not asker.outcomes.said:
            raise
        raise asker.outcomes.explained(error) from error
    finally:
        asker.release()
    if said := asker.outcomes.said:
        log.info("%s: %s; see `curator query calls`", system.name, said)
    counts = {name: count for name, count in dotted(learned.account).items() if type(count) is int}
    log.debug("%s: %s", system.name, ", ".join(f"{name} {count}" for name, count in counts.items()))
    return learned


def _keep(
    context: Context, ledger: Ledger, bank: Bank, learned: Learned, figures: GuardFigures | None
) -> tuple[Bank, int]:
    """Store the version with which call gave each label, what was painted, and how it was guarded.

    Returns it as loaded again, and its number.
    """
    bank = load_bank(save_bank(bank, context.layout.bank_versions(bank.name)))
    ledger.record_encoder(context.encoder, context.config.encoder.address)
    version = ledger.record_bank(bank)
    negatives, first = len(bank.labels) - bank.id_count, len(bank.labels) - len(learned.negatives)
    record_origin(
        ledger,
        evidence=[
            {
                "bank_digest": bank.digest,
                "label_index": first + place,
                "call_id": item.call_id,
                "concerns": item.concerns,
            }
            for place, item in enumerate(learned.negatives)
        ],
        pictures=[
            {"bank_digest": bank.digest, "picture_number": number}
            | {name: picture[name] for name in ("call_id", "artefact", "label")}
            for number, picture in enumerate(learned.pictures)
        ],
        guard=[figures.row] if figures else [],
    )
    log.info("bank %s version %d (%s): %d negative labels", bank.name, version, bank.digest[:12], negatives)
    return bank, version


def _guard(
    world: LedgerWorld,
    bank: Bank,
    previous: Bank | None,
    method: str,
    learned: Learned,
    excess: Excess | None,
    image_setting: str | None,
    *,
    force: bool,
) -> tuple[GuardFigures | None, str]:
    """The figures and a line for the user. Raises BankRefused for a version that is worse."""
    if previous is not None and previous.digest == bank.digest:
        return None, SAME
    lake, half = (excess.judging, excess.other_half) if excess is not None and excess.share.clear else (None, ())
    judged = HeldOut.of(world, learned.used_images, lake, half)
    if world.suspects is not None and not force:
        refuse_without_judges(judged, bank.name)
    if judged is None:
        return None, why_unjudged(world, learned.used_images, image_setting)
    before = f"parent {world.parent.name}" if previous is None else "the version before"
    other = world.base_method if previous is None else None
    figures = guard_figures(world, bank, previous or world.parent, method, judged, previous_method=other)
    if previous is not None:
        beside = guard_figures(world, bank, world.parent, method, judged, previous_method=world.base_method)
        figures = replace(figures, parent=beside)
    if not force:
        refuse_if_worse(figures, bank.name, before)
    figures = replace(figures, forced=figures.verdict is not None)
    note = figures.said(before)
    return figures, f"{note}; kept because it was forced" if figures.forced else note


def assemble(
    spec: SystemSpec,
    settings: SystemSettings,
    parent: Bank,
    learned: Learned,
    encode: Callable[[Sequence[str]], Vectors],
) -> Bank:
    """The bank: the parent's ID labels, what is inherited of its negatives, then what was learnt, in order."""
    ids = parent.labels[: parent.id_count]
    inherited = tuple(
        replace(parent.labels[place], source=learned.inherited_source + parent.labels[place].source)
        for place in learned.inherited
    )
    vectors = encode([item.prompt for item in learned.negatives]) if learned.negatives else parent.vectors[:0]
    offered = [SourceLabel(item.text, None, item.source, item.prompt) for item in learned.negatives]
    made = keep(offered, vectors, parent.id_vectors, MiningSpec())
    labels = (*ids, *inherited, *made.bank_labels(parent.id_texts))
    content = {
        "name": spec.name,
        "system": spec.system,
        spec.system: settings.as_table(),
        "parent": {"name": parent.name, "digest": parent.digest},
        "id": {key: value for key, value in parent.spec.get("id", {}).items() if key in ("template", "synonyms")},
        "learned": dict(learned.facts),
    }
    return Bank(
        name=spec.name,
        digest=bank_digest(labels, encoder_id=parent.encoder_id, spec=content, parameters=learned.parameters),
        encoder_id=parent.encoder_id,
        logit_scale=parent.logit_scale,
        labels=labels,
        vectors=np.concatenate([parent.id_vectors, parent.vectors[list(learned.inherited)], vectors]),
        spec=content,
        lineage={"id": parent.lineage.get("id", {}), "parent": content["parent"], "account": dict(learned.account)},
        parameters=learned.parameters,
    )


def write_spec(path: Path, spec: SystemSpec) -> int:
    """A bank always has a spec, so that make can build it again: the first run writes it with every default. Returns
    when it did so, in nanoseconds; 0 where there was one."""
    if path.exists():
        return 0
    path.write_text(spec_text(spec.name, spec.system, spec.parent), encoding="utf-8")
    log.info("wrote %s: its settings are there to be changed", path)
    return path.stat().st_mtime_ns
