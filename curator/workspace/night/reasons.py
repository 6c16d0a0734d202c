"""Why the images of the galleries are flagged: of each the label that decides, and how that label came to be.

It is what `curator explain` says, for some dozens of images at once: bank, policy and origins are read once for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from curator.errors import UsageError
from curator.methods.attribution import LabelPart
from curator.report.night_data import GalleryImage, Reason
from curator.store import Database
from curator.store.tables import Row
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.judge.ruling import Cuts, Ruling
from curator.workspace.judge.scoring import Scorer
from curator.workspace.look.explain import TRIED, ExplainedLabel, attribute_images, explained_label, find_scorer
from curator.workspace.look.label_origins import origins_of
from curator.workspace.look.neighbours import image_collection


def reasons_of(
    context: Context, database: Database, selection: Row, items: Sequence[GalleryImage]
) -> dict[str, Reason]:
    """By image id, why the flagged `items` of the galleries are; without those whose scores cannot be taken apart now.

    `deciding`: the one label without which the image would be kept, of the `tried` nearest; `note`: why that cannot be
    told, where it cannot; `label`: the fields of an `ExplainedLabel`, of the deciding one or else the nearest negative.
    """
    if not items or (scorer := _scorer(context, database, selection)) is None:
        return {}
    rulings = _rulings(context, database, selection, scorer, items)
    shown = {image_id: part_to_show(ruling) for image_id, ruling in rulings.items()}
    wanted = sorted({part.label for part in shown.values() if part is not None})
    origins = origins_of(database, scorer.bank.digest, wanted)
    found: dict[str, Reason] = {}
    for image_id, ruling in rulings.items():
        part, deciding = shown[image_id], ruling.deciding()
        label = None if part is None else explained_label(scorer, part, ruling, origins.get(part.label))
        found[image_id] = {
            "deciding": None if deciding is None else scorer.bank.labels[deciding.label].text,
            "tried": len(ruling.parts),
            "note": ruling.note,
            "label": None if label is None else _plain(label),
        }
    return found


def _scorer(context: Context, database: Database, selection: Row) -> Scorer | None:
    """That of the selection; None where the reference images that its method measures by are gone or others now."""
    try:
        scorer = find_scorer(context, database, None, None, selection["encoder_id"], InForce.of_row(selection))
    except UsageError:
        return None
    return scorer if scorer.method.method_id == selection["method_id"] else None


def _rulings(
    context: Context,
    database: Database,
    selection: Row,
    scorer: Scorer,
    items: Sequence[GalleryImage],
) -> dict[str, Ruling]:
    cuts = Cuts.of(database, {name: selection[name] for name in ("encoder_id", "bank_digest", "method_id")})
    if cuts is None:
        return {}
    item_of = {item["image_id"]: item for item in items}
    collection = image_collection(context, database, selection["encoder_id"])
    positions = collection.positions_of(item_of)
    ids = collection.ids_at(positions)
    found = attribute_images(scorer, ids, collection.vectors_at(positions), TRIED)
    return {
        image_id: Ruling(_score(item_of[image_id]), cuts, item_of[image_id]["cut"], attribution)
        for image_id, attribution in zip(ids, found, strict=True)
    }


def _score(item: GalleryImage) -> Mapping[str, float]:
    return {"id_score": item["id_score"], "log_odds": item["log_odds"]}


def part_to_show(ruling: Ruling) -> LabelPart | None:
    """The label that decides, of either role, or else the nearest negative."""
    return ruling.deciding() or next(iter(ruling.found.negatives), None)


def _plain(label: ExplainedLabel) -> Row:
    """What JSON has: tuples as lists, times as text."""
    values = asdict(label)
    if (made := values["made_by"]) is not None:
        finished = made["finished_at"]
        made |= {name: list(made[name]) for name in ("pictures", "asked_about")}
        made["finished_at"] = finished and finished.isoformat()
    return values
