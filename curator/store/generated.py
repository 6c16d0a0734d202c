"""What the ledger keeps of generators: their calls, and where the labels of a bank come from."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curator.store.ledger import Ledger, utc_now
from curator.store.tables import Row


def find_calls(ledger: Ledger, call_ids: Sequence[str]) -> list[Row]:
    """The rows of the calls among these that need not be made again."""
    with ledger.database.incoming(call=pa.table({"call_id": pa.array(call_ids, pa.string())})):
        return ledger.database.rows("find_calls")


def record_calls(ledger: Ledger, calls: Sequence[Row]) -> None:
    """Record finished calls, in one transaction; a row of the same id from before is replaced."""
    rows = [{**call, "finished_at": utc_now()} for call in calls]
    tables = {"generator_call": ledger.rows_table("generator_call", rows)}
    with ledger.database.transaction(), ledger.database.incoming(**tables):
        ledger.database.run("delete_repeated_calls")
        ledger.database.run("insert_calls")


def record_origin(ledger: Ledger, *, evidence: Sequence[Row], pictures: Sequence[Row], guard: Sequence[Row]) -> None:
    """Record where the labels of a bank version come from and how it was guarded; each row has its bank_digest."""
    tables = {
        "label_evidence": ledger.rows_table("label_evidence", evidence),
        "bank_picture": ledger.rows_table("bank_picture", pictures),
        "bank_guard": ledger.rows_table("bank_guard", guard),
    }
    with ledger.database.transaction(), ledger.database.incoming(**tables):
        ledger.database.run("insert_label_evidence")
        ledger.database.run("insert_bank_pictures")
        ledger.database.run("insert_bank_guard")
