"""`curator reproduce`: a published table made again by its recipes, in a workspace of its own.

Each row is an evaluation of its own run. What it measured is stored as a whole, so a killed reproduction called again
finds the rows that are finished, embeds no image twice and counts none twice: images are known by content. A row is
finished only for the very same images, bank, method and settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from curator.metrics import Positive
from curator.workspace.context import Context
from curator.workspace.create import create_workspace
from curator.workspace.evaluate.plan import EvaluationRequest
from curator.workspace.evaluate.run import run_evaluation
from curator.workspace.layout import Layout
from curator.workspace.logs import log
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
        why_not = _why_not(row, request)
        if row.recipe is None or why_not:
            results[number] = Reproduced(row, why_not=why_not)
            continue
        wanted = row.recipe.encoder_address(address)
        if wanted not in contexts:
            contexts = {wanted: _context(layout, wanted, request)}
        log.info("%s%s: %s", row.method, f" ({row.note})" if row.note else "", row.recipe)
        try:
            summary = run_evaluation(contexts[wanted], _evaluation(row, row.recipe, request), watcher)
        except BankError as fault:
            results[number] = Reproduced(row, why_not=fault.message)
        else:
            results[number] = Reproduced(row, summary)
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


def _why_not(row: PublishedRow, request: ReproductionRequest) -> str:
    """Why the row is not measured; empty where it is."""
    if row.recipe is None:
        return row.not_run or "it has no recipe"
    return STREAMS_OFF if row.recipe.stream and not request.streams else ""


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
