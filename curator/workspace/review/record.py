"""Reviews in and out of a workspace: recorded, exported to be decided elsewhere, imported from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import get_args

import pyarrow as pa

from curator.errors import UsageError, WorkspaceLocked
from curator.review.fiftyone import read_samples
from curator.review.journal import Entry, Noted, kept_aside, left_behind
from curator.review.label_studio import read_tasks
from curator.review.reviews import Line, LineFault, Review, checked_reviewer, sort_lines
from curator.review.tables import read_csv, read_jsonl
from curator.review.tags import Tagging
from curator.store import Ledger
from curator.store.ledger import utc_now
from curator.workspace.context import Context
from curator.workspace.logs import log
from curator.workspace.review.export import Style
from curator.workspace.session import writing

SUFFIXES: dict[str, Style] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "label-studio"}
READERS = {"csv": read_csv, "jsonl": read_jsonl, "fiftyone": read_samples, "label-studio": read_tasks}


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What became of the lines of a file: lines = recorded + known + repeated + undecided + faults.

    known: recorded before. repeated: said twice in the file. undecided: the line decides nothing.
    """

    lines: int
    recorded: int
    known: int
    repeated: int
    undecided: int
    faults: tuple[LineFault, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def style_of(path: Path, given: str | None) -> Style:
    """The format of a file by its suffix, unless it is given. Raises UsageError."""
    if given is not None:
        return next(style for style in get_args(Style) if style == given)
    if not path.suffix or path.is_dir():
        return "fiftyone"
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: no format has this suffix", hint=f"give `style` {'|'.join(get_args(Style))}")
    return SUFFIXES[path.suffix.lower()]


def import_reviews(
    context: Context, path: Path, *, style: str | None, reviewer: str, wait_seconds: float = 0.0
) -> ImportSummary:
    """Record the decisions of a file. A line that is no review costs itself only; the same file again changes nothing.

    Raises UsageError for a file that cannot be read at all, or a reviewer who has no name.
    """
    kind, now, reviewer = style_of(path, style), utc_now(), checked_reviewer(reviewer)
    lines: list[Line] = list(READERS[kind](path))
    found = sort_lines(lines, reviewer=reviewer, now=now)
    arguments = {"path": str(path), "format": kind, "reviewer": reviewer}
    with writing(context, "review import", arguments, wait_seconds=wait_seconds) as ledger:
        collect_left_behind(context, ledger)
        faults = faults_of(ledger, [review for _, review in found.reviews])
        kept = [review.at(now) for (_, review), fault in zip(found.reviews, faults, strict=True) if fault is None]
        recorded = record_reviews(ledger, kept, origin=kind, now=now)
    strange = (
        LineFault(where, review.image_id, fault)
        for (where, review), fault in zip(found.reviews, faults, strict=True)
        if fault is not None
    )
    return ImportSummary(
        len(lines),
        recorded,
        len(kept) - recorded,
        found.repeated,
        found.undecided,
        (*found.faults, *strange),
    )


def faults_of(ledger: Ledger, reviews: Sequence[Noted]) -> list[str | None]:
    """Why each review cannot be recorded: its image or its group is not there; None where it can."""
    named = sorted({name for review in reviews for name in review.about})
    with ledger.database.incoming(named=pa.table({"image_id": pa.array(named, pa.string())})):
        unknown = {row["image_id"] for row in ledger.database.rows("list_unknown_images")}
    missing = ([name for name in review.about if name in unknown] for review in reviews)
    return [f"the workspace knows no image or group {names[0]}" if names else None for names in missing]


def record_reviews(ledger: Ledger, reviews: Sequence[Review], *, origin: str, now: datetime) -> int:
    """Add the reviews that are not recorded yet, in one transaction. Returns how many those were."""
    if not reviews:
        return 0
    rows = [
        {"review_number": place, **asdict(review), "review_id": review.review_id, "origin": origin}
        for place, review in enumerate(reviews)
    ]
    database = ledger.database
    with database.transaction():
        with database.incoming(review=ledger.rows_table("review", rows)):
            known = {row["review_id"] for row in database.rows("list_known_reviews", origin=origin, now=now)}
        new = [row for row in rows if row["review_id"] not in known]
        if new:
            with database.incoming(review=ledger.rows_table("review", new)):
                database.run("insert_reviews")
    return len(new)


def record_said(ledger: Ledger, said: Sequence[Noted]) -> int:
    """Add what a journal holds and is not recorded yet: decisions, and tags. Returns how many those were."""
    reviews = [item for item in said if isinstance(item, Review)]
    tags = [item for item in said if isinstance(item, Tagging)]
    count = record_reviews(ledger, reviews, origin="page", now=utc_now())
    rows = [{"tagging_number": place, **asdict(item), "tagging_id": item.tagging_id} for place, item in enumerate(tags)]
    database = ledger.database
    if rows:
        with database.transaction(), database.incoming(tagging=ledger.rows_table("tagging", rows)):
            count += int(database.rows("insert_taggings")[0]["Count"])
    return count


def collect_left_behind(context: Context, ledger: Ledger) -> None:
    """Record what review pages that were killed had taken down."""
    with left_behind(context.layout.reviews) as found:
        _record_found(ledger, found)
    _warn_of_faults(found)


def collect_if_free(context: Context) -> None:
    """The same in a run of its own, where there is something and nobody writes; else it stays for the next command."""
    try:
        with left_behind(context.layout.reviews) as found:
            if any(found.values()):
                with writing(context, "review", {"left_behind": True}) as ledger:
                    _record_found(ledger, found)
    except WorkspaceLocked as fault:
        log.warning("decisions of a review page wait to be recorded: %s", fault.message)
    else:
        _warn_of_faults(found)


def _record_found(ledger: Ledger, found: Mapping[Path, Sequence[Entry]]) -> None:
    """Record the reviews, each journal for itself. What is about an image that is not there has a fault from then."""
    count = 0
    for entries in found.values():
        given = [(entry, entry.review) for entry in entries if entry.review is not None]
        for (entry, _), fault in zip(given, faults_of(ledger, [review for _, review in given]), strict=True):
            entry.fault = fault
        reviews = [review for entry, review in given if entry.fault is None]
        count += record_said(ledger, reviews)
    if count:
        log.info("recorded %d decisions that a review page had left", count)


def _warn_of_faults(found: Mapping[Path, Sequence[Entry]]) -> None:
    """One line for each journal with lines that could not be recorded, and so were kept aside."""
    for path, entries in found.items():
        faults = [entry for entry in entries if entry.fault is not None]
        if faults:
            more = f", and {len(faults) - 1} more lines" if len(faults) > 1 else ""
            first = f"line {faults[0].number} could not be recorded: {faults[0].fault}"
            log.warning("%s: %s%s; kept in %s", path, first, more, kept_aside(path))
