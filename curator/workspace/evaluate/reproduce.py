"""`curator reproduce`: a published table made again by its recipes, in a workspace of its own.

Each row is an evaluation of its own run. What it measured is stored as a whole, so a killed reproduction called again
finds the rows that are finished, embeds no image twice and counts none twice: images are known by content. A row is
finished only for the very same images, bank, method and settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from curator.banks.wordnet.lexicon import word_key
from curator.config import Config
from curator.durable import write_durably
from curator.errors import BankError, UsageError
from curator.evaluation.classes import Classes
from curator.evaluation.labels import read_label_map
from curator.evaluation.protocol import Protocol, PublishedRow, load_protocol
from curator.evaluation.recipes import CLASSES_FILE, RowRecipe, recipe_banks
from curator.evaluation.reproduction import Reproduced, Reproduction
from curator.generators import EMBEDDED
from curator.generators.requests import Role
from curator.methods.spec import MethodSpec
from curator.metrics import Positive
from curator.systems.registry import find_system
from curator.workspace.context import Context
from curator.workspace.create import create_workspace
from curator.workspace.evaluate.plan import EvaluationRequest, plan_evaluation
from curator.workspace.evaluate.run import run_evaluation
from curator.workspace.evaluate.stream_recipe import StreamRecipe
from curator.workspace.layout import Layout
from curator.workspace.learn.run import LearnRequest, run_learning
from curator.workspace.logs import log
from curator.workspace.published import reading_or_empty
from curator.workspace.scan.request import ScanWatcher

# As published: cosines and images in full, whatever the configuration says.
IN_FULL = {"scan.precision": "full", "decode.scaled": False}
STREAMS_OFF = "it learns from what it scores: ask for `streams`"


@dataclass(frozen=True, slots=True)
class ReproductionRequest:
    """table: a protocol that ships, or the path of one. data: the folder of its lists. encoder: its address, for which
    the published figures need not be. names: a table of key,label with other names of the classes. streams: test-time
    methods too, each in so many `orders`. methods: only rows of these, by name. replicates, seed: of the bootstrap.
    overrides: of the configuration.
    """

    table: str
    data: Path
    encoder: str | None = None
    names: Path | None = None
    streams: bool = False
    orders: int = 3
    methods: tuple[str, ...] = ()
    replicates: int = 1000
    seed: int = 0
    overrides: Mapping[str, object] | None = None


def reproduce(folder: Path, request: ReproductionRequest, watcher: ScanWatcher) -> Reproduction:
    """Make the table again in the workspace at `folder`, which is made where there is none.

    Raises UsageError, before any image is read, for lists or weights that are missing, for a folder of another table,
    and for methods that the table does not have.
    """
    protocol = load_protocol(request.table)
    _check_methods(protocol, request)
    classes = protocol.classes
    if request.names is not None:
        classes = classes.renamed(read_label_map(request.names).names)
    address = request.encoder or protocol.encoder
    layout = _prepared(folder, protocol, classes, address)
    results: dict[int, Reproduced] = {}
    contexts: dict[str, Context] = {}
    rows = {number: row for number, row in enumerate(protocol.published) if _is_asked(row, request)}
    # One encoder at a time: rows whose images are prepared alike follow each other.
    for number, row in sorted(rows.items(), key=lambda item: item[1].recipe.images if item[1].recipe else ""):
        if row.recipe is None:
            results[number] = Reproduced(row, why_not=row.not_run or "it has no recipe")
            continue
        wanted = row.recipe.encoder_address(address)
        if wanted not in contexts:
            contexts = {wanted: _context(layout, wanted, request)}
        results[number] = _measured(contexts[wanted], row, row.recipe, request, watcher)
    return Reproduction(protocol, address, tuple(results[number] for number in sorted(results)))


def _check_methods(protocol: Protocol, request: ReproductionRequest) -> None:
    known = dict.fromkeys(row.method for row in protocol.published)
    if not known:
        raise UsageError(f"{protocol.name} has no published rows", hint="`curator evaluate --protocol` takes its lists")
    for method in request.methods:
        if method.casefold() not in set(map(str.casefold, known)):
            raise UsageError(f"{protocol.name} has no row of {method}", hint=f"its rows: {', '.join(known)}")


def _is_asked(row: PublishedRow, request: ReproductionRequest) -> bool:
    return not request.methods or row.method.casefold() in set(map(str.casefold, request.methods))


def _measured(
    context: Context, row: PublishedRow, recipe: RowRecipe, request: ReproductionRequest, watcher: ScanWatcher
) -> Reproduced:
    if why_not := _why_not(context, recipe, request):
        return Reproduced(row, why_not=why_not)
    log.info("%s%s: %s", row.method, f" ({row.note})" if row.note else "", recipe.said)
    wanted = _evaluation(row, recipe, request)
    try:
        if recipe.learn:
            plan_evaluation(context, wanted)  # nothing is asked of models for lists that are not there
            wanted = replace(wanted, banks=(_learnt_bank(context, recipe, watcher),))
        return Reproduced(row, run_evaluation(context, wanted, watcher))
    except BankError as fault:
        return Reproduced(row, why_not=fault.message)


def _why_not(context: Context, recipe: RowRecipe, request: ReproductionRequest) -> str:
    """Why the row is not measured; empty where it is. The embedded generators are no models that a paper names."""
    if recipe.stream and not request.streams:
        return STREAMS_OFF
    roles: tuple[Role, ...] = ()
    if recipe.stream:
        roles = StreamRecipe.parse(recipe.stream).settings.roles
    elif recipe.learn:
        spec = MethodSpec.parse(recipe.learn)
        roles = find_system(spec.name).settings.resolve(spec.parameters, source=recipe.learn).roles
    lacking = [role for role in roles if getattr(context.config.generators, role) in EMBEDDED]
    if not lacking:
        return ""
    return f"it needs a model: set {', '.join(f'generators.{role}' for role in lacking)} in {context.layout.config}"


def _learnt_bank(context: Context, recipe: RowRecipe, watcher: ScanWatcher) -> str:
    """The bank that the recipe's system makes; one that it made before is taken as it is."""
    spec = MethodSpec.parse(recipe.learn)
    name = f"{recipe.bank}-{spec.name}"
    with reading_or_empty(context.layout) as database:
        known = context.find_bank(database, name, encoder_id=context.encoder_id(database))
    if known is None:
        wanted = LearnRequest(spec.name, name, parent=recipe.bank, settings=spec.parameters, force=True)
        run_learning(context, wanted, watcher)
    return name


