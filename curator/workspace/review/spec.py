"""The spec of a proposed bank: its parent's labels, without some and with some more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from curator.types import Bank
from curator.workspace.review.evidence import LabelEdit


def proposed_spec(name: str, parent: Bank, proposed: Sequence[LabelEdit]) -> dict[str, object]:
    """The tables of the spec. The parent is named by its digest, so that the judgement is of the bank that is built."""
    address = f"{parent.name}@{parent.digest}"
    template = parent.spec.get("id", {}).get("template")
    added = sorted(item.label for item in proposed if item.action == "add")
    removed = sorted(item.label for item in proposed if item.action == "remove")
    names = parent.spec.get("mining", {}).get("remove_id_names", True)
    shaped = {} if template is None else {"template": list(template) if isinstance(template, tuple) else template}
    negatives: dict[str, object] = {"lists": [{"words": added, **shaped, "mine": False}]} if added else {}
    return {
        "name": name,
        "id": {"bank": address, **shaped},
        "negatives": {**negatives, "banks": [{"bank": address, "mine": False}]},
        "mining": {"remove_id_names": names, **({"remove_labels": removed} if removed else {})},
    }


def spec_text(table: Mapping[str, Any], parent: str) -> str:
    """The tables as TOML."""
    lines = [f"# What reviewers decided about the flags of {parent}: made by `curator bank propose`."]
    lines += [f"name = {_value(table['name'])}", "", "[id]", *_pairs(table["id"])]
    for kind, sources in table["negatives"].items():
        for source in sources:
            lines += ["", f"[[negatives.{kind}]]", *_pairs(source)]
    return "\n".join([*lines, "", "[mining]", *_pairs(table["mining"])]) + "\n"


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in table.items()]


def _value(value: object) -> str:
    """Texts, flags and lists of texts: TOML writes them as JSON does."""
    return json.dumps(value, ensure_ascii=False)
