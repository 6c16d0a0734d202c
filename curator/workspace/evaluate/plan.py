"""What an evaluation is asked for, checked before any work: sources, sets, labels, and what a protocol needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from curator.banks import read_labels
from curator.errors import SourceError, UsageError, WeightsMissing
from curator.evaluation.figures import AVERAGES, Group
from curator.evaluation.formats import fixed_format
from curator.evaluation.labels import LabelMap, read_label_map
from curator.evaluation.protocol import ImageList, Protocol, load_protocol
from curator.lake import Source, open_source
from curator.methods.registry import METHODS
from curator.methods.spec import MethodSpec
from curator.metrics import Positive
from curator.paths import expanded
from curator.workspace.context import Context
from curator.workspace.evaluate.stream_recipe import StreamRecipe
from curator.workspace.published import reading_or_empty
from curator.workspace.scan.listing import open_sources

SourceNames: TypeAlias = tuple[str, ...]
CONTAINERS = ("", ".tar", "-*.tar", ".parquet", "-*.parquet")  # what a list may lie in, after its name


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What to evaluate.

    id_sources, ood_sources: addresses, the latter by the name of the OOD set. positive: of the headline AUPR and FPR95.
    near: names of the near-OOD sets; the others are far then. id_labels: a file; only ID images with one of its labels
    are ID. ood_rest: the other labelled images of the ID sources are the OOD set of this name. label_map: a file that
    gives names to source labels. reference: ID images for methods that compare with images. replicates: of the
    bootstrap. protocol: a shipped name or a file; data: the folder where its lists lie. same_format: measure the images
    saved alike too, in the form `size,quality` (shortest side in pixels, JPEG quality), or `drawn` from the ID images.
    streams: systems that learn from what they score (`adaneg:proxies=sample`), each on `orders` shuffled streams of the
    ID images and one OOD set. keeps: figures that are stored of the same images, banks and methods are taken as found.
    """

    positive: Positive
    id_sources: SourceNames = ()
    ood_sources: Mapping[str, SourceNames] = field(default_factory=dict)
    near: tuple[str, ...] = ()
    id_labels: Path | None = None
    ood_rest: str | None = None
    label_map: Path | None = None
    banks: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    reference: SourceNames = ()
    replicates: int = 1000
    seed: int = 0
    protocol: str | None = None
    data: Path | None = None
    same_format: str | None = None
    streams: tuple[str, ...] = ()
    orders: int = 3
    keeps: bool = False

    @property
    def asked_methods(self) -> tuple[str, ...] | None:
        """Those named; None for the configured one, which is meant where nothing else is measured."""
        return self.methods or (() if self.streams else None)


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """A request whose sources exist. expected: images of each list that the protocol counts; `id` is the ID list."""

    request: EvaluationRequest
    protocol: Protocol | None
    id_sources: tuple[Source, ...]
    ood_sources: Mapping[str, tuple[Source, ...]]
    reference: tuple[Source, ...]
    groups: Mapping[str, Group]
    label_map: LabelMap
    id_labels: tuple[str, ...] | None
    expected: Mapping[str, int]

    @property
    def sources(self) -> list[Source]:
        """Every source to take in, once."""
        every = [*self.id_sources, *(source for sources in self.ood_sources.values() for source in sources)]
        return list({source.name: source for source in every}.values())


def plan_evaluation(context: Context, request: EvaluationRequest) -> EvaluationPlan:
    """Check the request and open its sources. Raises UsageError, ConfigError or SourceError; reads no image."""
    for method in request.methods:
        METHODS.get(MethodSpec.parse(method).name)
    for stream in request.streams:
        StreamRecipe.parse(stream)
    if request.same_format is not None:
        fixed_format(request.same_format)
    protocol = load_protocol(request.protocol) if request.protocol else None
    if protocol is None:
        if request.data is not None:
            raise UsageError(
                "`data` is the folder of a protocol's lists",
                hint="add `protocol`, or give `id_sources` and `ood_sources`",
            )
        id_addresses, ood_addresses = request.id_sources, dict(request.ood_sources)
    else:
        id_addresses, ood_addresses = _protocol_sources(context, protocol, request)
    names = [*ood_addresses, *([request.ood_rest] if request.ood_rest else [])]
    _check(request, id_addresses, names)
    scan = context.config.scan
    groups: dict[str, Group] = {name: "near" if name in request.near else "far" for name in names if request.near}
    return EvaluationPlan(
        request=request,
        protocol=protocol,
        id_sources=tuple(open_sources(id_addresses, scan)),
        ood_sources={name: tuple(open_sources(addresses, scan)) for name, addresses in ood_addresses.items()},
        reference=tuple(open_sources(request.reference, scan)),
        groups={**(protocol.groups if protocol else {}), **groups},
        label_map=_label_map(context, protocol, request.label_map),
        id_labels=tuple(read_labels(request.id_labels)) if request.id_labels else None,
        expected=_expected(protocol),
    )


