"""Reviews as Label Studio tasks, and back from its exports "JSON" and "JSON-MIN".

A task holds its picture inside, as a data URL, so Label Studio needs no access to the lake; all other keys of `data`
come back with either export. What the policy says is the prediction that the annotator starts from. JSON has a list of
annotations for each task, each by its annotator; JSON-MIN one record for each annotation, the data and the controls'
values side by side: a single choice as a text, several as {"choices": [...]}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from curator.errors import UsageError
from curator.review.reviews import FIELDS, Item, Line
from curator.review.tables import json_of

CONTROLS = {
    "decision": "choices",
    "wrong_label": "text",
    "note": "text",
}  # of the interface in docs/review.md
SHOWN = (
    *("image_id", "group_id", "uri", "name", "images", "id_score", "top_id", "top_negative", "ruled_by"),
    "export_id",
)


def tasks_bytes(items: Sequence[Item], pictures: Mapping[str, str]) -> bytes:
    """The tasks as one JSON list. pictures: data URLs by image id; an item without one is left out."""
    tasks = [_task(item, pictures[item["image_id"]]) for item in items if item["image_id"] in pictures]
    return json.dumps(tasks, indent=1, default=str).encode()


def _task(item: Item, picture: str) -> dict[str, object]:
    data = {name: item[name] for name in SHOWN if item.get(name) is not None}
    guess = "ood" if item["flagged"] else "id"
    question = f"{item['name']}: {item['images']} images like this; the nearest ID label is {item['top_id']}"
    choice = {"from_name": "decision", "to_name": "picture", "type": "choices", "value": {"choices": [guess]}}
    prediction = {"model_version": item["ruled_by"], "score": item["id_score"], "result": [choice]}
    return {"data": {"image": picture, "question": question, **data}, "predictions": [prediction]}


def read_tasks(path: Path) -> Iterator[Line]:
    """The annotations of an export, whichever of the two. Raises UsageError for a file that is no list."""
    found = json_of(path)
    if not isinstance(found, list):
        raise UsageError(f"{path}: is no list of tasks", hint="export it from Label Studio as JSON or JSON-MIN")
    for number, task in enumerate(found, start=1):
        where = f"task {number}"
        if not isinstance(task, dict):
            yield Line(where, {}, "it is no JSON object")
        elif isinstance(task.get("data"), dict):
            yield from _annotations(where, task["data"], task.get("annotations"))
        else:
            yield Line(where, _minimal(task))


def _minimal(record: Mapping[str, object]) -> dict[str, object]:
    fields = {name: record.get(name) for name in FIELDS}
    fields |= {name: _value(record.get(name)) for name in CONTROLS}
    return fields | {"reviewer": _person(record.get("annotator")), "reviewed_at": _when(record)}


def _annotations(where: str, data: Mapping[str, object], annotations: object) -> Iterator[Line]:
    shared = {name: data.get(name) for name in ("image_id", "group_id", "export_id")}
    if not isinstance(annotations, list) or not annotations:
        yield Line(where, shared)
        return
    for number, annotation in enumerate(annotations, start=1):
        at = where if len(annotations) == 1 else f"{where}, annotation {number}"
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
            yield Line(at, shared, "its annotation has no result")
        elif annotation.get("was_cancelled"):
            yield Line(at, shared)  # skipped by the annotator: nothing was decided
        else:
            results = [item for item in annotation["result"] if isinstance(item, dict)]
            said = {str(item.get("from_name")): item.get("value") for item in results}
            values = {name: _value(said.get(name)) for name in CONTROLS}
            person = _person(annotation.get("completed_by"))
            yield Line(at, {**shared, **values, "reviewer": person, "reviewed_at": _when(annotation)})


def _value(value: object) -> object:
    """The one text of a control, however an export wraps it; several as they are, which is a fault later."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("choices", "text") if name in value), None)
    if isinstance(value, list) and len(value) <= 1:
        value = value[0] if value else None
    return value


def _person(value: object) -> str | None:
    """Annotators are numbers, addresses, or objects with both."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    return None if value is None else f"label-studio:{value}"


def _when(annotation: Mapping[str, object]) -> object:
    return annotation.get("updated_at") or annotation.get("created_at")
