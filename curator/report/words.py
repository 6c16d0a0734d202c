"""What is known, in words for people, on pages and on terminals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from curator.methods.spec import short_form

Row: TypeAlias = Mapping[str, Any]  # of a query or of JSON, which know no types of their values
NONE = "–"  # in place of a number that there is none of
STATES = {
    "lake": "in the lake",
    "gone": "gone from the lake",
    "reference": "an ID reference image, not in the lake",
    "evaluation": "an image of an evaluation, not in the lake",
    "file": "a file that was not scanned",
}


def brief(value: object) -> str:
    """A value for a person's eye."""
    if isinstance(value, list | tuple):
        more = f" … and {len(value) - 20} more" if len(value) > 20 else ""
        return ", ".join(map(str, value[:20])) + more
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {brief(item)}" for name, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else text(value)


def text(value: object) -> str:
    """A value in full."""
    return {None: "", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)


def cell(value: object) -> str:
    """A value as a cell of a table."""
    return f"{value:.3f}" if isinstance(value, float) else text(value)


def setting(name: str) -> str:
    """A name in words; one with a dot is a setting, as it is written."""
    return name if "." in name else name.replace("_", " ")


def moment(time: str) -> str:
    """A time of the ledger for a person's eye."""
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M:%S} UTC"


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def p_value(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}" if value >= 0.001 else "<\N{NO-BREAK SPACE}0.001"


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
    return f"no: ruled by {ruling_said(ruling)}"


def ruling_said(ruling: Row) -> str:
    """By what the images are judged."""
    method = short_form(ruling["method_id"])
    return f"bank {ruling['bank']}, method {method}, policy {ruling['policy'] or 'none'}"


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
        "call": origin["call_id"]
        and f"{origin['call_id']}, {datetime.fromisoformat(str(origin['finished_at'])):%Y-%m-%d %H:%M} UTC",
    }


def _provenance(values: Row) -> str:
    """How the cut was found; the sources of the reference images are counted, for there may be many."""
    sources = values.get("reference", {}).get("sources", ())
    told = {name: value for name, value in values.items() if not isinstance(value, Mapping) and value is not None}
    if isinstance(rule := values.get("rule"), Mapping):  # `keep` stands beside every rule: 1 - level of another one
        told.pop("keep", None)
        told = {rule["kind"]: rule["level"], **({"by_class": True} if rule["by_class"] else {}), **told}
    said = ", ".join(f"{name} {brief(value)}" for name, value in told.items())
    return (
        f"{said}; reference images from {sources[0] if len(sources) == 1 else f'{len(sources)} sources'}"
        if sources
        else said
    )
