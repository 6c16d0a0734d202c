"""How labels of a bank came to be: the generator's call, what it was shown, what it said or painted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from curator.lake import ImagePlace
from curator.store import Database
from curator.store.tables import Row
from curator.workspace.look.pictures import find_places


@dataclass(frozen=True, slots=True)
class LabelOrigin:
    """The call that gave a label, and what it was about.

    `concerns`: the ID label that was asked about. `output`: the answer as it came. `pictures`: files in generated/ of
    the workspace that show the label. `asked_about`: the images that the model was shown, with their addresses where
    they are still in a source. The fields of the call are None for a label that no call gave.
    """

    concerns: str | None
    call_id: str | None
    role: str | None
    model: str | None
    revision: str | None
    prompt: str | None
    prompt_version: int | None
    seed: int | None
    output: str | None
    finished_at: datetime | None
    pictures: tuple[str, ...]
    asked_about: tuple[Mapping[str, str | None], ...]


def origins_of(database: Database, bank_digest: str, labels: Sequence[int]) -> dict[int, LabelOrigin]:
    """By index, the origin of those of the labels that have one: a call, or pictures."""
    rows = database.rows("list_label_origins", bank_digest=bank_digest, label_indexes=list(labels))
    made = [row for row in rows if row["call_id"] or row["concerns"] or row["pictures"]]
    shown = {row["label_index"]: tuple(dict.fromkeys(_pictures(json.loads(row["inputs"] or "{}")))) for row in made}
    places = find_places(database, sorted({image_id for ids in shown.values() for image_id in ids}))
    return {row["label_index"]: _origin(row, shown[row["label_index"]], places) for row in made}


def _origin(row: Row, image_ids: Sequence[str], places: Mapping[str, ImagePlace]) -> LabelOrigin:
    names = ("concerns", "call_id", "role", "model", "revision", "prompt", "prompt_version", "seed", "output")
    files = ([row["artefact"]] if row["artefact"] else []) + list(row["pictures"])
    return LabelOrigin(
        **{name: row[name] for name in names},
        finished_at=row["finished_at"],
        pictures=tuple(dict.fromkeys(files)),
        asked_about=tuple(
            {"image_id": image_id, "uri": places[image_id].uri if image_id in places else None}
            for image_id in image_ids
        ),
    )


def _pictures(content: Mapping[str, Any]) -> Iterator[str]:
    """The ids of all images in a conversation: those of the turns before, then the request's own. In ledgers of earlier
    releases a turn has those before it once more."""
    for turn, _ in content.get("history") or ():
        yield from _pictures(turn)
    yield from content.get("pictures") or ()
