"""The desk behind the review page: what lies on it, its pictures, and where decisions go.

A decision is taken down in a journal at once and recorded in the ledger from there: every RECORD_SECONDS while there
are some and no other run writes, and at the end. So a scan of an hour delays nothing, and a
killed server loses nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

from curator.errors import CuratorError, UsageError, WorkspaceLocked
from curator.printable import said_by
from curator.review.journal import DecisionJournal
from curator.review.reviews import BadReview, checked_reviewer, parse_review
from curator.review.server import BadRequest, ReviewServer
from curator.store.ledger import utc_now
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.logs import log
from curator.workspace.look.pictures import thumbnail
from curator.workspace.published import reading
from curator.workspace.review.record import collect_if_free, record_reviews
from curator.workspace.session import new_run_id, writing

SIDE = 768  # pixels of the pictures
KEPT = 256  # pictures in memory
RECORD_SECONDS = 60.0
LAST_WAIT_SECONDS = 5.0  # for another run, at the end
FACTS = (
    *("group_id", "image_id", "uri", "name", "images", "flagged", "why", "id_score", "top_id", "top_negative"),
    "members",
)


class ReviewDesk:
    """The first groups of the queue, for one reviewer. Implements `Desk`; close it."""

    def __init__(self, context: Context, *, reviewer: str, limit: int) -> None:
        """Raises UsageError for a reviewer who has no name."""
        self._reviewer = checked_reviewer(reviewer)
        collect_if_free(context)
        self._context = context
        with reading(context.layout) as database:
            rows = database.rows("list_review_queue", limit=limit)
            self._ruling = InForce.of(database)
        self._items = {row["image_id"]: {name: row[name] for name in FACTS} for row in rows}
        self._shown = set(self._items) | {name for row in rows for name in row["members"] or ()}
        self._one = threading.Lock()  # decoding is not for several threads; nor is a snapshot that is being made
        self._recorded = 0  # of the journal's reviews
        self.taken_down = 0
        self._picture = lru_cache(KEPT)(self._make_picture)
        self._journal = DecisionJournal(context.layout.reviews, new_run_id())

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> Mapping[str, object]:
        ruling = self._ruling
        told = {"ruled_by": ruling and ruling.as_json(), "ruling": f"Ruled by {ruling}" if ruling else ""}
        return {"reviewer": self._reviewer, **told, "items": list(self._items.values())}

    def picture(self, image_id: str) -> bytes | None:
        if image_id not in self._shown:
            return None
        with self._one:
            return self._picture(image_id)

    def _make_picture(self, image_id: str) -> bytes | None:
        with reading(self._context.layout) as database:
            found = thumbnail(self._context, database, image_id, side=SIDE)
        if found.data is None:
            log.info("image %s cannot be shown: %s", image_id, found.reason)
        return found.data

    def decide(self, said: Mapping[str, object]) -> Mapping[str, object]:
        now = utc_now()
        try:
            given = {name: said.get(name) for name in ("image_id", "group_id", "decision", "wrong_label", "note")}
            review = parse_review(given, reviewer=self._reviewer, now=now)
        except BadReview as fault:
            raise BadRequest(400, str(fault)) from fault
        item = self._items.get(review.image_id) if review else None
        if review is None or item is None or review.group_id != item["group_id"]:
            raise BadRequest(404, "no such group is on this desk")
        try:
            self._journal.append(replace(review, reviewed_at=now))
        except OSError as fault:
            raise BadRequest(507, f"the decision cannot be written: {said_by(fault)}") from fault
        held = review.decision != "withdrawn"
        kept = {"decision": review.decision, "wrong_label": review.wrong_label, "note": review.note}
        item.update(kept if held else dict.fromkeys(kept))
        self.taken_down += 1
        return {"saved": self.taken_down}

    def record(self, *, wait_seconds: float = 0.0) -> bool:
        """Record what was taken down. False when another run writes: then it waits in the journal."""
        with self._one:
            waiting = self._journal.waiting()
            if len(waiting) == self._recorded:
                return True
            try:
                arguments = {"reviewer": self._reviewer, "decisions": len(waiting) - self._recorded}
                with writing(self._context, "review serve", arguments, wait_seconds=wait_seconds) as ledger:
                    record_reviews(ledger, waiting[self._recorded :], origin="page", now=utc_now())
            except WorkspaceLocked as fault:
                log.info("decisions wait: %s", fault.message)
                return False
            self._recorded = 0 if self._journal.forget(len(waiting)) else len(waiting)
            return True

    def close(self) -> bool:
        """Record the last decisions. False when they are left to the next command, because another run writes."""
        try:
            return self.record(wait_seconds=LAST_WAIT_SECONDS)
        finally:
            self._journal.close()


def serve_review(
    context: Context, *, port: int, reviewer: str, limit: int, ready: Callable[[str, int], None], ended: threading.Event
) -> tuple[int, bool]:
    """Serve the page until `ended` is set, or Ctrl-C. `ready(address, groups)` is called when it can be opened.

    Returns how many decisions were taken down, and whether all are recorded. Raises UsageError when there is nothing
    to review or the port cannot be had.
    """
    desk = ReviewDesk(context, reviewer=reviewer, limit=limit)
    try:
        if not len(desk):
            raise UsageError("there is nothing to review", hint="see `curator query review_queue`")
        with ReviewServer(desk, port=port) as server:
            thread = threading.Thread(target=server.serve_forever, name="curator-review", daemon=True)
            thread.start()
            try:
                with suppress(KeyboardInterrupt):  # how people end it, from the moment that they read the address
                    ready(server.address, len(desk))
                    while not ended.wait(RECORD_SECONDS):
                        _record_if_possible(desk)
            finally:
                server.shutdown()
                thread.join()
    finally:
        recorded = desk.close()
    return desk.taken_down, recorded


def _record_if_possible(desk: ReviewDesk) -> None:
    """A fault of the disk or of the place to publish to must not end the page: the decisions are in the journal."""
    try:
        desk.record()
    except CuratorError as fault:
        log.warning("decisions wait in the journal: %s", fault.message)
