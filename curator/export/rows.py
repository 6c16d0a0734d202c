"""What an export says of an image: one schema for every format, with a version, whatever the views grow to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from curator.printable import finite

VERSION = 2  # of SCHEMA; a column that is added, renamed or changed raises it
SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("uri", pa.string()),
        ("night", pa.date32()),  # of the scan that found it
        ("flagged", pa.bool_()),
        ("id_score", pa.float64()),
        ("log_odds", pa.float64()),
        ("name", pa.string()),
        ("name_margin", pa.float64()),
        ("top_id", pa.string()),
        ("top_id_cosine", pa.float64()),
        ("top_negative", pa.string()),
        ("top_negative_cosine", pa.float64()),
        ("group_id", pa.string()),
        ("copies", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("byte_size", pa.int64()),
        ("source_label", pa.string()),
        ("first_seen", pa.timestamp("us")),
        ("bank_name", pa.string()),
        ("bank_version", pa.int32()),
        ("method_id", pa.string()),
        ("policy_name", pa.string()),
        ("kind", pa.string()),
        ("object_uri", pa.string()),
        ("member", pa.string()),
        ("byte_offset", pa.int64()),
    ],
    metadata={"curator": json.dumps({"export_schema": VERSION})},
)
PLACES = ("kind", "object_uri", "member", "byte_offset")  # where the bytes lie: of no use in a copy of them
BATCH_ROWS = 10_000
SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "MPO": ".jpg"}

Row = dict[str, Any]


def as_exported(rows: pa.Table, ruled_by: Mapping[str, str | None] | None = None) -> pa.Table:
    """Rows of the ledger in the schema of exports; its metadata say what judged them."""
    known = {} if ruled_by is None else {"ruled_by": json.dumps(dict(ruled_by))}
    return rows.select(SCHEMA.names).cast(SCHEMA).replace_schema_metadata({**(SCHEMA.metadata or {}), **known})


def ruled_by_of(rows: pa.Table) -> dict[str, str | None] | None:
    """What judged the rows of an export; None where they do not say."""
    found = (rows.schema.metadata or {}).get(b"ruled_by")
    return None if found is None else dict(json.loads(found))


def rows_of(table: pa.Table) -> Iterator[Row]:
    """Row by row, a bounded part of the table at a time as Python values."""
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        yield from batch.to_pylist()


def facts_of(row: Row) -> Row:
    """What goes beside a copy of the image, as JSON has it."""
    return {name: plain(value) for name, value in row.items() if name not in PLACES}


def plain(value: object) -> object:
    """A value as JSON has it: times in ISO 8601, UTC."""
    return value.isoformat() if isinstance(value, date | datetime) else value


def json_line(value: object) -> bytes:
    """One value as one line of UTF-8; a line break in a text is an escape."""
    return json.dumps(finite(value), ensure_ascii=False, default=plain).encode() + b"\n"


def digest_of(table: pa.Table) -> str:
    """Names the content of some rows, so that a part of an export that would be the same is not made again."""
    digest = hashlib.sha256(str(VERSION).encode())
    for row in rows_of(table):
        digest.update(json_line(row))
    return digest.hexdigest()[:32]


def label_of(row: Row) -> str:
    """What people look for it under: a flagged image by its name, a kept one by its nearest ID label."""
    return str(row["name"] if row["flagged"] else row["top_id"])


def file_name(row: Row) -> str:
    """The image's id with the suffix of its format: unique, and safe anywhere."""
    return f"{row['image_id']}{SUFFIXES.get(row['format'], '.' + row['format'].lower())}"
