"""The verbs of the ledger: what a run records, in which transaction.

Rows arrive as Arrow tables, never one by one (`executemany` is three thousand times slower). A shard's rows and the
row that says it is finished commit together, so a killed run leaves whole shards and nothing else.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from curator.printable import readable, readable_json
from curator.store.database import Database
from curator.store.tables import Columns, Row, object_table, reject_row
from curator.types import Bank, Encoder, Reject, SourceObject
from curator.version import VERSION


def utc_now() -> datetime:
    """Now, in UTC, without a zone: how the ledger stores times."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class ListingCounts:
    """What the listing of one source said, before anything was read."""

    source: str
    objects_listed: int
    objects_new: int
    objects_changed: int
    objects_unchanged: int
    objects_gone: int
    bytes_listed: int
    bytes_to_read: int
    ignored: Mapping[str, int]


@dataclass(slots=True)
class ShardResult:
    """All that came of one shard, ready to be committed. Columns are lists of equal length, keyed by name."""

    shard_id: str
    kind: str
    role: str
    encoder_id: str
    vector_file: str | None = None
    locations: Columns = field(default_factory=dict)
    images: Columns = field(default_factory=dict)
    rejects: list[Row] = field(default_factory=list)
    vector_ids: list[str] = field(default_factory=list)  # in the order of the rows of the vector file
    scores: pa.Table | None = None
    completes: Sequence[SourceObject] = ()
    replaces: bool = False  # earlier rows of these data may exist
    passed: Mapping[str, int] = field(default_factory=dict)  # over, in the object that it completes
    duplicate_count: int = 0
    decoded_count: int = 0
    byte_count: int = 0
    decode_seconds: float = 0.0
    encode_seconds: float = 0.0


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
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

    def _table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> pa.Table:
        """An incoming table for a ledger table; `run_id` is added, and an absent column is all null."""
        if name not in self._schemas:
            self._schemas[name] = self.database.schema(name)
        count = max(map(len, columns.values()), default=0)
        filled = {"run_id": [self.run_id] * count, **columns}
        arrays = [_array(filled.get(item.name, [None] * count), item.type) for item in self._schemas[name]]
        return pa.Table.from_arrays(arrays, schema=self._schemas[name])

    def rows_table(self, name: str, rows: Sequence[Row]) -> pa.Table:
        """The same from a few rows."""
        return self._table(name, {key: [row[key] for row in rows] for key in (rows[0] if rows else {})})

    # Runs

    def begin(self, command: str, arguments: Mapping[str, Any]) -> None:
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

    def record_stages(self, seconds: Mapping[str, float]) -> None:
        with self.database.incoming(
            run_stage=self._table("run_stage", {"stage": list(seconds), "seconds": list(seconds.values())})
        ):
            self.database.run("insert_stages")

    # Listings

    def classify(
        self, objects: Sequence[SourceObject], *, role: str, encoder_id: str, rehash: bool, retry_rejects: bool
    ) -> list[str]:
        """`new`, `returned`, `changed` or `unchanged` for each object, in order."""
        with self.database.incoming(object=object_table(objects)):
            table = self.database.table(
                "classify_objects", role=role, encoder_id=encoder_id, rehash=rehash, retry_rejects=retry_rejects
            )
        states: list[str] = table["state"].to_pylist()
        return states

    def find_gone(
        self, objects: Sequence[SourceObject], *, role: str, prefix: str, after: str, until: str | None = None
    ) -> list[str]:
        """Known objects under the prefix, beyond the uri `after` and up to `until`, that are not among `objects`."""
        with self.database.incoming(object=object_table(objects)):
            found = self.database.table("find_gone_objects", role=role, prefix=prefix, after=after, until=until)
        uris: list[str] = found["object_uri"].to_pylist()
        return uris

    def record_listing(
        self, counts: ListingCounts, *, role: str, prefix: str, gone: Sequence[str], rejects: Sequence[Reject]
    ) -> None:
        """Record what a listing said: its counts, what is gone, and what could not be listed."""
        listing = {**asdict(counts), "ignored": json.dumps(dict(counts.ignored), sort_keys=True), "role": role}
        tables = {
            "listing": self.rows_table("listing", [listing]),
            "gone": pa.table({"object_uri": pa.array(gone, pa.string())}),
            "reject": self.rows_table("reject", [reject_row(item, role=role, version=None) for item in rejects]),
        }
        with self.database.transaction(), self.database.incoming(**tables):
            self.database.run("insert_listing")
            self.database.run("mark_gone_objects", role=role, run_id=self.run_id)
            self.database.run("delete_listing_rejects", role=role, prefix=prefix)
            self.database.run("insert_rejects")

    # Shards

    def finished_shards(self, *, encoder_id: str, role: str) -> set[str]:
        return set(
            self.database.table("list_finished_shards", encoder_id=encoder_id, role=role)["shard_id"].to_pylist()
        )

    def known_images(self, encoder_id: str) -> pa.Buffer:
        """Ids of the contents that have a vector of the encoder, 16 bytes each, sorted."""
        ids = self.database.table("list_known_images", encoder_id=encoder_id)["content"]
        return ids.cast(pa.binary(16)).combine_chunks().buffers()[1] or pa.py_buffer(b"")

    def commit_shard(self, result: ShardResult) -> None:
        """Write all rows of a shard and its completion, in one transaction."""
        database = self.database
        tables = self._shard_tables(result)
        with database.transaction(), database.incoming(**tables):
            if result.replaces:
                merged = database.table("keep_first_runs")
                for name in ("delete_former_rejects", "delete_former_locations"):
                    database.run(name, shard_id=result.shard_id, role=result.role)
                database.run("delete_replaced_rejects")
                database.run("delete_replaced_locations")
                database.run("delete_stale_passed_members", role=result.role)
                database.run("delete_shard", shard_id=result.shard_id, encoder_id=result.encoder_id, role=result.role)
                with database.incoming(location=merged):
                    database.run("insert_locations")
            else:
                database.run("insert_locations")
            for name in ("insert_images", "insert_vectors", "insert_rejects", "insert_passed_members", "insert_shard"):
                database.run(name)
            if result.scores is not None:
                database.run("insert_scores")
            self._complete_objects(result)

    def _shard_tables(self, result: ShardResult) -> dict[str, pa.Table]:
        count = len(result.vector_ids)
        vectors: Columns = {
            "image_id": result.vector_ids,
            "encoder_id": [result.encoder_id] * count,
            "vector_file": [result.vector_file] * count,
            "row_index": list(range(count)),
        }
        shard = {
            "shard_id": result.shard_id,
            "encoder_id": result.encoder_id,
            "role": result.role,
            "kind": result.kind,
            "finished_at": utc_now(),
            "data_count": len(result.locations["uri"]),
            "image_count": count,
            "duplicate_count": result.duplicate_count,
            "reject_count": len(result.rejects),
            "decoded_count": result.decoded_count,
            "byte_count": result.byte_count,
            "decode_seconds": result.decode_seconds,
            "encode_seconds": result.encode_seconds,
        }
        passed: Columns = {
            "object_uri": [result.completes[0].uri for _ in result.passed],
            "role": [result.role] * len(result.passed),
            "heading": list(result.passed),
            "files": list(result.passed.values()),
        }
        tables = {
            "location": self._table("location", result.locations),
            "image": self._table("image", result.images),
            "reject": self.rows_table("reject", result.rejects),
            "vector": self._table("vector", vectors),
            "passed_member": self._table("passed_member", passed),
            "shard": self.rows_table("shard", [shard]),
            "object": object_table(result.completes),
        }
        return tables if result.scores is None else {**tables, "score": result.scores}

    def _complete_objects(self, result: ShardResult) -> None:
        if not result.completes:
            return
        if result.replaces:
            self.database.run("delete_stale_locations", role=result.role)
            self.database.run("delete_stale_rejects", role=result.role)
            self.database.run("delete_objects", role=result.role)
        self.database.run("insert_objects", role=result.role, encoder_id=result.encoder_id, run_id=self.run_id)

    # Encoders, banks, scores, policies

    def record_encoder(self, encoder: Encoder, address: str) -> None:
        self.database.run(
            "insert_encoder",
            encoder_id=encoder.encoder_id,
            address=address,
            dimension=encoder.dimension,
            logit_scale=encoder.logit_scale,
            preprocess=json.dumps(asdict(encoder.preprocess), sort_keys=True),
            run_id=self.run_id,
        )

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
        labels = pa.Table.from_pylist(
            [
                {"bank_digest": bank.digest, "label_index": index, **asdict(label)}
                for index, label in enumerate(bank.labels)
            ],
            schema=self.database.schema("label"),
        )
        with self.database.transaction(), self.database.incoming(bank=self.rows_table("bank", [row]), label=labels):
            self.database.run("insert_labels")
            self.database.run("insert_bank")
        return version

    def record_scores(self, scores: pa.Table) -> None:
        with self.database.transaction():
            self.insert_scores(scores)

    def insert_scores(self, scores: pa.Table) -> None:
        """As `record_scores`, inside a transaction of the caller's."""
        with self.database.incoming(score=scores):
            self.database.run("insert_scores")

    def select(self, *, encoder_id: str, bank_digest: str, method_id: str, policy_id: str | None) -> None:
        """Make the report views show this encoder, bank, method and policy."""
        wanted = {
            "encoder_id": encoder_id,
            "bank_digest": bank_digest,
            "method_id": method_id,
            "policy_id": policy_id,
        }
        if self.database.row("find_selection") != wanted:
            self.database.run("insert_selection", **wanted, run_id=self.run_id)

    def record_evaluation(
        self,
        *,
        encoder_id: str,
        protocol: str | None,
        positive: str,
        replicates: int,
        seed: int,
        sets: Sequence[Row],
        metrics: Sequence[Row],
    ) -> None:
        """Record an evaluation with its image sets and its figures, in one transaction."""
        facts = {"encoder_id": encoder_id, "protocol": protocol, "positive": positive}
        tables = {
            "evaluation_set": self.rows_table("evaluation_set", sets),
            "evaluation_metric": self.rows_table("evaluation_metric", metrics),
        }
        with self.database.transaction(), self.database.incoming(**tables):
            self.database.run("insert_evaluation", **facts, replicates=replicates, seed=seed, run_id=self.run_id)
            self.database.run("insert_evaluation_sets")
            self.database.run("insert_evaluation_metrics")

    def near_duplicate_table(self, pairs: Mapping[tuple[str, str], float], *, encoder_id: str) -> pa.Table:
        """Pairs (image, neighbour) and their cosines as an incoming table."""
        columns: Columns = {
            "image_id": [first for first, _ in pairs],
            "neighbour_id": [second for _, second in pairs],
            "encoder_id": [encoder_id] * len(pairs),
            "cosine": list(pairs.values()),
        }
        return self._table("near_duplicate", columns)

    def record_near_duplicates(
        self, pairs: pa.Table, members: Sequence[Row], *, encoder_id: str, vector_files: Sequence[str]
    ) -> None:
        """Record pairs, the members of groups that come of them, and that the images of these files have been compared,
        in one transaction."""
        files = [{"vector_file": name, "encoder_id": encoder_id} for name in vector_files]
        tables = {
            "near_duplicate": pairs,
            "group_member": self.rows_table("group_member", members),
            "compared_file": self.rows_table("compared_file", files),
        }
        with self.database.transaction(), self.database.incoming(**tables):
            self.database.run("insert_near_duplicates")
            self.database.run("insert_group_members")
            self.database.run("insert_compared_files")
