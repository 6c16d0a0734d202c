"""Measures of images that are in the ledger without any, since they were scanned before there were such: decoded once
more as a scan decodes them, embedded and scored not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from curator.engines.decode_pool import SLOT_IMAGES, DecodeFault, DecodePool
from curator.errors import CuratorError
from curator.progress import step
from curator.store import Database
from curator.types import Quality
from curator.workspace.context import Context
from curator.workspace.look.pictures import read_pictures
from curator.workspace.scan.engine import open_pool
from curator.workspace.session import writing

TOGETHER = 2 * SLOT_IMAGES  # images that are read, measured and recorded at a time
GONE = "gone or changed: scan its source again"


@dataclass(frozen=True, slots=True)
class MeasureSummary:
    """What became of the images that had no measures. left: how many could not be measured, by the reason."""

    measured: int
    left: Mapping[str, int]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def measure_images(context: Context, *, wait_seconds: float = 0.0) -> MeasureSummary:
    """Measure the images of the lake that were never measured. A killed run keeps what it has recorded, and the next
    one goes on. Raises WorkspaceLocked when another run holds the workspace."""
    measured, left = 0, Counter[str]()
    with writing(context, "measure", {}, wait_seconds=wait_seconds, needs_vectors=False) as ledger:
        database = ledger.database
        ids: list[str] = database.column("list_unmeasured_images")
        if not ids:
            return MeasureSummary(0, {})
        with open_pool(context, context.encoder.preprocess) as pool, step("measure", len(ids), "images") as progress:
            for start in range(0, len(ids), TOGETHER):
                part = ids[start : start + TOGETHER]
                found = dict(_measures(context, database, pool, part, left))
                _record(database, found)
                measured += len(found)
                progress.advance(len(part))
    return MeasureSummary(measured, dict(left))


def _measures(
    context: Context, database: Database, pool: DecodePool, image_ids: Sequence[str], left: Counter[str]
) -> Iterator[tuple[str, Quality]]:
    """Images with their measures; the others are counted in `left`."""
    given: dict[str, bytes] = {}
    for image_id, data in read_pictures(context, database, image_ids):
        if isinstance(data, CuratorError):
            left[GONE] += 1
        else:
            given[image_id] = data
    names = list(given)
    parts = [names[start : start + SLOT_IMAGES] for start in range(0, len(names), SLOT_IMAGES)]
    pending = [pool.submit([given[name] for name in part]) for part in parts]
    for part, batch in zip(parts, pending, strict=True):
        done = batch.result()
        done.release()
        for name, outcome in zip(part, done.outcomes, strict=True):
            if isinstance(outcome, DecodeFault):
                left[outcome.reason] += 1
            elif outcome.quality is not None:
                yield name, outcome.quality


def _record(database: Database, found: Mapping[str, Quality]) -> None:
    columns = dict(zip(Quality._fields, zip(*found.values(), strict=True), strict=True)) if found else {}
    if columns:
        with database.incoming(measured=pa.table({"image_id": list(found), **columns})):
            database.run("record_measures")
