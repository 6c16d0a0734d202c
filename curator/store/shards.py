"""What is committed of a shard: its rows and the one that says it is finished, in one transaction.

So a killed run leaves whole shards and nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.store.database import Database
from curator.store.ledger import Ledger, utc_now
from curator.store.tables import Columns, Row, object_table, reject_row
from curator.types import ImageFacts, Quality, ShardOutcome

FACTS = [item.name for item in fields(ImageFacts) if item.name != "quality"]
STALE = ("delete_stale_locations", "delete_stale_rejects", "delete_objects")  # of objects that are read anew


def known_images(database: Database, encoder_id: str) -> NDArray[np.bytes_]:
    """Ids of the contents that have a vector of the encoder, 16 bytes each, sorted."""
    ids = database.table("list_known_images", encoder_id=encoder_id)["content"]
    found = ids.cast(pa.binary(16)).combine_chunks().buffers()[1] or pa.py_buffer(b"")
    return np.sort(np.frombuffer(found, "S16"))  # a quarter of the time that DuckDB takes to give them in order


def has_other_images(database: Database, encoder_id: str) -> bool:
    """Whether there are images without a vector of the encoder, embedded by another one."""
    counted = database.row("count_other_images", encoder_id=encoder_id) or {}
    return bool(counted["images"] != counted["vectors"])


def commit_shard(
    ledger: Ledger,
    outcome: ShardOutcome,
    *,
    role: str,
    encoder_id: str,
    vector_file: str | None,
    names: pa.Table | None,
    replaces: bool,
    may_be_there: bool,
) -> None:
    """Write all rows of a shard and its completion. vector_file: the name of the file that holds its vectors, None
    without any. names: of its images, where they are named. replaces: earlier rows of these data may exist.
    may_be_there: images may, of another encoder, which takes a scan of all images to see."""
    database, shard = ledger.database, outcome.shard
    tables = _tables(ledger, outcome, role, encoder_id, vector_file)
    finished = object_table(shard.completes, role)
    with (
        database.transaction(),
        database.incoming(**{"object": finished} if replaces else {}),
    ):
        if replaces:
            tables["location"] = _replaced(database, outcome, tables["location"], role, encoder_id)
        database.append("image_id" if may_be_there else None, image=tables.pop("image"))
        if names is not None:
            tables["image_name"] = names
        database.append(**tables)
        ledger.add(**_rows(outcome, role, encoder_id))
        if shard.completes:
            for name in STALE if replaces else ():
                database.run(name)
            counts = _data_counts(database, outcome, role)
            read = {**finished.drop_columns("position").to_pydict(), "encoder_id": [encoder_id] * len(counts)}
            database.append(source_object=ledger.columns_table("source_object", {**read, "data_count": counts}))


def _replaced(database: Database, outcome: ShardOutcome, locations: pa.Table, role: str, encoder_id: str) -> pa.Table:
    """Take back the earlier rows of the data of a shard. Returns its locations, each with the run that saw it first."""
    shard_id = outcome.shard.shard_id
    with database.incoming(location=locations):
        first = database.table("keep_first_runs")
        for name in ("delete_former_rejects", "delete_former_locations"):
            database.run(name, shard_id=shard_id, role=role)
        for name in ("delete_replaced_rejects", "delete_replaced_locations", "delete_stale_passed_members"):
            database.run(name)
        database.run("delete_shard", shard_id=shard_id, encoder_id=encoder_id, role=role)
    return first


def _data_counts(database: Database, outcome: ShardOutcome, role: str) -> list[int]:
    """Data of each object that is done with the shard. Only a Parquet file has data in other shards too."""
    if outcome.shard.kind == "parquet":
        return [int(count) for count in database.column("count_data", role=role)]
    found = Counter(item.object_uri for item in outcome.data)
    return [found[item.uri] for item in outcome.shard.completes]


def _tables(
    ledger: Ledger, outcome: ShardOutcome, role: str, encoder_id: str, vector_file: str | None
) -> dict[str, pa.Table]:
    """The many rows of a shard, those of its data and images, by the tables that they go to."""
    count = len(outcome.images)
    versions = {item.uri: item.version for item in outcome.shard.objects}
    vectors: Columns = {
        "image_id": [image.image_id for image in outcome.images],
        "encoder_id": [encoder_id] * count,
        "vector_file": [vector_file] * count,
        "row_index": list(range(count)),
    }
    tables = {
        "location": ledger.columns_table("location", _locations(outcome, role, versions)),
        "image": ledger.columns_table("image", _images(outcome)),
        "vector": ledger.columns_table("vector", vectors),
    }
    return tables if outcome.scores is None else {**tables, "score": outcome.scores}


def _rows(outcome: ShardOutcome, role: str, encoder_id: str) -> dict[str, list[Row]]:
    """The few, by the tables that they go to."""
    shard = outcome.shard
    versions = {item.uri: item.version for item in shard.objects}
    passed = [
        {"object_uri": shard.completes[0].uri, "role": role, "heading": heading, "files": files}
        for heading, files in outcome.passed.items()
    ]
    rejects = [
        reject_row(reject, role=role, version=versions[reject.object_uri], image_id=image_id)
        for reject, image_id in outcome.rejects
    ]
    finished = {
        "shard_id": shard.shard_id,
        "encoder_id": encoder_id,
        "role": role,
        "kind": shard.kind,
        "finished_at": utc_now(),
        "data_count": len(outcome.data),
        "image_count": len(outcome.images),
        "duplicate_count": outcome.duplicate_count,
        "reject_count": len(rejects),
        "decoded_count": outcome.decoded_count,
        "byte_count": outcome.byte_count,
        "decode_seconds": outcome.decode_seconds,
        "encode_seconds": outcome.encode_seconds,
    }
    return {"reject": rejects, "passed_member": passed, "shard": [finished]}


def _locations(outcome: ShardOutcome, role: str, versions: dict[str, str]) -> Columns:
    data = outcome.data
    return {
        "uri": [item.uri for item in data],
        "role": [role] * len(data),
        "object_uri": [item.object_uri for item in data],
        "object_version": [versions[item.object_uri] for item in data],
        "member": [item.member for item in data],
        "byte_offset": [item.byte_offset for item in data],
        "byte_size": [item.byte_size for item in data],
        "source_label": [getattr(item, "source_label", None) for item in data],
        "image_id": [getattr(item, "image_id", None) for item in data],
        "shard_id": [outcome.shard.shard_id] * len(data),
    }


def _images(outcome: ShardOutcome) -> Columns:
    images = outcome.images
    return {
        "image_id": [image.image_id for image in images],
        "byte_size": [image.byte_size for image in images],
        **{name: [getattr(image.facts, name) for image in images] for name in FACTS},
        **{name: [getattr(image.facts.quality, name, None) for image in images] for name in Quality._fields},
    }
