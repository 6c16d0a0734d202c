"""Writes what is to be reviewed, or was, into a file or folder that other tools open."""

from __future__ import annotations

import base64
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from curator.durable import write_durably
from curator.errors import CuratorError, UsageError
from curator.review.fiftyone import SAMPLES, metadata_bytes, samples_bytes
from curator.review.label_studio import tasks_bytes
from curator.review.tables import csv_bytes, jsonl_bytes
from curator.store import Database
from curator.store.tables import Row
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.look.pictures import read_pictures, thumbnails
from curator.workspace.published import reading
from curator.workspace.session import new_run_id

Style: TypeAlias = Literal["csv", "jsonl", "fiftyone", "label-studio"]
SIDE = 512  # of the pictures inside Label Studio's tasks
FACTS = ("why", "uri", "name", "images", "flagged", "id_score", "top_id", "top_negative", "ruled_by")
ANSWERS = ("image_id", "group_id", "export_id", "decision", "wrong_label", "note", "reviewer", "reviewed_at")


@dataclass(frozen=True, slots=True)
class ReviewExport:
    """What was written. `left_out`: image ids whose picture could not be had, each with the reason."""

    path: str
    format: str
    items: int
    export_id: str
    left_out: Mapping[str, str]
    ruled_by: InForce | None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def export_reviews(context: Context, path: Path, *, style: Style, limit: int, decided: bool) -> ReviewExport:
    """Write the first `limit` of the queue, or of what is `decided`, to a path that is not there yet.

    Raises UsageError when it is there, or cannot be written, or when there is nothing to write.
    """
    if path.exists():
        raise UsageError(f"{path} is there already", hint="name a new one: decisions may be in it")
    export_id = new_run_id()
    with reading(context.layout) as database:
        rows = database.rows("list_reviews" if decided else "list_review_queue", limit=limit)
        if not rows:
            raise UsageError("there is nothing to export", hint="scan first, or see `curator query review_queue`")
        ruling = InForce.of(database)
        items = [_item(row, export_id, ruling) for row in rows]
        try:
            left_out = _write(context, database, path, style, items)
        except OSError as fault:
            raise UsageError(f"{path}: cannot be written: {fault.strerror}") from fault
    return ReviewExport(str(path), style, len(items) - len(left_out), export_id, left_out, ruling)


def _item(row: Row, export_id: str, ruling: InForce | None) -> Row:
    shown = {name: row.get(name) for name in (*FACTS, *ANSWERS)} | {"export_id": export_id, "ruled_by": str(ruling)}
    when = shown["reviewed_at"]
    return shown | {
        "reviewed_at": when.isoformat() if when else None,
        "format": row["format"],
    }


def _write(context: Context, database: Database, path: Path, style: Style, items: Sequence[Row]) -> dict[str, str]:
    """Returns what was left out, and why."""
    if style in ("csv", "jsonl"):
        rows = [{name: item[name] for name in (*FACTS, *ANSWERS)} for item in items]
        write_durably(path, csv_bytes(rows) if style == "csv" else jsonl_bytes(rows))
        return {}
    if style == "label-studio":
        found = thumbnails(context, database, [item["image_id"] for item in items], side=SIDE)
        urls = {
            name: f"data:image/webp;base64,{base64.b64encode(picture.data).decode('ascii')}"
            for name, picture in found.items()
            if picture.data is not None
        }
        write_durably(path, tasks_bytes(items, urls))
        return {name: picture.reason or "" for name, picture in found.items() if picture.data is None}
    return _write_dataset(context, database, path, items)


def _write_dataset(context: Context, database: Database, path: Path, items: Sequence[Row]) -> dict[str, str]:
    """A folder with the pictures as they are in the lake; whole under its name, or not there."""
    making = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    pictures: dict[str, str] = {}
    left_out: dict[str, str] = {}
    try:
        (making / "data").mkdir(parents=True)
        names = {item["image_id"]: f"data/{item['image_id']}.{item['format'].lower()}" for item in items}
        for image_id, data in read_pictures(context, database, list(names), scratch=making):
            if isinstance(data, CuratorError):
                left_out[image_id] = data.message
            else:
                (making / names[image_id]).write_bytes(data)
                pictures[image_id] = names[image_id]
        (making / "metadata.json").write_bytes(metadata_bytes())
        (making / SAMPLES).write_bytes(samples_bytes(items, pictures))
        making.replace(path)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return left_out
