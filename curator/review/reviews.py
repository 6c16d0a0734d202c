"""A review: what somebody decided about an image or a group of near-duplicates, checked field by field.

Reviews are never changed: a later one of the same person about the same thing counts instead, and `withdrawn` takes a
decision back. So a line of a file becomes a review or a fault that says why not; nothing is guessed or dropped.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from curator.errors import UsageError
from curator.printable import printable, text_fault

DECISIONS = ("id", "ood", "unsure", "bad_image")
WITHDRAWN = "withdrawn"
FIELDS = ("image_id", "group_id", "decision", "wrong_label", "note", "reviewer", "reviewed_at", "export_id")
LONGEST = {"note": 2000, "reviewer": 100, "export_id": 64}
LONGEST_TEXT = 200  # characters of any other field
IMAGE_ID = re.compile(r"[0-9a-f]{32}")
Item: TypeAlias = Mapping[str, Any]  # an image to review with what helps to decide, as the ledger has it
CLOCKS_DIFFER = timedelta(days=1)  # a time further ahead than that would rule over every later decision


class BadReview(ValueError):
    """A line that is no review; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Review:
    """A decision about an image, or about its whole group where `group_id` is given; `image_id` is what was looked at.

    reviewed_at: UTC, without a zone; None where a file does not say, which then is the time of the import. export_id:
    the export that the file came from. wrong_label: a label that the reviewer says is wrong for the image.
    """

    image_id: str
    decision: str
    reviewer: str
    group_id: str | None = None
    wrong_label: str | None = None
    note: str | None = None
    reviewed_at: datetime | None = None
    export_id: str | None = None

    @property
    def said(self) -> tuple[str, str | None, str | None]:
        """What the reviewer says, apart from who, of what and when."""
        return self.decision, self.wrong_label, self.note

    @property
    def about(self) -> tuple[str, ...]:
        """The image and the group that it names."""
        return tuple(name for name in (self.image_id, self.group_id) if name)

    @property
    def subject(self) -> tuple[str, str, str]:
        """Who speaks of what: of these the newest counts."""
        about = ("group", self.group_id) if self.group_id else ("image", self.image_id)
        return (*about, self.reviewer)

    @property
    def review_id(self) -> str:
        """The same review has the same id, however often and in whatever file it comes."""
        content = json.dumps({**asdict(self), "export_id": None}, sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def at(self, now: datetime) -> Review:
        """With a time, if it has none."""
        return self if self.reviewed_at else replace(self, reviewed_at=now)

    def as_json(self) -> dict[str, object]:
        when = self.reviewed_at.isoformat() if self.reviewed_at else None
        return {**asdict(self), "reviewed_at": when}


def checked_reviewer(name: str) -> str:
    """The name of whoever decides, as a command gives it. Raises UsageError."""
    if (fault := text_fault(name.strip(), longest=LONGEST["reviewer"])) is not None or not name.strip():
        raise UsageError(f"the reviewer {fault or 'has no name'}", hint="give `reviewer`, a name")
    return name.strip()


def parse_line(line: Line, *, reviewer: str, now: datetime) -> Review | None:
    """The review of a line of a file; None when nothing was decided there. Raises BadReview."""
    if line.fault is not None:
        raise BadReview(line.fault)
    return parse_review(line.fields, reviewer=reviewer, now=now)


def parse_review(fields: Mapping[str, object], *, reviewer: str, now: datetime) -> Review | None:
    """A review from the fields of a line; None when nothing was decided there. `reviewer`: who, where it does not say.

    A wrong label without a decision counts as `unsure`. Raises BadReview.
    """
    texts = {name: _text(name, fields.get(name)) for name in FIELDS}
    decision, wrong_label = _decision(texts["decision"]), texts["wrong_label"]
    if decision is None and wrong_label is None:
        return None
    image_id = texts["image_id"]
    if image_id is None:
        raise BadReview("it names no image: the column image_id is empty or not there")
    for name in ("image_id", "group_id"):
        if texts[name] is not None and not IMAGE_ID.fullmatch(texts[name] or ""):
            raise BadReview(f"{name} must be 32 hexadecimal digits, not {texts[name]!r}")
    return Review(
        image_id=image_id,
        group_id=texts["group_id"],
        decision=decision or "unsure",
        wrong_label=wrong_label,
        note=texts["note"],
        reviewer=texts["reviewer"] or reviewer,
        reviewed_at=checked_time("reviewed_at", texts["reviewed_at"], now),
        export_id=texts["export_id"],
    )


def _text(name: str, value: object) -> str | None:
    """A field as a text without outer spaces; None when it is empty."""
    if value is None or isinstance(value, str | int | float | datetime):
        text = "" if value is None else str(value).strip()
    else:
        raise BadReview(f"{name} must be a text, not {type(value).__name__}")
    if (fault := text_fault(text, longest=LONGEST.get(name, LONGEST_TEXT), lines=name == "note")) is not None:
        raise BadReview(f"{name} {fault}")
    return text or None


def _decision(text: str | None) -> str | None:
    if text is None:
        return None
    word = re.sub(r"[\s-]+", "_", text.lower())
    if word not in (*DECISIONS, WITHDRAWN):
        raise BadReview(f"the decision is {text!r}, not one of {', '.join(DECISIONS)}")
    return word


def checked_time(name: str, text: str | None, now: datetime) -> datetime | None:
    """A time in UTC, without a zone; None where none is given. Raises BadReview."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as fault:
        raise BadReview(f"{name} is no time: {text!r}; write it as 2026-01-31T12:00:00Z") from fault
    if found.tzinfo is not None:
        try:
            found = found.astimezone(UTC).replace(tzinfo=None)
        except OverflowError as fault:
            raise BadReview(f"{name} is no time: {text!r}") from fault
    if found > now + CLOCKS_DIFFER:
        raise BadReview(f"{name} lies in the future: {text}")
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """One line, sample or task of a file: where it stands, and its fields; or what is wrong with it as a whole."""

    where: str
    fields: Mapping[str, object]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class LineFault:
    """A line that did not become a review, and why."""

    where: str
    image_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sorted:
    """The lines of a file: reviews with where they stand, faults, and how many say nothing or repeat another line."""

    reviews: tuple[tuple[str, Review], ...]
    faults: tuple[LineFault, ...]
    undecided: int
    repeated: int


def sort_lines(lines: Iterable[Line], *, reviewer: str, now: datetime) -> Sorted:
    """Every line as a review, a fault, undecided, or repeated. Of lines without a time that contradict each other the
    first counts and the others are faults; with times the newest will rule."""
    reviews: dict[str, tuple[str, Review]] = {}
    first: dict[tuple[tuple[str, str, str], datetime | None], tuple[str, Review]] = {}
    faults: list[LineFault] = []
    undecided = repeated = 0
    for line in lines:
        try:
            review = parse_line(line, reviewer=reviewer, now=now)
            if review is None:
                undecided += 1
                continue
            earlier, before = first.setdefault((review.subject, review.reviewed_at), (line.where, review))
            if before.said != review.said:
                raise BadReview(f"it contradicts {earlier}: {before.decision} there, {review.decision} here")
        except BadReview as fault:
            image_id = printable(str(line.fields.get("image_id") or "")[:LONGEST_TEXT])
            faults.append(LineFault(line.where, image_id, str(fault)))
            continue
        repeated += review.review_id in reviews
        reviews.setdefault(review.review_id, (line.where, review))
    return Sorted(tuple(reviews.values()), tuple(faults), undecided, repeated)
