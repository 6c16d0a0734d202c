"""The digest that names a bank version: what it means, not where or when it was built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.banks.sources import SOURCES
from curator.types import Label

ID_GIVEN_BY = ("labels", "bank")


def bank_digest(
    labels: Sequence[Label],
    *,
    encoder_id: str,
    spec: Mapping[str, Any],
    parameters: Mapping[str, NDArray[np.generic]] | None = None,
) -> str:
    """32 hexadecimal digits of a SHA-256 over labels in order with roles and prompts, encoder, spec and parameters.

    The parts of the spec that only say where labels are read from (a file, a list, another bank) are left out: the
    labels themselves are in. Vectors are not covered, since their last bits differ between machines; storage keeps
    their own checksum. Parameters are, to the bit: they were learnt, and cannot be made again from the rest.
    """
    settings = dict(spec)
    settings["id"] = without(spec.get("id", {}), ID_GIVEN_BY)
    if "negatives" in spec:
        settings["negatives"] = {kind: meaning(kind, table) for kind, table in spec["negatives"].items()}
    content: dict[str, object] = {
        "encoder_id": encoder_id,
        "labels": [[label.role, label.text, label.part_of_speech, label.prompt] for label in labels],
        "spec": settings,
    }
    if parameters:  # banks without any keep the digests they had before there were some
        content["parameters"] = {name: array_facts(values) for name, values in parameters.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]


def array_facts(values: NDArray[np.generic]) -> list[object]:
    """Type, shape and checksum of an array, the same on machines of either byte order."""
    little = np.asarray(values, dtype=values.dtype.newbyteorder("<"), order="C")
    return [values.dtype.name, list(values.shape), hashlib.sha256(little.tobytes()).hexdigest()]


def meaning(kind: str, table: Any) -> Any:
    """What one source, or several of a kind, contribute to the digest. A kind from another version is taken whole."""
    given_by = SOURCES[kind].given_by if kind in SOURCES else ()
    if isinstance(table, list):
        return [without(item, given_by) for item in table]
    return without(table, given_by)


def without(table: Mapping[str, object], keys: Sequence[str]) -> dict[str, object]:
    return {key: value for key, value in table.items() if key not in keys}
