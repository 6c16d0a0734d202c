"""Looks at bank versions: show, audit, diff. Reads the snapshot and the bank folders, never the encoder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa

from curator.banks.audit import Audit, Doubt, audit_bank, nearest
from curator.banks.diff import BankDiff, Change, diff_banks, dotted
from curator.banks.left_out import left_out
from curator.banks.storage import load_bank
from curator.banks.wordnet import load_wordnet
from curator.decode import DecodeFailure
from curator.errors import BankError
from curator.generators.painter_settings import ZERO_SHOT
from curator.methods.kernels.cosines import on_grid
from curator.progress import step
from curator.report.bank_page import MOST_PICTURES, PagePicture, bank_page
from curator.report.notebook import Shown
from curator.report.words import brief
from curator.store import Database
from curator.store.tables import Row
from curator.types import Bank, LabelRole
from curator.workspace.context import Context
from curator.workspace.logs import log
from curator.workspace.look.bank_flags import FlagChanges, flag_changes
from curator.workspace.look.pictures import thumbnail_of
from curator.workspace.published import reading

THUMBNAIL = 256
SHOWN = ("name", "version", "bank_digest", "encoder_id", "id_count", "negative_count")
DOUBT_SCHEMA = pa.schema(
    [
        ("label", pa.string()),
        ("role", pa.string()),
        ("reason", pa.string()),
        ("steps", pa.int64()),
        ("concerns", pa.string()),
        ("cosine", pa.float64()),
        ("source", pa.string()),
        ("evidence", pa.string()),
    ]
)
LEFT_OUT_SCHEMA = pa.schema(
    [
        ("rule", pa.string()),
        ("words", pa.int64()),
        ("examples", pa.string()),
        ("restore", pa.string()),
        ("restore_one", pa.string()),
    ]
)
EVIDENCE = {
    "equal": "the same name",
    "synonym": "a synonym, by WordNet or by the spec",
    "same_text": "the text of an earlier label",
    "same_vector": "the vector of an earlier label",
    "hyponym": "a kind of it, {steps} below in WordNet",
    "hypernym": "more general, {steps} above in WordNet",
    "near": "as near as an ID label is to its own neighbour: from cosine {cut:.3f}",
    "near_id": "nearer than ID labels are to each other",
}


@dataclass(frozen=True, slots=True, repr=False)
class AuditReport(Shown):
    """The doubts as rows, one for each label and reason, and their sums: distinct labels in doubt of how many.

    `same_names` are the negatives that are equal or synonymous to an ID label. `min_cosine` is from where a negative
    is near an ID label. `left_out`: a row for each rule of the spec that left words out. `remark`: what else is
    doubtful of how the bank was made; empty where nothing is.
    """

    bank: str
    min_cosine: float
    doubtful_negatives: int
    negative_count: int
    doubtful_id_labels: int
    id_count: int
    same_names: int
    table: pa.Table
    left_out: pa.Table
    remark: str = ""

    def shown(self) -> tuple[Mapping[str, object], Sequence[Row]]:
        facts = Shown.shown(self)[0]
        return {name: facts[name] for name in facts if name not in ("table", "left_out")}, self.table.to_pylist()


@dataclass(frozen=True, slots=True, repr=False)
class DiffReport(Shown):
    """Two versions by their facts, how many labels changed in which way, the changes themselves, and the flags."""

    old: Row
    new: Row
    diff: BankDiff
    flags: FlagChanges

    def shown(self) -> tuple[Mapping[str, object], Sequence[Row]]:
        both = [{"": key, "old": brief(self.old[key]), "new": brief(self.new[key])} for key in self.old]
        return self.counts(), both

    def counts(self) -> dict[str, object]:
        """Changes by kind and role, and how many labels only changed place."""
        kinds = {kind: {role: self.diff.count(kind, role) for role in get_args(LabelRole)} for kind in get_args(Change)}
        return {**kinds, "moved": self.diff.moved}

    def as_json(self) -> dict[str, object]:
        spec = {key: {"old": old, "new": new} for key, (old, new) in self.diff.spec.items()}
        changes = [asdict(change) for change in self.diff.changes]
        flags = self.flags.as_json()
        return {
            "old": self.old,
            "new": self.new,
            "spec": spec,
            "counts": self.counts(),
            "changes": changes,
            "flags": flags,
        }


def show_bank(
    context: Context, address: str, *, role: Literal["id", "negative"] | None, limit: int
) -> tuple[dict[str, object], pa.Table]:
    """A bank version's facts, and its first labels of each role."""
    with reading(context.layout) as database:
        facts, bank = _find(context, database, address)
        guard = guard_of(database, bank.digest)
        labels = database.table("show_labels", bank_digest=bank.digest, role=role, limit=limit)
    doubts = audit_bank(bank, load_wordnet()).doubts
    counts = Counter((bank.labels[doubt.label].role, doubt.reason) for doubt in doubts)
    doubtful: dict[str, dict[str, int]] = {"id": {}, "negative": {}}
    for (kind, reason), count in counts.items():
        doubtful[kind][reason] = count
    parsed = {key: json.loads(facts[key]) for key in ("spec", "lineage")}
    return {**facts, **parsed, **guard, "doubtful": doubtful}, labels


