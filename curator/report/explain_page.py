"""The page that explains one image: what it looks like, what became of it, and what decided."""

from __future__ import annotations

from curator.report.pages import render
from curator.report.words import Row, label_row, origin_facts, summary_of


def explain_page(found: Row, verdict: str) -> str:
    """found: the fields of an `Explanation`. verdict: what decides, in one sentence."""
    return render("explain", **explained(found, verdict))


def explained(found: Row, verdict: str) -> dict[str, object]:
    """What the template is given."""
    return {
        "found": found,
        "verdict": verdict,
        "state": {None: "not judged", True: "flagged", False: "kept"}[found["flagged"]],
        "summary": summary_of(found),
        "labels": {
            role: [label_row(label) for label in found["labels"] if label["role"] == role]
            for role in ("id", "negative")
        },
        "origins": [
            (repr(label["label"]), origin_facts(label["made_by"])) for label in found["labels"] if label["made_by"]
        ],
    }
