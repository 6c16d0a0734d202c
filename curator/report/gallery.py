"""The galleries of a night: a card for each image, called by its name; folded away, which labels decide and how the one
that matters was made."""

from __future__ import annotations

from datetime import datetime
from html import escape

from curator.report import blocks
from curator.report.blocks import Row, Thumbnail, brief
from curator.report.explain_page import origin_facts
from curator.report.night_data import GalleryImage

ROLES = {"id": "ID labels", "negative": "negative labels"}


def card(item: GalleryImage, thumbnail: Thumbnail) -> str:
    """A card; what filters compare is in its data attributes."""
    label = _label(item)
    texts = [item["name"], item["top_id"], item["top_negative"], label and label["label"]]
    labels = escape("\n".join(dict.fromkeys(text or "" for text in texts)))
    cluster = "" if item["cluster"] is None else item["cluster"]
    kept = f'data-labels="{labels}" data-cluster="{cluster}" data-log-odds="{item["log_odds"]:.6g}"'
    return (
        f'<figure {kept}><button type="button" aria-haspopup="dialog">{blocks.shown(thumbnail, item["uri"])}</button>'
        f"<figcaption>{explained(item)}</figcaption></figure>"
    )


def explained(item: GalleryImage) -> str:
    """What an image is called and how far it is from the cut, in a few lines; the labels are folded away."""
    lines = [
        f"<strong>{_isolated(item['name'])}</strong>",
        f"id_score {item['id_score']:.3g}, {_margin(item['margin'])}",
    ]
    if item["source_label"]:
        lines.append(f"came as {_isolated(item['source_label'])}")
    if item["alike"] > 1:
        lines.append(f"and {item['alike'] - 1:,} more like it")
    address = f'<span class="muted address">{escape(item["uri"])}</span>'
    return "<br>".join([*lines, address]) + _details(item)


def _details(item: GalleryImage) -> str:
    """The nearest labels, with cosines in brackets, which of them decides, and how the one that matters was made."""
    negative = "no negative label" if item["top_negative"] is None else _quoted(item["top_negative"])
    lines = [
        f"nearest negative label: {negative}{_cosine(item['top_negative_cosine'])}",
        f"nearest ID label: {_quoted(item['top_id'])}{_cosine(item['top_id_cosine'])}",
        *_reason(item),
        *_making(_label(item)),
    ]
    return f'<details class="making"><summary>details</summary><p>{"<br>".join(lines)}</p></details>'


def _label(item: GalleryImage) -> Row | None:
    """The label that decides, or else the nearest negative; None where the score could not be taken apart."""
    return item["reason"] and item["reason"]["label"]


def _reason(item: GalleryImage) -> list[str]:
    """Which label decides, how much the one that matters weighs, and where it is from."""
    reason, label = item["reason"], _label(item)
    if reason is None:
        return []
    if reason["note"] is not None:
        said = [escape(reason["note"])]
    elif reason["deciding"] is not None:
        said = [f"{_quoted(reason['deciding'])} decides: without it the image would be kept"]
    else:
        said = ["no single label decides"]
    if label is not None:
        weight = f"{label['share']:.1%} of the weight of all {ROLES[label['role']]}"
        said.append(f"{_quoted(label['label'])} has {weight}; it is from {_isolated(label['source'])}")
    return said


def _making(label: Row | None) -> list[str]:
    """The call that made a label, where one did."""
    if label is None or label["made_by"] is None:
        return []
    made = label["made_by"]
    finished = made["finished_at"] and datetime.fromisoformat(made["finished_at"])
    told = {name: value for name, value in origin_facts({**made, "finished_at": finished}).items() if value}
    lines = [f"<strong>{escape(name)}</strong>: {_isolated(brief(value))}" for name, value in told.items()]
    return [f"how {_quoted(label['label'])} was made:", *lines]


def _isolated(text: object) -> str:
    """Text that does not turn the words around it, whichever way it runs."""
    return f"<bdi>{escape(str(text))}</bdi>"


def _quoted(text: str) -> str:
    return f"“{_isolated(text)}”"


def _cosine(value: float | None) -> str:
    return "" if value is None else f' <span class="muted">({value:.3f})</span>'


def _margin(margin: float | None) -> str:
    return "no cut" if margin is None else f"{abs(margin):.3g} {'below' if margin < 0 else 'above'} the cut in log-odds"