def guard_of(database: Database, bank_digest: str) -> dict[str, str]:
    """A line about how the version was judged when it was made, where it was."""
    found = database.row("find_bank_guard", bank_digest=bank_digest)
    if found is None:
        return {}
    said = (
        f"flags {found['flagged_now']} of {found['image_count']} held-out ID images, "
        f"{found['before'] or 'the bank before'} {found['flagged_before']}"
    )
    return {"guard": f"kept though refused: {said}" if found["forced"] else said}


@step("audit the bank")
def report_audit(context: Context, address: str, *, min_cosine: float | None) -> AuditReport:
    """The doubtful labels of a bank version."""
    with reading(context.layout) as database:
        facts, bank = _find(context, database, address)
    audit = audit_bank(bank, load_wordnet(), min_cosine=min_cosine)
    return AuditReport(
        bank=f"{facts['name']} v{facts['version']} ({bank.digest[:12]})",
        min_cosine=audit.min_cosine,
        doubtful_negatives=audit.count("negative"),
        negative_count=len(bank.labels) - bank.id_count,
        doubtful_id_labels=audit.count("id"),
        id_count=bank.id_count,
        same_names=audit.count("negative", "equal", "synonym"),
        table=_doubt_table(audit),
        left_out=_left_out_table(bank),
        remark=_guide_remark(bank),
    )


def _guide_remark(bank: Bank) -> str:
    """Where the encoder guided a painter and judges what it painted."""
    guides = bank.lineage.get("account", {}).get("guides", {})
    own = guides.get(ZERO_SHOT, 0)
    if not own:
        return ""
    return (
        f"{own} of {sum(guides.values())} paintings were guided by the encoder ({ZERO_SHOT}), which also scores by the "
        "bank: they show where it is in doubt, not where it errs; a painter with another guide is independent"
    )


@step("compare the banks")
def report_diff(context: Context, old: str, new: str) -> DiffReport:
    """What changed between two bank versions, which need not share name or encoder."""
    with reading(context.layout) as database:
        (old_facts, old_bank), (new_facts, new_bank) = (_find(context, database, item) for item in (old, new))
        flags = flag_changes(database, old_bank, new_bank)
    facts = [{key: found[key] for key in SHOWN} for found in (old_facts, new_facts)]
    return DiffReport(facts[0], facts[1], diff_banks(old_bank, new_bank), flags)


def page_of(context: Context, address: str) -> str:
    """A bank version as one HTML page, with what was painted for it and what its labels flag."""
    with reading(context.layout) as database:
        facts, bank = _find(context, database, address)
        labels = database.rows("list_label_evidence", bank_digest=bank.digest)
        painted = database.rows("list_bank_pictures", bank_digest=bank.digest)
        guard = guard_of(database, bank.digest)
        scoring = database.row("list_scorings_of_bank", bank_digest=bank.digest)
        counted = database.rows("count_flags_by_label", scoring=scoring["scoring"]) if scoring else []
    shown = {key: facts[key] for key in SHOWN}
    shown |= {"made": f"{facts['created_at']:%Y-%m-%d %H:%M} UTC", "flags": _flags_note(scoring, counted)}
    shown |= guard
    shown |= {key: value for key, value in dotted(bank.spec).items() if key.startswith(("system", "parent", "learned"))}
    details = dotted({"spec": bank.spec, "lineage": bank.lineage})
    pictures = [_page_picture(context, row, shown=place < MOST_PICTURES) for place, row in enumerate(painted)]
    doubts = _doubt_table(audit_bank(bank, load_wordnet())).to_pylist()
    flags = {row["top_negative"]: row["flags"] for row in counted} if scoring else None
    return bank_page(shown, _page_labels(bank, labels, flags), pictures, doubts, details)


