"""Decisions that are made in the app, and tags that are given: taken down in a journal at once, recorded in the ledger
from there.

They are recorded every minute while there are some and no other run writes, and at the end. So a scan of an hour delays
nothing, and a killed server loses nothing. Whoever sends an action again, since no answer came, does no harm.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.app.guard import BadRequest
from curator.app.server import Said
from curator.errors import WorkspaceLocked
from curator.printable import said_by
from curator.review.journal import DecisionJournal, Noted
from curator.review.reviews import WITHDRAWN, BadReview, Review, parse_review
from curator.review.tags import Tagging, checked_tag
from curator.store.ledger import utc_now
from curator.workspace.app.frame import CODES, LakeFrame, subject_of
from curator.workspace.app.tags import Tags
from curator.workspace.app.views import first_of_groups, numbers_in, rows_of
from curator.workspace.context import Context
from curator.workspace.logs import log
from curator.workspace.review.record import record_said
from curator.workspace.session import new_run_id, writing

EPOCH = datetime(1970, 1, 1)
LATEST = 1 << 47  # milliseconds: the year 6429
MOST_ACTIONS = 200  # of one request
LAST_WAIT_SECONDS = 5.0  # for another run, at the end


@dataclass(frozen=True, slots=True)
class _Action:
    """What was done: to the images of these numbers, with what they showed before; and what would undo it."""

    numbers: NDArray[np.int64]
    undoing: tuple[Noted, ...]
    before: NDArray[np.uint8] | None = None  # codes, of a decision
    tagged: tuple[str, bool] | None = None  # the tag that was given, or taken off


class Decisions:
    """Those of one reviewer. Safe to use from several threads; `close` it."""

    def __init__(self, context: Context, reviewer: str) -> None:
        self._context = context
        self._reviewer = reviewer
        self._journal = DecisionJournal(context.layout.reviews, new_run_id())
        self._one = threading.RLock()
        self.recording = threading.Lock()  # held while this process writes the ledger
        self._recorded = 0  # of the journal's reviews
        self._actions: dict[str, _Action] = {}
        self._undone: dict[str, _Action] = {}
        self._said: dict[tuple[str, str], Review] = {}  # in this session, by subject
        self._codes: dict[int, tuple[int, int]] = {}  # by number, what is shown, and since which action it is
        self.tags = Tags()
        self._count = 0
        self._settled = 0  # so many actions are in the ledger
        self._last = datetime.min
        self.taken_down = 0

    def act(self, frame: LakeFrame, said: Said) -> dict[str, object]:
        """Take down actions in their order; what became of those that undo: numbers, and the codes that hold again."""
        actions = said.get("actions")
        if not isinstance(actions, list) or len(actions) > MOST_ACTIONS:
            raise BadRequest(400, f"actions are a list of at most {MOST_ACTIONS}")
        restored = []
        with self._one:
            for action in actions:
                if not isinstance(action, dict) or not isinstance(name := action.get("action"), str) or len(name) > 64:
                    raise BadRequest(400, "an action has a name")
                if (undone := action.get("undo")) is not None:
                    restored.append(self._undo(frame, str(undone), self._time(action)))
                elif name not in self._actions:
                    (self._tag if "tag" in action else self._decide)(frame, name, action)
        return {"saved": self.taken_down, "restored": [item for item in restored if item]}

    def _decide(self, frame: LakeFrame, name: str, action: Mapping[str, Any]) -> None:
        rows = rows_of(frame, numbers_in(action.get("numbers")))
        by_group = action.get("groups") is True
        if not rows.size:
            raise BadRequest(404, "no image that is here is named")
        about = first_of_groups(frame, rows) if by_group else rows
        ids = frame.table["image_id"].take(about).to_pylist()
        groups = frame.texts["group_id"]
        given = {key: action.get(key) for key in ("decision", "wrong_label", "note")}
        try:
            first = parse_review({**given, "image_id": ids[0]}, reviewer=self._reviewer, now=utc_now())
        except BadReview as fault:
            raise BadRequest(400, str(fault)) from fault
        if first is None:
            raise BadRequest(400, "nothing is decided")
        first = replace(first, reviewed_at=self._time(action), reviewer=self._reviewer)
        named = [groups.known[groups.codes[row]] if by_group else None for row in about.tolist()]
        reviews = [replace(first, image_id=one, group_id=group) for one, group in zip(ids, named, strict=True)]
        undoing = tuple(self._undoing(frame, review) for review in reviews)
        self._append(reviews)
        touched = rows if not by_group else np.flatnonzero(np.isin(groups.codes, groups.codes[about]))
        numbers = frame.numbers[touched]
        code = 0 if first.decision == WITHDRAWN else CODES[first.decision]
        self._actions[name] = _Action(numbers, undoing, before=self.codes(frame)[touched])
        self._count += 1
        self._codes.update(dict.fromkeys(numbers.tolist(), (code, self._count)))
        self.taken_down += 1

    def _tag(self, frame: LakeFrame, name: str, action: Mapping[str, Any]) -> None:
        """Give images a tag or take it off: those only that it changes, and with `groups` all that are alike."""
        rows, given = rows_of(frame, numbers_in(action.get("numbers"))), action.get("given") is not False
        if not rows.size:
            raise BadRequest(404, "no image that is here is named")
        try:
            tag = checked_tag(action["tag"])
        except BadReview as fault:
            raise BadRequest(400, str(fault)) from fault
        if action.get("groups") is True:
            groups = frame.texts["group_id"].codes
            rows = np.flatnonzero(np.isin(groups, groups[rows]))
        rows = rows[self.tags.mask(frame, tag)[rows] != given]
        now = self._time(action)
        said = [Tagging(one, tag, given, self._reviewer, now) for one in frame.table["image_id"].take(rows).to_pylist()]
        if said:
            self._append(said)
        numbers = frame.numbers[rows]
        self._actions[name] = _Action(
            numbers, tuple(replace(one, given=not given) for one in said), tagged=(tag, given)
        )
        self._count += 1
        self.tags.put(tag, numbers.tolist(), self._count, given=given)
        self.taken_down += 1

    def _undo(self, frame: LakeFrame, name: str, now: datetime) -> dict[str, object] | None:
        action = self._actions.get(name)
        if action is None:
            raise BadRequest(404, "there is no such action to undo")
        if name not in self._undone:
            if action.undoing:
                self._append([_at(item, now) for item in action.undoing])
            self._count += 1
            if action.tagged is not None:
                tag, given = action.tagged
                self.tags.put(tag, action.numbers.tolist(), self._count, given=not given)
            if action.before is not None:
                pairs = zip(action.numbers.tolist(), action.before.tolist(), strict=True)
                self._codes.update({number: (code, self._count) for number, code in pairs})
            self._undone[name] = action
        codes = [] if action.before is None else action.before.tolist()
        return {"numbers": action.numbers.tolist(), "codes": codes}

    def _undoing(self, frame: LakeFrame, review: Review) -> Review:
        """What was said before about the same, said again; or that nothing is said."""
        subject = subject_of(review.image_id, review.group_id)
        if (earlier := self._said.get(subject)) is not None:
            return earlier
        if (known := frame.own.get(subject)) is not None:
            kept = {key: known[key] for key in ("decision", "wrong_label", "note")}
            return replace(review, **kept)
        return replace(review, decision=WITHDRAWN, wrong_label=None, note=None)

    def _append(self, said: Sequence[Noted]) -> None:
        try:
            self._journal.append(*said)
        except OSError as fault:
            raise BadRequest(507, f"the decision cannot be written: {said_by(fault)}") from fault
        reviews = [item for item in said if isinstance(item, Review)]
        self._said.update({subject_of(review.image_id, review.group_id): review for review in reviews})

    def _time(self, action: Mapping[str, Any]) -> datetime:
        """When it was done, as the page says in milliseconds: an action that another server has taken down before is
        the same review then, and is recorded once. Later than every time before, for of decisions about one thing the
        last must hold; unless it comes `late`, from another page: what was decided since holds over it."""
        given, now = action.get("at"), utc_now()
        if given is not None and (type(given) is not int or not 0 <= given < LATEST):
            raise BadRequest(400, "at is a time in milliseconds")
        said = now if given is None else min(now, EPOCH + timedelta(milliseconds=given))
        if action.get("late") is True:
            return said
        self._last = max(said, self._last + timedelta(microseconds=1))
        return self._last

    def codes(self, frame: LakeFrame) -> NDArray[np.uint8]:
        """The codes of the decisions by row: those of the frame, and over them what was decided since."""
        found = frame.decisions.copy()
        with self._one:
            numbers = np.fromiter(self._codes, np.int64, len(self._codes))
            codes = np.fromiter((code for code, _ in self._codes.values()), np.uint8, len(self._codes))
        rows = frame.rows[numbers]
        found[rows[rows >= 0]] = codes[rows >= 0]
        return found

    def settled(self) -> int:
        """How many actions are in the ledger: taken before a frame is loaded, for `forget`."""
        return self._settled

    def forget(self, settled: int) -> None:
        """A frame is there that was loaded when so many actions were in the ledger: it knows better what holds now."""
        with self._one:
            self._codes = {number: item for number, item in self._codes.items() if item[1] > settled}
            self.tags.forget(settled)

    def record(self, *, wait_seconds: float = 0.0) -> bool:
        """Record what was taken down. False when another run writes: then it waits in the journal."""
        with self.recording:
            with self._one:
                waiting, count = self._journal.waiting(), self._count
            if len(waiting) == self._recorded:
                return True
            try:
                arguments = {"reviewer": self._reviewer, "decisions": len(waiting) - self._recorded}
                with writing(self._context, "app", arguments, wait_seconds=wait_seconds) as ledger:
                    record_said(ledger, waiting[self._recorded :])
            except WorkspaceLocked as fault:
                log.info("decisions wait: %s", fault.message)
                return False
            self._settled = count
            self._recorded = 0 if self._journal.forget(len(waiting)) else len(waiting)
            return True

    def close(self) -> bool:
        """Record the last decisions. False when they are left to the next command, because another run writes."""
        try:
            return self.record(wait_seconds=LAST_WAIT_SECONDS)
        finally:
            self._journal.close()


def _at(item: Noted, now: datetime) -> Noted:
    return replace(item, reviewed_at=now) if isinstance(item, Review) else replace(item, tagged_at=now)
