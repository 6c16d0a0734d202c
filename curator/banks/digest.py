"""The digest that names a bank version: what it means, not where or when it was built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from curator.types import Label


def bank_digest(labels: Sequence[Label], *, encoder_id: str, spec: Mapping[str, Any]) -> str:
    """32 hexadecimal digits of a SHA-256 over labels in order with roles and prompts, encoder and spec.

    The spec's list or file of ID labels is left out: the labels themselves are in. Vectors are not covered, since
    their last bits differ between machines; storage keeps their own checksum.
    """
    settings = {key: value for key, value in spec.items() if key != "id"}
    settings["id"] = {key: value for key, value in spec.get("id", {}).items() if key != "labels"}
    content = {
        "encoder_id": encoder_id,
        "labels": [[label.role, label.text, label.part_of_speech, label.prompt] for label in labels],
        "spec": settings,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]
