"""Baselines: nights that others are compared with, pinned as rows. The images of a baseline stay when they leave the
lake, and so do their vectors and scores, so drift is measured under whatever bank and method are in force now."""

from __future__ import annotations

from curator.errors import UsageError
from curator.store import Database
from curator.store.ledger import utc_now
from curator.store.tables import Row
from curator.workspace.context import Context
from curator.workspace.session import writing

SAMPLE = 20_000  # images of a baseline


def pin_baseline(context: Context, night: str | None) -> dict[str, object]:
    """Pin a night, the last one by default, as the baseline of the encoder in force. Returns its row.

    Raises UsageError when there is no such night, or no image with a score arrived in it.
    """
    with writing(context, "baseline pin", {"night": night}) as ledger:
        found = find_night(ledger.database, night)
        encoder_id = context.stored_encoder_id(ledger.database)
        with ledger.database.transaction():
            ledger.database.run(
                "insert_baseline",
                night_run_id=found["run_id"],
                encoder_id=encoder_id,
                pinned_at=utc_now(),
                run_id=ledger.run_id,
            )
            ledger.database.run(
                "insert_baseline_images", night_run_id=found["run_id"], limit=SAMPLE, run_id=ledger.run_id
            )
            row = ledger.database.row("list_baselines")
            if row is None or row["night_run_id"] != found["run_id"]:
                raise UsageError(
                    f"no image with a score arrived in the night of {found['night']} (run {found['run_id']})",
                    hint="pin another one: see `curator query night`",
                )
    return row


def find_night(database: Database, night: str | None) -> Row:
    """A scan by its date, its run id or how that begins; the newest where several fit, or none is asked for.

    Raises UsageError when there is none.
    """
    found = database.row("find_night", night=night)
    if found is None:
        asked = "no scan was made yet" if night is None else f"no scan of the night or run {night!r}"
        raise UsageError(asked, hint="see `curator query night`")
    return found
