"""Arrow tables and rows in the form that statements take them: read there as `incoming_<name>`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.types import Reject, SourceObject

Row: TypeAlias = dict[str, Any]  # SQL says of what type each value is
Values: TypeAlias = Sequence[object] | NDArray[np.generic]  # of a column
Columns: TypeAlias = dict[str, Values]


def object_table(objects: Sequence[SourceObject], role: str) -> pa.Table:
    """Source objects as an incoming table, with their position in the sequence."""
    return pa.table(
        {
            "position": pa.array(range(len(objects)), pa.int64()),
            "object_uri": pa.array([item.uri for item in objects], pa.string()),
            "role": pa.array([role] * len(objects), pa.string()),
            "kind": pa.array([item.kind for item in objects], pa.string()),
            "byte_size": pa.array([item.byte_size for item in objects], pa.int64()),
            "version": pa.array([item.version for item in objects], pa.string()),
        }
    )


def uri_table(uris: Iterable[str]) -> pa.Table:
    """The addresses of objects as an incoming table, each once."""
    return pa.table({"object_uri": pa.array(dict.fromkeys(uris), pa.string())})


def reject_row(reject: Reject, *, role: str, version: str | None, image_id: str | None = None) -> Row:
    """A reject as a row of the ledger."""
    return {
        "uri": reject.uri,
        "role": role,
        "object_uri": reject.object_uri,
        "object_version": version,
        "member": reject.member,
        "stage": reject.stage,
        "reason": reject.reason,
        "detail": reject.detail,
        "image_id": image_id,
    }


def score_table(
    image_ids: Sequence[str],
    columns: Mapping[str, NDArray[np.generic]],
    *,
    encoder_id: str,
    bank_digest: str,
    method_id: str,
    run_id: str,
) -> pa.Table:
    """Scores of images as an incoming table. `columns` holds id_score … negative_cosine, one value an image."""
    count = len(image_ids)

    def repeated(value: str) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([value]))

    return pa.table(
        {
            "image_id": pa.array(image_ids, pa.string()),
            "encoder_id": repeated(encoder_id),
            "bank_digest": repeated(bank_digest),
            "method_id": repeated(method_id),
            "id_score": pa.array(columns["id_score"], pa.float64()),
            "log_odds": pa.array(columns["log_odds"], pa.float64()),
            "id_label": pa.array(columns["id_label"], pa.int32()),
            "id_cosine": pa.array(columns["id_cosine"], pa.float32()),
            "negative_label": pa.array(columns["negative_label"], pa.int32()),
            "negative_cosine": pa.array(columns["negative_cosine"], pa.float32()),
            "run_id": repeated(run_id),
        }
    )
