"""Why an image is flagged or kept: the labels, reference images and neighbours it stands near, and the policy."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias, cast

import numpy as np

from curator.banks.sources.banks import short_address
from curator.decode import DecodeFailure
from curator.errors import BankError, SourceError, UsageError
from curator.lake import read_datum
from curator.methods import MethodSpec
from curator.methods.attribution import Attribution, LabelPart, attribute, scale_of
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.exact_pass import LayerCosines
from curator.paths import expanded
from curator.printable import readable
from curator.progress import step
from curator.report.explain_page import explain_page, explained
from curator.report.notebook import Shown, in_notebook
from curator.report.words import label_row, summary_of
from curator.store import Database
from curator.store.tables import Row
from curator.types import Bank, Vectors
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.judge.policies import scored_by, without_measured
from curator.workspace.judge.reference import ReferenceSet, load_reference
from curator.workspace.judge.ruling import Ruling
from curator.workspace.judge.scoring import Scorer
from curator.workspace.look.label_origins import LabelOrigin, origins_of
from curator.workspace.look.neighbours import find_vector, nearest_images, vector_of_image, wanted_images
from curator.workspace.look.pictures import thumbnail, thumbnail_of
from curator.workspace.published import reading

State: TypeAlias = Literal["lake", "gone", "reference", "evaluation", "file"]


@dataclass(frozen=True, slots=True)
class ExplainedLabel:
    """A label near the image. `share`: of the sum over the labels of its role; `id_score_without` it, where the method
    can do without. `changes_flag`: whether the image would then be on the other side of the cut; None where that cannot
    be told. `decides`: it does, and more than any other. `made_by`: the generator call it comes from, if there is one.
    """

    label: str
    role: str
    source: str
    cosine: float
    share: float
    id_score_without: float | None
    changes_flag: bool | None
    decides: bool
    made_by: LabelOrigin | None


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Shown):
    """One image under one bank and method. `flagged` is None where no policy rules, or none can judge the image.

    `state`: in the lake now, gone from it, of the reference or an evaluation, or a file that was never scanned.
    `name`: the common word that people would call it by, or why there is none; `name_margin`: how clearly, 0 to 1.
    `places`: the first of the `copies` addresses at which it lies in the lake.
    `min_log_odds` is the cut for this image, of its class or night where the policy has such; None: nothing is flagged.
    `id_score` and `log_odds` are those of the store, for an image that was scored so, else computed now.
    `deciding`: the one label without which the image would be on the other side of the cut, if there is one among the
    `tried`: so many nearest of each role were each left out, and the score computed anew, by exact cosines.
    `removal_note`: why that says nothing, where it does not.
    `ruled_by`: what rules the lake, which may be another bank, method and policy than those that are explained.
    """

    uri: str
    name: str
    name_margin: float | None
    state: State
    image_id: str | None
    copies: int
    places: tuple[str, ...]
    bank: str
    bank_name: str
    bank_version: int
    method_id: str
    id_score: float
    log_odds: float
    policy: str | None
    min_id_score: float | None
    min_log_odds: float | None
    policy_provenance: Mapping[str, object] | None
    flagged: bool | None
    deciding: str | None
    tried: int
    removal_note: str | None
    labels: tuple[ExplainedLabel, ...]
    reference: tuple[Row, ...]
    neighbours: tuple[Row, ...]
    ruled_by: InForce | None = None
    thumbnail: bytes | None = None
    thumbnail_fault: str | None = None

    def as_json(self) -> dict[str, object]:
        """The thumbnail, where there is one, in base64."""
        picture = None if self.thumbnail is None else base64.b64encode(self.thumbnail).decode()
        return asdict(self) | {"thumbnail": picture}

    def as_html(self) -> str:
        """One page without network."""
        return explain_page(asdict(self), self.verdict())

    def shown(self) -> tuple[Mapping[str, object], Sequence[Row]]:
        found = asdict(self)
        judged = {None: "not judged", True: "flagged", False: "kept"}[self.flagged]
        facts = {"uri": self.uri, "judged": f"{judged}; {self.verdict()}", **summary_of(found)}
        return facts, [label_row(label) for label in found["labels"]]

    def _repr_html_(self) -> str:
        return in_notebook("explanation", "explanation", **explained(asdict(self), self.verdict()))

    def verdict(self) -> str:
        """What decides, in one sentence."""
        if self.policy is None:
            return "no policy rules, so nothing is flagged"
        if self.removal_note is not None:
            return self.removal_note
        if self.min_log_odds is None:
            return "the policy flags nothing here, whatever an image scores"
        if self.deciding is None:
            stays = "be flagged just the same" if self.flagged else "be kept just the same"
            return f"no single label decides: without any one of the {self.tried} nearest ones it would {stays}"
        other = "kept" if self.flagged else "flagged"
        return f"decided by the label {self.deciding!r}: without it the image would be {other}"


TRIED = 20  # labels of each role that are left out in turn, at least
MOST_PLACES = 10
THUMBNAIL = 256
ONLINE = re.compile(r"(\w+)-online\(.*\)")


@step("explain")
def explain_image(
    context: Context,
    image: str,
    *,
    bank: str | None = None,
    method: str | None = None,
    k: int = 5,
    picture: bool = False,
) -> Explanation:
    """Explain an image (address, end of an address, or id) or a file, by default as the views judge it.

    `picture`: with a thumbnail. Raises UsageError for an image that is neither, BankError for a bank that is not there.
    """
    with reading(context.layout) as database:
        shown = InForce.of(database)
        encoder_id = shown.encoder_id if shown else context.encoder_id(database)
        row = find_vector(database, image, encoder_id)
        if row and row["gone"] and expanded(image).is_file():
            row = None  # what lies there now has not been scanned
        vector = vector_of_image(context, image, row, encoder_id)
        online = method is not None and ONLINE.fullmatch(method)
        scorer = find_scorer(context, database, bank, online[1] if online else method, encoder_id, shown)
        names = scored_by(scorer.bank, scorer.method) | ({"method_id": str(method)} if online else {})
        image_id = str(row["image_id"]) if row else None
        (found,) = attribute_images(scorer, [image_id or ""], vector, max(k, TRIED))
        ruling = Ruling.of(database, scorer, names, image_id, found)
        places = database.rows("list_places_of_image", image_id=image_id)
        return Explanation(
            uri=str(row["uri"]) if row else readable(image),
            **_name(context, database, scorer.bank, image_id, vector),
            state="lake" if places else _state(row),
            image_id=image_id,
            copies=len(places),
            places=tuple(place["uri"] for place in places[:MOST_PLACES]),
            method_id=names["method_id"],
            labels=_labels(database, scorer, ruling, k),
            reference=_reference_images(context, database, scorer, image_id, vector, k),
            neighbours=tuple(nearest_images(context, database, encoder_id, vector, k, but=image_id).to_pylist()),
            **ruling.as_facts(scorer),
            **_bank(database, scorer),
            ruled_by=shown,
            **(_thumbnail(context, database, image, image_id) if picture else {}),
        )


def _name(context: Context, database: Database, bank: Bank, image_id: str | None, vector: Vectors) -> Row:
    """What an image is called: as in the ledger, or a file that is not in it as the next scan would call it."""
    found: dict[str, object] = {"name": None, "margin": None}
    if image_id is not None:
        found = database.row("find_name", encoder_id=bank.encoder_id, image_id=image_id) or found
    elif (vocabulary := context.namer(bank).vocabulary) is not None:
        names, margins = vocabulary.names(vector)
        found = {"name": names[0], "margin": float(margins[0])}
    return database.rows("show_name", **found)[0]


def find_scorer(
    context: Context, database: Database, bank: str | None, method: str | None, encoder_id: str, shown: InForce | None
) -> Scorer:
    """The bank and method asked for, or else those that the views show."""
    address = bank or (shown.bank_address if shown else context.config.scan.bank)
    found = context.find_bank(database, address, encoder_id=encoder_id)
    if found is None:
        raise BankError(f"no bank version {address} for encoder {encoder_id}", hint="see `curator bank list`")
    if method is None and bank is None and shown:
        method = shown.method_id
    if method is None or not method.endswith(")"):
        return context.scorer(found, method, database=database)
    # The id of a scoring says of which precision its scores are, whatever is configured now.
    return context.scorer(found, MethodSpec.parse(without_measured(method)), database=database)


def attribute_images(scorer: Scorer, image_ids: Sequence[str], vectors: Vectors, k: int) -> list[Attribution]:
    """The parts of the labels in the score of each image, by exact cosines. vectors: (n, d), as stored."""
    cosines = exact_cosines(on_grid(vectors), on_grid(scorer.bank.vectors))  # (n, C + M)
    layers = {layer: LayerCosines(scorer.bank, layer)(vectors) for layer in scorer.method.layer_needs}
    nearest, measures = scorer.neighbours(image_ids, vectors), scorer.measures(image_ids, vectors)
    return [
        attribute(
            scorer.method,
            cosines[row, : scorer.bank.id_count],
            cosines[row, scorer.bank.id_count :],
            scale=scale_of(scorer.method, scorer.bank.logit_scale),
            k=k,
            neighbours=None if nearest is None else nearest[row].astype(np.float64),
            layers={layer: sides.of(row) for layer, sides in layers.items()},
            measures={measure: numbers[row] for measure, numbers in measures.items()},
        )
        for row in range(len(cosines))
    ]


def _state(row: Row | None) -> State:
    """Of an image that lies nowhere in the lake."""
    if row is None:
        return "file"
    return "gone" if row["gone"] else cast(State, row["role"])


def _bank(database: Database, scorer: Scorer) -> Row:
    bank = scorer.bank
    row = database.row("find_bank", name=bank.name, digest_prefix=bank.digest, encoder_id=None) or {}
    return {
        "bank": short_address(bank),
        "bank_name": bank.name,
        "bank_version": row.get("version", 0),
    }


def _labels(database: Database, scorer: Scorer, ruling: Ruling, k: int) -> tuple[ExplainedLabel, ...]:
    """The k nearest of each role, and the deciding one where it is further away."""
    deciding = ruling.deciding()
    shown = [*ruling.found.ids[:k], *ruling.found.negatives[:k]]
    if deciding is not None and deciding not in shown:
        shown.append(deciding)
    origins = origins_of(database, scorer.bank.digest, [part.label for part in shown])
    return tuple(explained_label(scorer, part, ruling, origins.get(part.label)) for part in shown)


def explained_label(scorer: Scorer, part: LabelPart, ruling: Ruling, origin: LabelOrigin | None) -> ExplainedLabel:
    """A label's part in the score of an image, with what it is and how it was made."""
    label = scorer.bank.labels[part.label]
    without = None if ruling.online else part.log_odds_without
    return ExplainedLabel(
        label=label.text,
        role=label.role,
        source=label.source,
        cosine=part.cosine,
        share=part.share,
        id_score_without=None if without is None else float(scorer.method.id_score(np.array([without]))[0]),
        changes_flag=ruling.turns(part),
        decides=part == ruling.deciding(),
        made_by=origin,
    )


def _thumbnail(context: Context, database: Database, image: str, image_id: str | None) -> Row:
    """The image, small; or why it cannot be shown."""
    if image_id is not None:
        found = thumbnail(context, database, image_id, side=THUMBNAIL)
        return {"thumbnail": found.data, "thumbnail_fault": found.reason}
    try:
        data = thumbnail_of(context, read_datum(image, "file"), side=THUMBNAIL)
    except (DecodeFailure, SourceError) as fault:
        return {"thumbnail_fault": str(fault)}
    return {"thumbnail": data}


def _reference_images(
    context: Context, database: Database, scorer: Scorer, image_id: str | None, vector: Vectors, k: int
) -> tuple[Row, ...]:
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
