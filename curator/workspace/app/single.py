"""One image: why it is judged as it is, what is near it, and what became of it over nights, banks and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from curator.app.guard import BadRequest
from curator.app.server import Said
from curator.lake import ImagePlace
from curator.workspace.app.frame import LakeFrame
from curator.workspace.context import Context
from curator.workspace.look.explain import explain_image
from curator.workspace.look.pictures import find_places
from curator.workspace.published import reading

NEAR = 8  # labels of each role, reference images and neighbours
FACTS = ("uri", "name", "id_score", "log_odds", "min_log_odds", "flagged", "policy", "bank", "method_id", "deciding",
         "tried", "places", "copies", "reference", "neighbours")  # fmt: skip
ORIGIN = ("concerns", "role", "model", "output", "pictures", "asked_about")


def look_at(context: Context, frame: LakeFrame, said: Said) -> Mapping[str, object]:
    """All that helps to decide about an image of the lake, by its number. Raises BadRequest for one that is gone."""
    number = said.get("number")
    row = frame.row(number) if type(number) is int else None
    if row is None:
        raise BadRequest(404, "there is no such image")
    of_image = {"image_id": row["image_id"]}
    with reading(context.layout) as database:  # whoever reads meanwhile shares what is open
        found = explain_image(context, row["image_id"], k=NEAR)
        facts = asdict(found)
        for label in facts["labels"]:
            made = label["made_by"]
            label["made_by"] = made and {name: made[name] for name in ORIGIN}
        return {name: facts[name] for name in (*FACTS, "labels")} | {
            "image_id": row["image_id"],
            "verdict": found.verdict(),
            "history": database.rows("app_history", **of_image),
            "sightings": database.rows("app_sightings", **of_image),
            "reviews": database.rows("app_reviews_of", **of_image, group_id=row["group_id"]),
        }


def place_elsewhere(context: Context, image_id: str) -> ImagePlace | None:
    """Where an image lies that is no scored image of the lake: of the reference, mostly."""
    with reading(context.layout) as database:
        return find_places(database, [image_id]).get(image_id)
