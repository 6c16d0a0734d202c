"""What the ledger keeps of generators: their calls, and where the labels of a bank come from."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curator.store.database import Database
from curator.store.ledger import Ledger, utc_now
from curator.store.tables import Row


def find_calls(database: Database, call_ids: Sequence[str]) -> list[Row]:
    """The rows of the calls among these that need not be made again."""
    with database.incoming(call=pa.table({"call_id": pa.array(call_ids, pa.string())})):
        return database.rows("find_calls")


def record_calls(ledger: Ledger, calls: Sequence[Row]) -> None:
    """Record finished calls, in one transaction; a row of the same id from before is replaced."""
    database = ledger.database
    table = ledger.rows_table("generator_call", [{**call, "finished_at": utc_now()} for call in calls])
    with database.transaction(), database.incoming(generator_call=table):
        database.run("delete_repeated_calls")
        database.append(generator_call=table)


def record_origin(ledger: Ledger, *, evidence: Sequence[Row], pictures: Sequence[Row], guard: Sequence[Row]) -> None:
    """Record where the labels of a bank version come from and how it was guarded; each row has its bank_digest."""
    with ledger.database.transaction():
        ledger.add("bank_digest", label_evidence=evidence, bank_picture=pictures)
        ledger.add(bank_guard=guard)
