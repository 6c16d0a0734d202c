"""Proposes a bank from what reviewers decided, and judges it on images that the proposal was not made from.

Evidence is gathered on one half of the reviewed images and tried out label by label on that half and half of the
reference; what remains is judged on the other halves, as the bank that would really be built, at the cut of the bank
before it (see guard.py). The halves are given by the hashes that name images and groups, so the same decisions give
the same proposal. With few reviews both halves are all of them, and the proposal says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from curator.banks import TextCache, build_bank
from curator.banks.spec import parse_spec
from curator.durable import write_durably
from curator.errors import BankError, UsageError
from curator.methods import Method, MethodSpec, resolve_method
from curator.methods.maths import Scores
from curator.policy import calibrate
from curator.policy.default import default_policy
from curator.store import Database
from curator.store.tables import Row
from curator.types import Bank, Vectors
from curator.workspace.context import Context
from curator.workspace.judge.policies import scored_by
from curator.workspace.judge.ruling import Cuts
from curator.workspace.judge.suited import suited_method
from curator.workspace.learn.guard import FEWEST, KEEP, SideFigures, log_odds
from curator.workspace.learn.world import LedgerWorld
from curator.workspace.published import reading
from curator.workspace.review.advice import agreement, cost_of, needs_of
from curator.workspace.review.evidence import SOURCE, Judged, LabelEdit, additions, removals, varied
from curator.workspace.session import writing

MOST_TRIED = 20  # labels of each kind
LEFT_OUT = "it does not help"


@dataclass(frozen=True, slots=True)
class Sided:
    """Images with their sides: vectors (n, d), is_id (n,)."""

    vectors: Vectors
    is_id: NDArray[np.bool_]

    @classmethod
    def of(cls, judged: Sequence[Judged], reference: Vectors) -> Self:
        """Reviewed images and reference images. One that is reviewed counts by its review, once."""
        vectors = np.concatenate([reference, *(item.vector[None] for item in judged)])
        sides = [True] * len(reference) + [item.is_id for item in judged]
        return cls(vectors, np.array(sides, dtype=bool))


@dataclass(frozen=True, slots=True)
class BankProposal:
    """candidates: all labels that were looked at; those with an empty outcome are the proposal.

    before, after: figures on the images that judge; None where nothing is proposed. held_out: whether the reviewed ones
    among them took no part in the proposal. advice: what would bring a proposal, where no label is in question.
    verdict: why it is refused, or None.
    """

    parent: str
    name: str
    method_id: str
    min_log_odds: float
    reviewed: int
    reference: int
    held_out: bool
    candidates: tuple[LabelEdit, ...]
    advice: str = ""
    before: SideFigures | None = None
    after: SideFigures | None = None
    verdict: str | None = None
    spec: str | None = None
    written: str | None = None
    built: str | None = None

    @property
    def proposed(self) -> tuple[LabelEdit, ...]:
        return tuple(item for item in self.candidates if not item.refused)

    def as_json(self) -> dict[str, object]:
        names = [name for name in self.__slots__ if name not in ("candidates", "before", "after")]
        figures = {name: (asdict(found) if (found := getattr(self, name)) else None) for name in ("before", "after")}
        return (
            {name: getattr(self, name) for name in names}
            | figures
            | {"candidates": [item.as_json() for item in self.candidates]}
        )


def propose_bank(
    context: Context,
    address: str,
    *,
    name: str | None,
    method: str | None,
    write: bool,
    build: bool,
    wait_seconds: float,
) -> BankProposal:
    """Changes of the bank at `address`. name: of the new bank. write: its spec file; build: that, and a version of it.

    Raises UsageError when nothing is reviewed, BankError for a parent that cannot be changed so and for a proposal
    that makes things worse when it is to be written."""
    with reading(context.layout) as database:
        context.require_current(database)
        parent = context.find_bank(database, address, encoder_id=context.encoder_id(database))
        if parent is None:
            raise BankError(f"no bank version {address}", hint="see `curator bank list`")
        if parent.parameters:
            hint = "propose for the bank that it was learnt from, as `parent`"
            raise BankError(f"bank {parent.name} was learnt: its tensors belong to its labels as they are", hint=hint)
        proposal = _proposal(context, database, parent, name or f"{parent.name}-reviewed", method)
    if not (write or build):
        return proposal
    if proposal.spec is None:
        raise BankError("there is nothing to write: no label is proposed", hint="review more images")
    if proposal.verdict is not None:
        raise BankError(f"the proposal is not written: {proposal.verdict}", hint="look at it without `write`")
    path = context.layout.bank_spec(proposal.name)
    _write_spec(path, proposal.spec)
    if not build:
        return replace(proposal, written=str(path))
    arguments = {"name": proposal.name, "parent": proposal.parent}
    with writing(context, "bank propose", arguments, wait_seconds=wait_seconds) as ledger:
        bank = context.build_bank(ledger, proposal.name)
    return replace(proposal, written=str(path), built=f"{bank.name}@{bank.digest}")


def _write_spec(path: Path, text: str) -> None:
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
        raise UsageError(f"{path} is there already", hint="name another one by `name`")
    write_durably(path, text.encode())


def _proposal(context: Context, database: Database, parent: Bank, name: str, asked_method: str | None) -> BankProposal:
    world = LedgerWorld(context, database, parent)
    asked = context.method_spec(asked_method or suited_method(parent.spec, parent.id_count, context.config))
    method = resolve_method(asked, parent)
    if method.needs.of_reference:
        raise UsageError(f"{method.method_id} judges by reference images, not by labels", hint="`method` neglabel")
    rows = database.rows("list_reviewed_images")
    reference = [image.image_id for image in world.reference_images]
    reference_vectors = world.reference_vectors(reference)
    cut = ruling_cut(database, parent, method, log_odds(parent, method, reference_vectors))
    judged = _judged(world, parent, method, rows)
    if not judged:
        raise UsageError("no image is decided ID or OOD", hint="decide some first: `i` and `o` in the app")
    few = len({item.witness for item in judged}) < FEWEST
    making = [item for item in judged if few or _is_even(item.witness)]
    judging = [item for item in judged if few or not _is_even(item.witness)]
    evens = np.array([_is_even(name) for name in reference], dtype=bool)
    notes = _notes(rows)
    candidates = [*removals(parent, method, cut, making, notes), *additions(world, parent, method, making, cut)]
    _try_out(parent, asked, cut, candidates, Sided.of(making, reference_vectors if few else reference_vectors[evens]))
    proposed = [item for item in candidates if not item.refused]
    found = BankProposal(
        parent=f"{parent.name}@{parent.digest}",
        name=name,
        method_id=method.method_id,
        min_log_odds=cut,
        reviewed=len(judged),
        reference=len(reference),
        held_out=not few,
        candidates=tuple(candidates),
    )
    if not proposed:
        return replace(found, advice="" if candidates else agreement(making, cut))
    table = _proposed_spec(name, parent, proposed)
    bank = build_bank(
        parse_spec(table, where=f"the proposed bank {name}"),
        context.encoder,
        root=context.layout.root,
        text_cache=TextCache(context.layout.text_cache),
        find_bank=lambda address: context.known_bank(database, address),
    )
    sides = Sided.of(judging, reference_vectors if few else reference_vectors[~evens])
    before, after = (
        SideFigures.of(log_odds(side, resolve_method(asked, side), sides.vectors), sides.is_id, cut)
        for side in (parent, bank)
    )
    return replace(
        found, before=before, after=after, verdict=after.verdict(before), spec=_spec_text(table, found.parent)
    )


def ruling_cut(database: Database, bank: Bank, method: Method, held_out: Scores) -> float:
    """The cut under which a version is used, for images whose class has none of its own."""
    if (ruling := Cuts.of(database, scored_by(bank, method))) is not None:
        return ruling.common
    try:
        return default_policy(bank, method, rule="label_for_label").min_log_odds
    except UsageError:
        return calibrate(held_out, keep=KEEP).min_log_odds


def _judged(world: LedgerWorld, parent: Bank, method: Method, rows: Sequence[Row]) -> list[Judged]:
    """The images on which a decision holds and of which there is a vector."""
    present = set(world.sample_ids(0)) if rows else set()
    wanted = [row for row in rows if row["decision"] in ("id", "ood") and row["image_id"] in present]
    if not wanted:
        return []
    vectors = world.lake_vectors([row["image_id"] for row in wanted])
    scores = log_odds(parent, method, vectors)
    return [
        Judged(row["image_id"], row["group_id"], row["decision"] == "id", float(score), vector)
        for row, score, vector in zip(wanted, scores, vectors, strict=True)
    ]


def _notes(rows: Sequence[Row]) -> dict[str, set[str]]:
    """Labels noted as wrong, with the images that they are wrong for."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for label in row["wrong_labels"] or ():
            found.setdefault(label, set()).add(row["image_id"])
    return found


