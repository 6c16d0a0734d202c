"""Why an image is flagged or kept: the labels, reference images and neighbours it stands near, and the policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curator.errors import BankError, UsageError
from curator.methods.attribution import Attribution, LabelPart, attribute, scale_of
from curator.methods.cosines import exact_cosines, on_grid
from curator.methods.exact_pass import LayerCosines
from curator.store import Database
from curator.types import Vectors
from curator.workspace.context import Context
from curator.workspace.decisions import scored_by
from curator.workspace.reference import ReferenceSet, load_reference
from curator.workspace.scoring import Scorer
from curator.workspace.search import nearest_images, vector_of_image, wanted_images
from curator.workspace.session import reading


@dataclass(frozen=True, slots=True)
class ExplainedLabel:
    """A label near the image. `share`: of the sum over the labels of its role; `id_score_without` it."""

    label: str
    role: str
    source: str
    cosine: float
    share: float
    id_score_without: float | None
    decides: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """One image under one bank and method. `flagged` is None where no policy rules.

    `id_score` and `log_odds` are those of the store, for an image of the lake that was scored so, else computed now.
    `deciding`: the one label without which the image would be on the other side of the cut, if there is one.
    """

    uri: str
    image_id: str | None
    bank: str
    method_id: str
    id_score: float
    log_odds: float
    policy: str | None
    min_id_score: float | None
    min_log_odds: float | None
    policy_provenance: Mapping[str, Any] | None
    flagged: bool | None
    deciding: str | None
    labels: tuple[ExplainedLabel, ...]
    reference: tuple[Mapping[str, Any], ...]
    neighbours: tuple[Mapping[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def explain_image(
    context: Context, image: str, *, bank: str | None = None, method: str | None = None, k: int = 5
) -> Explanation:
    """Explain an image of the lake (address, end of an address, or id) or a file, by default as the views judge it.

    Raises UsageError for an image that is neither, BankError for a bank that is not there.
    """
    with reading(context.layout) as database:
        encoder_id = context.encoder_id(database)
        row = database.row("find_vector", address=image, encoder_id=encoder_id)
        vector = vector_of_image(context, image, row, encoder_id)
        scorer = _scorer(context, database, bank, method, encoder_id)
        image_id = str(row["image_id"]) if row else None
        found = attribute_image(scorer, image_id, vector, k)
        ruling = database.row("find_policy", **scored_by(scorer.bank, scorer.method))
        stored = image_id and database.row("find_score", image_id=image_id, **scored_by(scorer.bank, scorer.method))
        score = stored or {"id_score": found.id_score, "log_odds": found.log_odds}
        cut = ruling["min_log_odds"] if ruling else None
        deciding = None if cut is None else found.deciding(cut)
        return Explanation(
            uri=str(row["uri"]) if row else image,
            image_id=image_id,
            bank=f"{scorer.bank.name}@{scorer.bank.digest[:12]}",
            method_id=scorer.method.method_id,
            id_score=score["id_score"],
            log_odds=score["log_odds"],
            policy=ruling["name"] if ruling else None,
            min_id_score=ruling["min_id_score"] if ruling else None,
            min_log_odds=cut,
            policy_provenance=json.loads(ruling["provenance"]) if ruling else None,
            flagged=None if cut is None else score["log_odds"] < cut,
            deciding=scorer.bank.labels[deciding.label].text if deciding else None,
            labels=tuple(_label(scorer, part, deciding) for part in (*found.ids, *found.negatives)),
            reference=_reference_images(context, database, scorer, image_id, vector, k),
            neighbours=tuple(nearest_images(context, database, encoder_id, vector, k, but=image_id).to_pylist()),
        )


def _scorer(context: Context, database: Database, bank: str | None, method: str | None, encoder_id: str) -> Scorer:
    """The bank and method asked for, or else those that the views show."""
    shown = database.row("find_selection") or {}
    digest = shown.get("bank_digest", "")
    address = bank or (f"{_name_of(database, digest)}@{digest}" if digest else context.config.scan.bank)
    found = context.find_bank(database, address, encoder_id=encoder_id)
    if found is None:
        raise BankError(f"no bank version {address} for encoder {encoder_id}", hint="see `curator bank list`")
    if method is None and bank is None and shown:
        method = without_measured(str(shown["method_id"]))
    return context.scorer(found, method, database=database)


def _name_of(database: Database, digest: str) -> str:
    row = database.row("find_bank", name=None, digest_prefix=digest, encoder_id=None)
    return str(row["name"]) if row else ""


def without_measured(method_id: str) -> str:
    """A method id as it could have been asked for: without what was measured on the reference images."""
    name, _, listed = method_id.removesuffix(")").partition("(")
    measured = ("reference", "text_", "image_")
    kept = [item for item in listed.split(",") if item and not item.startswith(measured)]
    return f"{name}:{','.join(kept)}"


def attribute_image(scorer: Scorer, image_id: str | None, vector: Vectors, k: int) -> Attribution:
    """The parts of the labels in the score of one image, by exact cosines."""
    cosines = exact_cosines(on_grid(vector), on_grid(scorer.bank.vectors))[0]
    layers = {layer: LayerCosines(scorer.bank, layer)(vector) for layer in scorer.method.layer_needs}
    nearest = scorer.neighbours([image_id or ""], vector)
    return attribute(
        scorer.method,
        cosines[: scorer.bank.id_count],
        cosines[scorer.bank.id_count :],
        scale=scale_of(scorer.method, scorer.bank.logit_scale),
        k=k,
        neighbours=None if nearest is None else nearest[0].astype(np.float64),
        layers=layers,
    )


def _label(scorer: Scorer, part: LabelPart, deciding: LabelPart | None) -> ExplainedLabel:
    label = scorer.bank.labels[part.label]
    without = part.log_odds_without
    return ExplainedLabel(
        label=label.text,
        role=label.role,
        source=label.source,
        cosine=part.cosine,
        share=part.share,
        id_score_without=None if without is None else float(scorer.method.id_score(np.array([without]))[0]),
        decides=part is deciding,
    )


def _reference_images(
    context: Context, database: Database, scorer: Scorer, image_id: str | None, vector: Vectors, k: int
) -> tuple[Mapping[str, Any], ...]:
    """The nearest ID reference images; empty when there are not that many."""
    encoder_id = scorer.bank.encoder_id
    try:
        reference: ReferenceSet = scorer.reference or load_reference(
            database, context.layout.vectors(encoder_id), encoder_id
        )
        positions, cosines = reference.nearest([image_id or ""], vector, min(k, len(reference) - 1))
    except UsageError:
        return ()
    ids = [reference.image_ids[position] for position in positions[0]]
    with database.incoming(wanted=wanted_images(ids, cosines[0].tolist())):
        return tuple(database.rows("describe_reference"))