def _prepared(folder: Path, protocol: Protocol, classes: Classes, address: str) -> Layout:
    """The workspace with the classes and the specs of the recipes. Raises UsageError where others are there."""
    distinct = list({word_key(name): name for name in classes.names}.values())
    layout = Layout(folder.expanduser().resolve())
    if not layout.config.exists():
        layout = create_workspace(folder, labels=distinct, encoder=address)
    specs = {row.recipe.bank for row in protocol.published if row.recipe is not None}
    wanted = {layout.root / CLASSES_FILE: "".join(f"{name}\n" for name in classes.names)}
    wanted |= {layout.bank_spec(name): text for name, text in recipe_banks().items() if name in specs}
    for path, text in wanted.items():
        if not path.is_file():
            write_durably(path, text.encode())
        elif path.read_text(encoding="utf-8") != text:
            raise UsageError(f"{path} is there with another content", hint="name another folder for this table")
    return layout


def _context(layout: Layout, address: str, request: ReproductionRequest) -> Context:
    overrides = {**IN_FULL, "encoder.address": address, **(request.overrides or {})}
    overrides["encoder.dtype"] = overrides.get("encoder.dtype") or "float32"
    return Context(layout, Config.resolve(layout.config, overrides=overrides))


def _evaluation(row: PublishedRow, recipe: RowRecipe, request: ReproductionRequest) -> EvaluationRequest:
    positive: Positive = "ood" if row.positive == "ood" else "id"
    return EvaluationRequest(
        positive=positive,
        label_map=request.names,
        banks=(recipe.bank,),
        methods=(recipe.method,) if recipe.method else (),
        replicates=request.replicates,
        seed=request.seed,
        protocol=request.table,
        data=request.data,
        streams=(recipe.stream,) if recipe.stream else (),
        orders=request.orders,
        keeps=True,
    )