def _is_even(name: str) -> bool:
    """Half of the hashes: names of images and groups are hexadecimal digits of one."""
    return int(name[-1], 16) % 2 == 0


def _try_out(parent: Bank, method: MethodSpec, cut: float, candidates: Sequence[LabelEdit], sides: Sided) -> None:
    """Take candidates in one by one, in order; one that does not help, or does harm, gets that as its outcome."""
    removed: list[str] = []
    added: list[LabelEdit] = []
    figures, missing = _tried(parent, method, cut, sides, removed, added)
    for action in ("remove", "add"):
        open_ones = [item for item in candidates if item.action == action and not item.refused]
        for late in open_ones[MOST_TRIED:]:
            late.outcome = f"not tried: only the first {MOST_TRIED} are"
        for item in open_ones[:MOST_TRIED]:
            more = ([*removed, item.label], added) if action == "remove" else (removed, [*added, item])
            if not _can_judge(varied(parent, *more), method):
                item.outcome = "it is the last negative"
                continue
            new, less = _tried(parent, method, cut, sides, *more)
            item.outcome = new.harm(figures) or ("" if less < missing or item.noted else LEFT_OUT)
            if item.against > item.witnesses + item.noted:
                item.outcome = f"it flags {item.against} groups rightly"
            item.cost = cost_of(figures, new)
            item.needs = needs_of(item, figures, new) if item.refused else ""
            if not item.refused:
                (removed, added), figures, missing = more, new, less


