"""The page that explains one image: what it looks like, what became of it, and what decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from curator.report.blocks import Row, brief, document, facts, image, table

LABEL_COLUMNS = ("label", "cosine", "share", "id_score_without", "changes_flag", "source")
IMAGE_COLUMNS = ("uri", "name", "cosine", "id_score", "flagged", "top_id", "source_label")
STATES = {
    "lake": "in the lake",
    "gone": "gone from the lake",
    "reference": "an ID reference image, not in the lake",
    "evaluation": "an image of an evaluation, not in the lake",
    "file": "a file that was not scanned",
}


def explain_page(found: Row, verdict: str) -> str:
    """found: the fields of an `Explanation`. verdict: what decides, in one sentence."""
    return document(str(found["uri"]), _body(found, verdict))


def _body(found: Row, verdict: str) -> Iterator[str]:
    state = {None: "not judged", True: "flagged", False: "kept"}[found["flagged"]]
    yield f"<h1>{escape(found['uri'])}</h1><p><strong>{state}</strong>; {escape(verdict)}.</p>"
    yield _picture(found)
    yield facts(summary_of(found))
    for role, title in (("id", "Nearest ID labels"), ("negative", "Nearest negative labels")):
        labels = [label for label in found["labels"] if label["role"] == role]
        yield _table(title, LABEL_COLUMNS, [label_row(label) for label in labels])
    for label in found["labels"]:
        if label["made_by"]:
            yield f"<h2>How {escape(repr(label['label']))} was made</h2>{facts(origin_facts(label['made_by']))}"
    yield _table("Nearest ID reference images", IMAGE_COLUMNS, found["reference"])
    yield _table("Nearest images of the lake", IMAGE_COLUMNS, found["neighbours"])


def summary_of(found: Row) -> dict[str, object]:
    """The facts of an explanation in words, for a page or a terminal."""
    margin = "" if found["name_margin"] is None else f" (margin {found['name_margin']:.2f})"
    return {
        "name": found["name"] + margin,
        "image": STATES[found["state"]] + (f", {found['copies']} times" if found["copies"] > 1 else ""),
        "places": found["places"] if found["copies"] > 1 else None,
        "id_score": f"{found['id_score']:.4g} (log-odds {found['log_odds']:.4g})",
        "method": found["method_id"],
        "bank": f"{found['bank_name']} v{found['bank_version']} ({found['bank']})",
        "policy": _policy(found),
        "rules": _rules(found),
        "policy made by": _provenance(found["policy_provenance"] or {}),
    }


def _policy(found: Row) -> str:
    if found["policy"] is None or found["min_log_odds"] is None:
        return found["policy"] or "none"
    return f"{found['policy']}: flagged below {found['min_id_score']:.4g} (log-odds {found['min_log_odds']:.4g})"


def _rules(found: Row) -> str | None:
    """Whether the lake is judged so, or by what else."""
    if (ruling := found["ruled_by"]) is None:
        return None
    is_bank = ruling["bank_digest"].startswith(found["bank"].partition("@")[2])
    if is_bank and all(ruling[name] == found[name] for name in ("method_id", "policy")):
        return "yes: the lake is judged so"
    return f"no: ruled by bank {ruling['bank']}, method {ruling['method_id']}, policy {ruling['policy'] or 'none'}"


def label_row(label: Row) -> dict[str, object]:
    """A label as a row of a table for people."""
    turns = {None: "", True: "yes", False: "no"}[label["changes_flag"]]
    return {
        "label": label["label"],
        "cosine": label["cosine"],
        "share": f"{label['share']:.1%}",
        "id_score_without": label["id_score_without"],
        "changes_flag": "yes, decides" if label["decides"] else turns,
        "source": label["source"],
    }


def origin_facts(origin: Row) -> dict[str, object]:
    """How a label was made, in words."""
    asked = [item["uri"] or f"{item['image_id']} (gone)" for item in origin["asked_about"]]
    return {
        "made by": origin["role"] and f"{origin['role']} {origin['model']} ({origin['revision']})",
        "prompt": origin["prompt"] and f"{origin['prompt']} v{origin['prompt_version']}, seed {origin['seed']}",
        "about the ID label": origin["concerns"],
        "shown the image": asked,
        "answered": origin["output"],
        "pictures": [f"generated/{name}" for name in origin["pictures"]],
        "call": origin["call_id"] and f"{origin['call_id']}, {origin['finished_at']:%Y-%m-%d %H:%M} UTC",
    }


def _provenance(values: Row) -> str:
    """How the cut was found; the sources of the reference images are counted, for there may be many."""
    sources = values.get("reference", {}).get("sources", ())
    told = {name: value for name, value in values.items() if not isinstance(value, Mapping) and value is not None}
    said = ", ".join(f"{name} {brief(value)}" for name, value in told.items())
    return (
        f"{said}; reference images from {sources[0] if len(sources) == 1 else f'{len(sources)} sources'}"
        if sources
        else said
    )


def _picture(found: Row) -> str:
    if found["thumbnail"] is not None:
        return f"<p>{image(found['thumbnail'], alt=found['uri'])}</p>"
    return f'<p class="muted">no picture: {escape(found["thumbnail_fault"] or "it was not asked for")}</p>'


def _table(title: str, columns: Sequence[str], rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    shown = [name for name in columns if any(row.get(name) not in (None, "") for row in rows)]
    return f"<h2>{title} ({len(rows)})</h2>{table(shown, rows)}"
