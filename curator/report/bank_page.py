"""The page of a bank version: its facts, how it was made, its labels by source, and the pictures made for it.

It reads without any script. The one that it carries, and that its policy names by its hash, lets a reader sort each
table by a column and look for labels among the thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curator.report.pages import render
from curator.report.words import Row

MOST_LABELS = 20_000  # of each source; the rest is in SQL
MOST_PICTURES = 200
MOST_OPEN = 500  # labels in all, up to which they are shown at once


@dataclass(frozen=True, slots=True)
class PagePicture:
    """What was painted: `data` of an image, or None where a vector stands in its place; provenance as text."""

    label: str
    data: bytes | None
    provenance: Row


def bank_page(
    head: Row,
    labels: Sequence[Row],
    pictures: Sequence[PagePicture],
    doubtful: Sequence[Row] = (),
    details: Row | None = None,
) -> str:
    """The whole page. head: name, version and what else matters; details: all the rest, folded away at the end.

    labels: rows with role, source and evidence; `flags` of a negative: how many flagged images it is the nearest to.
    doubtful: rows of an audit.
    """
    negatives = [{**label, "label": label["text"]} for label in labels if label["role"] == "negative"]
    by_source: dict[str, list[Row]] = {}
    for label in negatives:
        by_source.setdefault(label["source"], []).append(label)
    return render(
        "bank",
        head=head,
        pictures=pictures,
        negatives=negatives,
        deciding=sorted((one for one in negatives if one.get("flags")), key=lambda one: -one["flags"]),
        by_source=by_source,
        doubtful=doubtful,
        ids=[label["text"] for label in labels if label["role"] == "id"],
        details=details or {},
        most_labels=MOST_LABELS,
        most_pictures=MOST_PICTURES,
        most_open=MOST_OPEN,
    )
