"""Messages between a scan and its reading process: shards one way, chunks the other, as JSON; bytes in parcels.

The reading process is trusted with names and hashes. It takes in what strangers wrote, though (headers of tars, pages
of Parquet), so it is believed no more than it must be: a chunk has the form that one must have.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any

from curator import errors
from curator.engines.chunks import ReadChunk
from curator.engines.parcels import Parcel
from curator.errors import CuratorError
from curator.lake import ColumnNames, PassedOver, ReadOptions
from curator.types import Reject, Shard, SourceObject

ID_DIGITS = 32
_DIGITS = re.compile(r"[0-9a-f]*")


def options_content(options: ReadOptions) -> dict[str, Any]:
    return asdict(options)


def options_of(content: Mapping[str, Any]) -> ReadOptions:
    columns = tuple(ColumnNames(**names) for names in content["columns"])
    return ReadOptions(content["read_threads"], content["max_object_bytes"], columns)


def shard_content(shard: Shard, *, after: int) -> dict[str, Any]:
    """after: so many of its data are known."""
    objects = [(item.uri, item.path, item.kind, item.byte_size, item.version) for item in shard.objects]
    return {"id": shard.shard_id, "kind": shard.kind, "objects": objects, "row_group": shard.row_group, "after": after}


def shard_of(content: Mapping[str, Any]) -> tuple[Shard, int]:
    objects = tuple(SourceObject(*item) for item in content["objects"])
    return Shard(content["id"], content["kind"], objects, content["row_group"]), content["after"]


def chunk_content(chunk: ReadChunk) -> dict[str, Any]:
    """All but the bytes; columns that say nothing are left out."""
    content: dict[str, Any] = {
        "begin": chunk.begin,
        "ids": "".join(chunk.image_ids),
        "sizes": chunk.parcel.sizes,
        "rejects": [(place, astuple(reject)) for place, reject in chunk.rejects.items()],
        "last": chunk.last,
        "passed": chunk.passed,
    }
    columns: dict[str, Sequence[str | int | None]] = {
        "members": chunk.members,
        "offsets": chunk.byte_offsets,
        "labels": chunk.source_labels,
    }
    return content | {name: column for name, column in columns.items() if any(item is not None for item in column)}


def chunk_of(content: Mapping[str, Any], descriptor: int) -> ReadChunk:
    """descriptor: of its parcel, which is taken. Raises ValueError, TypeError or LookupError for what is no chunk."""
    parcel = Parcel(descriptor, content["sizes"])
    digits, count = content["ids"], len(parcel.sizes)
    if not _DIGITS.fullmatch(digits) or len(digits) != ID_DIGITS * count:
        raise ValueError("its ids are none")
    if min(parcel.sizes, default=0) < 0 or sum(parcel.sizes) != os.fstat(descriptor).st_size:
        raise ValueError("its bytes are not of the sizes that it says")

    def column(name: str) -> Sequence[Any]:
        return content.get(name) or [None] * count

    return ReadChunk(
        content["begin"],
        [digits[start : start + ID_DIGITS] for start in range(0, len(digits), ID_DIGITS)],
        [*column("members")],
        [*column("offsets")],
        [*column("labels")],
        {place: Reject(*values) for place, values in content["rejects"]},
        parcel,
        content["last"],
        PassedOver(content["passed"]),
    )


def fault_content(fault: CuratorError) -> dict[str, Any]:
    return {"fault": type(fault).__name__, "message": fault.message, "hint": fault.hint}


def fault_of(content: Mapping[str, Any]) -> CuratorError:
    """The same error of the same kind."""
    kind = getattr(errors, content["fault"], CuratorError)
    fault = kind.__new__(kind)
    CuratorError.__init__(fault, content["message"], hint=content["hint"])
    assert isinstance(fault, CuratorError)
    return fault
