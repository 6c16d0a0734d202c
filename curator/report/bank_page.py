"""The page of a bank version: its facts, how it was made, its labels by source, and the pictures made for it.

It reads without any script. The one that it carries, and that its policy names by its hash, lets a reader sort each
table by a column and look for labels among the thousands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from curator.report.blocks import Row, brief, document, facts, image, table

MOST_LABELS = 20_000  # of each source; the rest is in SQL
MOST_PICTURES = 200
MOST_OPEN = 500  # labels in all, up to which they are shown at once
BUSIEST = 20
LABEL_COLUMNS = ("label", "flags", "nearest_id", "nearest_id_cosine", "concerns", "model", "prompt", "output")


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
    title = f"Bank {head['name']} v{head['version']}"
    body = _body(title, head, labels, pictures, doubtful, details or {})
    return document(title, body, own="bank")


def _body(
    title: str,
    head: Row,
    labels: Sequence[Row],
    pictures: Sequence[PagePicture],
    doubtful: Sequence[Row],
    details: Row,
) -> Iterator[str]:
    negatives = [{**label, "label": label["text"]} for label in labels if label["role"] == "negative"]
    ids = [label["text"] for label in labels if label["role"] == "id"]
    yield f"<h1>{escape(title)}</h1>{facts(head)}"
    yield _pictures(pictures)
    yield _busiest(negatives)
    yield f'<h2 id="negatives">Negative labels ({len(negatives):,})</h2>'
    for source in dict.fromkeys(label["source"] for label in negatives):
        of_source = [label for label in negatives if label["source"] == source]
        yield _labels(source, of_source, is_open=len(negatives) <= MOST_OPEN)
    if doubtful:
        columns = ("label", "role", "reason", "evidence", "concerns", "cosine", "source")
        yield f"<h2>Labels in doubt ({len(doubtful)})</h2>{table(columns, doubtful)}"
    yield f"<h2>ID labels ({len(ids)})</h2><p>{escape(', '.join(ids))}</p>"
    yield f"<h2>Settings and account</h2><details><summary>show</summary>{facts(details)}</details>"


def _pictures(pictures: Sequence[PagePicture]) -> str:
    if not pictures:
        return ""
    shown = "".join(map(_figure, pictures[:MOST_PICTURES]))
    left = f'<p class="muted">and {len(pictures) - MOST_PICTURES} more, in generated/ of the workspace</p>'
    more = left if len(pictures) > MOST_PICTURES else ""
    return f'<h2>Made for it ({len(pictures)})</h2><div class="gallery">{shown}</div>{more}'


def _figure(picture: PagePicture) -> str:
    label = escape(picture.label)
    nothing = '<div class="none muted">a vector, not a picture</div>'
    shown = nothing if picture.data is None else image(picture.data, picture.label)
    provenance = "".join(f"<br>{escape(name)}: {escape(brief(value))}" for name, value in picture.provenance.items())
    caption = f'<strong>{label}</strong><span class="muted">{provenance}</span>'
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"


def _busiest(negatives: Sequence[Row]) -> str:
    """The negatives that most flagged images are nearest to."""
    deciding = sorted((label for label in negatives if label.get("flags")), key=lambda label: -label["flags"])
    if not deciding:
        return ""
    columns = ("label", "flags", "nearest_id", "nearest_id_cosine", "source")
    return f"<h2>Nearest to flagged images ({len(deciding)} labels)</h2>{table(columns, deciding[:BUSIEST])}"


def _labels(source: str, labels: Sequence[Row], *, is_open: bool) -> str:
    rows = labels[:MOST_LABELS]
    columns = [name for name in LABEL_COLUMNS if any(row.get(name) is not None for row in rows)]
    left = f'<p class="muted">and {len(labels) - MOST_LABELS} more, see report.generated_labels</p>'
    more = left if len(labels) > MOST_LABELS else ""
    opened = " open data-open" if is_open else ""
    heading = f"<summary>{escape(source)} ({len(labels):,})</summary>"
    return f'<details class="labels"{opened}>{heading}{table(columns, rows)}{more}</details>'