def _flags_note(scoring: Row | None, counted: Sequence[Row]) -> str:
    """What the counts of flags on the page are of."""
    if scoring is None:
        return "no image was scored under this version: `curator score --bank NAME` does it"
    flagged = sum(row["flags"] for row in counted)
    return f"{flagged} of {scoring['scored']} scored images, by {scoring['method_id']}, policy {scoring['policy_name']}"


def _page_labels(bank: Bank, rows: Sequence[Row], flags: Mapping[str, int] | None) -> list[Row]:
    """The labels; of each negative the nearest ID label, and to how many flagged images it is the nearest one."""
    shown = [dict(row) for row in rows]
    if not len(bank.negative_vectors):
        return shown
    indices, cosines = nearest(on_grid(bank.negative_vectors), on_grid(bank.id_vectors))
    for row, index, cosine in zip(shown[bank.id_count :], indices.tolist(), cosines.tolist(), strict=True):
        row |= {"nearest_id": bank.labels[index].text, "nearest_id_cosine": cosine}
        row["flags"] = None if flags is None else flags.get(row["text"], 0)
    return shown


def _page_picture(context: Context, row: Row, *, shown: bool) -> PagePicture:
    """A small picture with its provenance; one whose file is gone, or is no picture, is shown without it."""
    path = context.layout.generated / row["artefact"]
    data = _thumbnail(context, path) if shown and path.suffix != ".safetensors" and path.is_file() else None
    provenance = {key: row[key] for key in ("model", "revision", "prompt", "seed")}
    return PagePicture(row["label"], data, provenance | json.loads(row["inputs"])["slots"])


def _thumbnail(context: Context, path: Path) -> bytes | None:
    """A picture that a painter made, as a JPEG of at most THUMBNAIL pixels a side."""
    try:
        return thumbnail_of(context, path.read_bytes(), side=THUMBNAIL, form="JPEG")
    except DecodeFailure as failure:
        log.info("generated/%s cannot be shown: %s: %s", path.name, failure.reason, failure.detail)
        return None


def _find(context: Context, database: Database, address: str) -> tuple[Row, Bank]:
    """The row and the content of `name`, `name@digest` or `name@v2`. Raises BankError when there is none."""
    name, _, version = address.partition("@")
    facts = database.row("find_bank", name=name, digest_prefix=version, encoder_id=None)
    if facts is None:
        raise BankError(f"no bank version {address}", hint="see `curator bank list`")
    return facts, load_bank(context.layout.bank_versions(facts["name"]) / facts["bank_digest"])


def _doubt_table(audit: Audit) -> pa.Table:
    labels = audit.bank.labels
    rows = [
        {
            "label": labels[doubt.label].text,
            "role": labels[doubt.label].role,
            "reason": doubt.reason,
            "steps": doubt.steps,
            "concerns": labels[doubt.concerns].text,
            "cosine": doubt.cosine,
            "source": labels[doubt.label].source,
            "evidence": _evidence(audit, doubt),
        }
        for doubt in audit.doubts
    ]
    return pa.Table.from_pylist(rows, DOUBT_SCHEMA)


def _left_out_table(bank: Bank) -> pa.Table:
    rows = [
        {**asdict(item), "words": len(item.words), "examples": ", ".join(item.examples)}
        for item in left_out(bank, load_wordnet())
    ]
    return pa.Table.from_pylist(rows, LEFT_OUT_SCHEMA)


def _evidence(audit: Audit, doubt: Doubt) -> str:
    """What speaks for a doubt, in words."""
    of_id = doubt.reason == "near" and audit.bank.labels[doubt.label].role == "id"
    steps = "1 step" if doubt.steps == 1 else f"{doubt.steps} steps"
    return EVIDENCE["near_id" if of_id else doubt.reason].format(steps=steps, cut=audit.min_cosine)
