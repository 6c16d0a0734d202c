"""The verbs of the ledger: what a run records, in which transaction.

Many rows arrive as Arrow tables, never one by one (`executemany` is three thousand times slower).
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import pyarrow as pa

from curator.printable import readable, readable_json
from curator.store.database import Database
from curator.store.tables import Columns, Row, Values, reject_row
from curator.types import Bank, Encoder, Reject
from curator.version import VERSION

FEW = 16  # rows that are added faster by themselves than through Arrow


def utc_now() -> datetime:
    """Now, in UTC, without a zone: how the ledger stores times."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class ListingCounts:
    """What the listing of one source said, before anything was read. objects_back: of the new ones, those that were
    there before and had gone. objects_retried: of the unchanged ones, those that are read again since data of them were
    rejected. unlisted: places, such as folders, that could not be listed."""

    source: str
    objects_listed: int
    objects_new: int
    objects_changed: int
    objects_unchanged: int
    objects_gone: int
    bytes_listed: int
    bytes_to_read: int
    ignored: Mapping[str, int]
    objects_back: int = 0
    objects_retried: int = 0
    unlisted: int = 0


def _array(values: Values, kind: pa.DataType) -> pa.Array:
    """Texts that are no UTF-8 come in with escapes: what a model or a library has said must not stop a run."""
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([readable(value) if isinstance(value, str) else value for value in values], kind)


class Ledger:
    """What one run writes. Every row it adds carries `run_id`."""

    def __init__(self, database: Database, run_id: str) -> None:
        self.database = database
        self.run_id = run_id
        self._schemas: dict[str, pa.Schema] = {}

    def columns_table(self, name: str, columns: Mapping[str, Values]) -> pa.Table:
        """Rows for a ledger table from its columns; `run_id` is added, and an absent column is all null."""
        if name not in self._schemas:
            self._schemas[name] = self.database.schema(name)
        count = max(map(len, columns.values()), default=0)
        filled = {"run_id": [self.run_id] * count, **columns}
        arrays = [_array(filled.get(item.name, [None] * count), item.type) for item in self._schemas[name]]
        return pa.Table.from_arrays(arrays, schema=self._schemas[name])

    def rows_table(self, name: str, rows: Sequence[Row]) -> pa.Table:
        """The same from a few rows."""
        return self.columns_table(name, {key: [row[key] for row in rows] for key in (rows[0] if rows else {})})

    def add(self, once: str | None = None, /, **rows: Sequence[Row]) -> None:
        """Add rows to each of these tables. once: see `Database.append`."""
        for name, items in rows.items():
            if len(items) > FEW:
                self.database.append(once, **{name: self.rows_table(name, items)})
            elif items:
                self.database.insert(once, name, [{"run_id": self.run_id, **item} for item in items])

    # Runs

    def begin(self, command: str, arguments: Mapping[str, object]) -> None:
        now = utc_now()
        self.database.run("interrupt_stale_runs", run_id=self.run_id, finished_at=now)
        self.database.run(
            "insert_run",
            run_id=self.run_id,
            command=command,
            started_at=now,
            version=VERSION,
            host=socket.gethostname(),
            process_id=os.getpid(),
            arguments=readable_json(dict(arguments)),
        )

    def finish(self, status: str, error: str | None = None) -> None:
        self.database.run("finish_run", run_id=self.run_id, status=status, finished_at=utc_now(), error=error)

    # Listings

    def record_listing(
        self, counts: ListingCounts, *, role: str, prefix: str, gone: Sequence[str], rejects: Sequence[Reject]
    ) -> None:
        """Record what a listing said: its counts, what is gone, and what could not be listed."""
        listing = {**asdict(counts), "ignored": json.dumps(dict(counts.ignored), sort_keys=True), "role": role}
        with self.database.transaction():
            self.add(listing=[listing])
            if gone:
                with self.database.incoming(gone=pa.table({"object_uri": pa.array(gone, pa.string())})):
                    self.database.run("mark_gone_objects", role=role, run_id=self.run_id)
            self.database.run("delete_listing_rejects", role=role, source=counts.source, prefix=prefix)
            self.add(reject=[reject_row(item, role=role, version=None) for item in rejects])

    # Encoders, banks

    def record_encoder(self, encoder: Encoder, address: str) -> None:
        row = {
            "encoder_id": encoder.encoder_id,
            "address": address,
            "dimension": encoder.dimension,
            "logit_scale": encoder.logit_scale,
            "preprocess": json.dumps(asdict(encoder.preprocess), sort_keys=True),
        }
        self.add("encoder_id", encoder=[row])

    def record_bank(self, bank: Bank) -> int:
        """Record a bank version once. Returns its version number within its name."""
        found = self.database.row("find_bank_version", bank_digest=bank.digest, name=bank.name)
        version = int(found["version"]) if found else 1
        row = {
            "bank_digest": bank.digest,
            "name": bank.name,
            "version": version,
            "encoder_id": bank.encoder_id,
            "id_count": bank.id_count,
            "negative_count": len(bank.labels) - bank.id_count,
            "spec": json.dumps(dict(bank.spec), sort_keys=True, default=str),
            "lineage": json.dumps(dict(bank.lineage), sort_keys=True, default=str),
            "created_at": utc_now(),
        }
        count = len(bank.labels)
        placed: Columns = {"bank_digest": [bank.digest] * count, "label_index": range(count)}
        labels = self.columns_table("label", {**placed, **bank.label_columns()})
        with self.database.transaction():
            self.database.append("bank_digest", label=labels)
            self.add("bank_digest", bank=[row])
        return version