def _label_map(context: Context, protocol: Protocol | None, file: Path | None) -> LabelMap:
    """Names of source labels: the file's, else those of the classes of a protocol that names them, else those of the
    workspace."""
    if file is not None:
        return read_label_map(file)
    return (
        protocol.classes.label_map if protocol is not None and protocol.id.classes else context.label_map or LabelMap()
    )


def _expected(protocol: Protocol | None) -> dict[str, int]:
    """How many images each list of a protocol holds, by the name of its set; none of one that does not say (0)."""
    lists = {"id": protocol.id, **{item.name: item for item in protocol.ood}} if protocol else {}
    return {name: item.images for name, item in lists.items() if item.images}


def _check(request: EvaluationRequest, id_sources: SourceNames, names: list[str]) -> None:
    if not id_sources:
        raise UsageError("no ID images are named", hint="add `id_sources`")
    if not names:
        raise UsageError("no OOD images are named", hint="add `ood_sources`, or `id_labels` and `ood_rest`")
    for name in names:
        if name in (*AVERAGES, "id") or not name.strip():
            raise UsageError(f"an OOD set cannot be called {name!r}", hint="these names stand for means and the ID set")
    if request.ood_rest and request.id_labels is None:
        raise UsageError("`ood_rest` needs `id_labels`: the labels that are ID", hint="a file, one label a line")
    if unknown := set(request.near) - set(names):
        raise UsageError(f"`near` names {', '.join(sorted(unknown))}, which is no OOD set", hint=", ".join(names))


def _protocol_sources(
    context: Context, protocol: Protocol, request: EvaluationRequest
) -> tuple[SourceNames, dict[str, SourceNames]]:
    """The addresses of a protocol's lists: those given, else found in the data folder.

    Raises UsageError with a line for each list, and for the weights, that is missing.
    """
    known = [item.name for item in protocol.ood]
    if unknown := request.ood_sources.keys() - set(known):
        raise UsageError(f"protocol {protocol.name} has no list {', '.join(sorted(unknown))}", hint=", ".join(known))
    given = {**request.ood_sources, **({protocol.id.name: request.id_sources} if request.id_sources else {})}
    found: dict[str, SourceNames] = {}
    missing = []
    for item in (protocol.id, *protocol.ood):
        found[item.name] = given.get(item.name) or _in_folder(item, request.data)
        if not found[item.name]:
            missing.append(_missing_list(item, request.data, is_id=item is protocol.id))
    missing += _missing_weights(context, offline=bool(missing))
    if missing:
        raise UsageError("\n  ".join([f"protocol {protocol.name} cannot run; missing:", *missing]))
    return found.pop(protocol.id.name), found


def _in_folder(item: ImageList, data: Path | None) -> SourceNames:
    """Where a list lies in the data folder: a folder, tars or Parquet files of its name; none where it does not."""
    for ending in CONTAINERS if data else ():
        address = str(expanded(data or ".") / f"{item.name}{ending}")
        try:
            source = open_source(address)
            if any(True for _ in source.list()):
                return (address,)
        except SourceError:
            continue
    return ()


def _missing_list(item: ImageList, data: Path | None, *, is_id: bool) -> str:
    where = f"looked for {expanded(data) / item.name} (or .tar, .parquet)" if data else "no `data` was given"
    given = "`id_sources` SRC" if is_id else f"`ood_sources` {item.name}=SRC"
    count = f", {item.images} images" if item.images else ""
    return f"list {item.name}: {item.title}{count}; {where}; or give {given}"


def _missing_weights(context: Context, *, offline: bool) -> list[str]:
    """A line when the weights are not there; `offline`: nothing is downloaded for a run that cannot be anyway."""
    if offline:
        encoder = replace(context.config.encoder, offline=True)
        context = Context(context.layout, replace(context.config, encoder=encoder))
    try:
        with reading_or_empty(context.layout) as database:
            context.encoder_id(database)
    except WeightsMissing as fault:
        return [f"weights {fault}"]
    return []