def _can_judge(bank: Bank, method: MethodSpec) -> bool:
    """Whether the bank has negatives, of all sources that the method asks for."""
    try:
        resolve_method(method, bank)
    except BankError:
        return False
    return len(bank.labels) > bank.id_count


def _tried(
    parent: Bank, method: MethodSpec, cut: float, sides: Sided, removed: Sequence[str], added: Sequence[LabelEdit]
) -> tuple[SideFigures, float]:
    bank = varied(parent, removed, added)
    scores = log_odds(bank, resolve_method(method, bank), sides.vectors)
    return SideFigures.of(scores, sides.is_id, cut), shortfall(scores, sides.is_id, cut)


def shortfall(log_odds: NDArray[np.floating], is_id: NDArray[np.bool_], cut: float) -> float:
    """By how much images lie on the wrong side of the cut, summed: what a change must make smaller to help."""
    beyond = np.where(is_id, cut - log_odds, log_odds - cut)
    return float(beyond[beyond > 0].sum())


def _proposed_spec(name: str, parent: Bank, proposed: Sequence[LabelEdit]) -> dict[str, object]:
    """The tables of the spec. The parent is named by its digest, so that the judgement is of the bank that is built."""
    address = f"{parent.name}@{parent.digest}"
    template = parent.spec.get("id", {}).get("template")
    added = sorted(item.label for item in proposed if item.action == "add")
    removed = sorted(item.label for item in proposed if item.action == "remove")
    names = parent.spec.get("mining", {}).get("remove_id_names", True)
    shaped = {} if template is None else {"template": list(template) if isinstance(template, tuple) else template}
    sources = {item.source for item in proposed if item.action == "add" and item.source != SOURCE}
    words = {"words": added, **shaped, "mine": False, **({"source": min(sources)} if sources else {})}
    negatives: dict[str, object] = {"lists": [words]} if added else {}
    learned = {"learned": True} if parent.spec.keys() & {"system", "learned"} else {}
    return {
        "name": name,
        "id": {"bank": address, **shaped},
        "negatives": {**negatives, "banks": [{"bank": address, "mine": False, **learned}]},
        "mining": {"remove_id_names": names, **({"remove_labels": removed} if removed else {})},
    }


def _spec_text(table: Mapping[str, Any], parent: str) -> str:
    """The tables as TOML."""
    lines = [f"# What reviewers decided about the flags of {parent}: made by `curator bank propose`."]
    lines += [f"name = {_value(table['name'])}", "", "[id]", *_pairs(table["id"])]
    for kind, sources in table["negatives"].items():
        for source in sources:
            lines += ["", f"[[negatives.{kind}]]", *_pairs(source)]
    return "\n".join([*lines, "", "[mining]", *_pairs(table["mining"])]) + "\n"


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in table.items()]


def _value(value: object) -> str:
    """Texts, flags and lists of texts: TOML writes them as JSON does."""
    return json.dumps(value, ensure_ascii=False)
