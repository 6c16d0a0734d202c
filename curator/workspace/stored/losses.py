"""What rows of the ledger refer to in the folders beside it, and what of it is lost: missing, damaged or another's.

Every byte is read. For `curator doctor --check`, for what is forgotten on demand (repair.py), and before a backup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curator.banks import load_bank
from curator.errors import BankError, CuratorError, GeneratorError, VectorFault
from curator.store import Database
from curator.vectors import verify_shard
from curator.vectors.shards import id_bytes
from curator.workspace.layout import Layout
from curator.workspace.stored.calls import StoredCalls


@dataclass(frozen=True, slots=True)
class Kept:
    """Files or folders of one kind by name, as a path from the workspace's root; and what is wrong with the lost."""

    what: str
    paths: Mapping[str, str]
    lost: Mapping[str, CuratorError]


def kept_vectors(layout: Layout, database: Database, encoder_id: str) -> Kept:
    rows = {row["vector_file"]: row for row in database.rows("list_vector_rows", encoder_id=encoder_id)}
    paths = {name: layout.vectors(encoder_id) / f"{name}.safetensors" for name in rows}
    lost: dict[str, CuratorError] = {}
    for name, path in paths.items():
        try:
            _verify_vectors(path, encoder_id, rows[name])
        except VectorFault as fault:
            lost[name] = fault
    return Kept("vector files", _relative(layout, paths), lost)


def _verify_vectors(path: Path, encoder_id: str, row: Mapping[str, Any]) -> None:
    info = verify_shard(path)
    ids = info.map_ids()
    ends = id_bytes([row["first_image"], row["last_image"]])
    is_known = info.encoder_id == encoder_id and info.count >= row["vectors"]
    if not is_known or not all(np.any(np.all(ids == end, axis=1)) for end in ends):
        raise VectorFault(f"vector file {path} holds other images than the ledger says")


def kept_banks(layout: Layout, database: Database) -> Kept:
    digests = {row["bank_digest"]: row["name"] for row in database.rows("list_banks")}
    paths = {digest: layout.bank_versions(name) / digest for digest, name in digests.items()}
    lost: dict[str, CuratorError] = {}
    for digest, path in paths.items():
        try:
            load_bank(path)
        except BankError as fault:
            lost[digest] = fault
    return Kept("bank versions", _relative(layout, paths), lost)


def kept_artefacts(layout: Layout, database: Database) -> Kept:
    calls = StoredCalls(database, layout.generated)
    paths = {row["artefact"]: layout.generated / row["artefact"] for row in database.rows("list_artefacts")}
    lost: dict[str, CuratorError] = {}
    for name in paths:
        try:
            calls.read_artefact(name)
        except GeneratorError as fault:
            lost[name] = fault
    return Kept("generated files", _relative(layout, paths), lost)


def all_kept(layout: Layout, database: Database) -> Iterator[Kept]:
    for row in database.rows("list_encoders"):
        yield kept_vectors(layout, database, row["encoder_id"])
    yield kept_banks(layout, database)
    yield kept_artefacts(layout, database)


def _relative(layout: Layout, paths: Mapping[str, Path]) -> dict[str, str]:
    return {name: path.relative_to(layout.root).as_posix() for name, path in paths.items()}
