"""Bank versions on disk: one immutable folder each, named by the digest, readable without this program.

    <digest>/labels.parquet         one row per label in order; DuckDB reads it as it is
    <digest>/vectors.safetensors    `vectors`, float32 (labels, d)
    <digest>/parameters.safetensors what methods need beside the labels, by name; absent where there is nothing
    <digest>/bank.json              name, digest, encoder, spec, lineage, checksums; written last

The folder is put together under a temporary name and renamed, so a bank is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from curator.banks.digest import bank_digest
from curator.durable import sync, write_durably
from curator.errors import BankDamaged, BankError
from curator.types import Bank, Label, Vectors

FORMAT = 1
PARAMETERS = "parameters.safetensors"
LABEL_SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("role", pa.string()),
        ("source", pa.string()),
        ("part_of_speech", pa.string()),
        ("prompt", pa.string()),
        ("statistic", pa.float64()),
        ("nearest_id", pa.string()),
        ("nearest_id_cosine", pa.float64()),
    ]
)
# The same texts encoded on another machine or in another batch differ by rounding; more than this is another content.
VECTOR_TOLERANCE = 1e-3


def save_bank(bank: Bank, folder: Path) -> Path:
    """Writes `folder/<digest>/` and returns it. A bank that is there already stays as it is; files that are damaged
    are written again.

    Raises BankError when the folder exists with a different content.
    """
    target = folder / bank.digest
    damaged = is_damaged(target)
    if damaged or not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary, former = (folder / f".building-{secrets.token_hex(8)}" for _ in range(2))
        temporary.mkdir()
        try:
            write_files(bank, temporary)
            if damaged:
                target.rename(former)
            temporary.rename(target)
            sync(folder)
            return target
        except OSError as error:
            if not target.exists():  # else another process was first
                raise BankError(f"cannot write bank {target}: {error.strerror}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            _discard(former)
    require_same(load_bank(target), bank, target)
    return target


def is_damaged(folder: Path) -> bool:
    """Whether something is in the place of a bank version that is not what was built there."""
    if not os.path.lexists(folder):
        return False
    try:
        load_bank(folder)
    except BankDamaged:
        return True
    return False


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def rebuild(folder: Path) -> str:
    """What to do about a damaged version."""
    return (
        f"run `curator bank build {folder.parent.name}`: it makes the same version again while its spec and labels are "
        "what they were; or restore a backup"
    )


def load_bank(folder: Path) -> Bank:
    """Reads one `<digest>` folder. Raises BankError when it is missing, incomplete or no longer what was built."""
    facts = read_facts(folder)
    vectors: Vectors = read_tensors(folder / "vectors.safetensors", facts)["vectors"]
    labels = read_label_rows(checked_bytes(folder / "labels.parquet", facts))
    parameters = read_tensors(folder / PARAMETERS, facts) if PARAMETERS in facts["sha256"] else {}
    digest = bank_digest(labels, encoder_id=facts["encoder_id"], spec=facts["spec"], parameters=parameters)
    if digest != facts["digest"] or len(vectors) != len(labels):
        raise BankDamaged(f"bank {folder} does not match its digest {facts['digest']}", hint=rebuild(folder))
    if digest != folder.name:
        raise BankDamaged(f"bank {folder} holds another version, {digest}", hint=rebuild(folder))
    return Bank(
        name=facts["name"],
        digest=digest,
        encoder_id=facts["encoder_id"],
        logit_scale=facts["logit_scale"],
        labels=labels,
        vectors=vectors,
        spec=facts["spec"],
        lineage=facts["lineage"],
        parameters=parameters,
    )


def write_files(bank: Bank, folder: Path) -> None:
    """The three or four files, bank.json last."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(bank.label_columns(), LABEL_SCHEMA), sink)
    files = {
        "labels.parquet": sink.getvalue().to_pybytes(),
        "vectors.safetensors": save({"vectors": np.ascontiguousarray(bank.vectors, dtype=np.float32)}),
    }
    if bank.parameters:
        contiguous = {name: np.asarray(values, order="C") for name, values in sorted(bank.parameters.items())}
        files[PARAMETERS] = save(contiguous)
    for name, data in files.items():
        write_durably(folder / name, data)
    facts = {
        "format": FORMAT,
        "name": bank.name,
        "digest": bank.digest,
        "encoder_id": bank.encoder_id,
        "logit_scale": bank.logit_scale,
        "id_labels": bank.id_count,
        "negatives": len(bank.labels) - bank.id_count,
        "spec": dict(bank.spec),
        "lineage": dict(bank.lineage),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    text = json.dumps({**facts, "checksum": checksum(facts)}, indent=2, ensure_ascii=False, allow_nan=False)
    write_durably(folder / "bank.json", text.encode())


def read_facts(folder: Path) -> dict[str, Any]:
    """bank.json, checked against its own checksum."""
    try:
        facts = json.loads((folder / "bank.json").read_bytes())
    except OSError as error:
        raise BankDamaged(f"there is no bank in {folder}: {error.strerror}", hint=rebuild(folder)) from error
    except ValueError as error:
        raise BankDamaged(f"{folder / 'bank.json'} is not JSON: {error}", hint=rebuild(folder)) from error
    stated = facts.pop("checksum", None) if isinstance(facts, dict) else None
    if stated is None or stated != checksum(facts):
        raise BankDamaged(f"{folder / 'bank.json'} was changed after it was written", hint=rebuild(folder))
    if facts["format"] != FORMAT:
        hint = "it was written by a newer curator: upgrade, or restore a backup by `curator restore BACKUP FOLDER`"
        raise BankError(f"bank {folder} has format {facts['format']}, this version reads {FORMAT}", hint=hint)
    return dict(facts)


def checked_bytes(path: Path, facts: Mapping[str, Any]) -> bytes:
    """A file of the bank, if it is the one that was written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BankDamaged(f"bank file {path} cannot be read: {error.strerror}", hint=rebuild(path.parent)) from error
    if hashlib.sha256(data).hexdigest() != facts["sha256"][path.name]:
        raise BankDamaged(f"bank file {path} was changed after it was written", hint=rebuild(path.parent))
    return data


def read_tensors(path: Path, facts: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of a file, by name."""
    try:
        return dict(sorted(load(checked_bytes(path, facts)).items()))
    except SafetensorError as error:
        raise BankDamaged(f"the bank's {path.stem} cannot be read: {error}") from error


def read_label_rows(data: bytes) -> tuple[Label, ...]:
    try:
        rows = pq.read_table(pa.BufferReader(data)).to_pylist()
        return tuple(Label(**row) for row in rows)
    except (pa.ArrowException, TypeError) as error:
        raise BankDamaged(f"the bank's labels cannot be read: {error}") from error


def require_same(stored: Bank, bank: Bank, folder: Path) -> None:
    """Raises BankError unless the stored bank has these vectors, up to rounding; its labels are in the digest."""
    same_shape = stored.vectors.shape == bank.vectors.shape
    if not same_shape or not np.allclose(stored.vectors, bank.vectors, rtol=0.0, atol=VECTOR_TOLERANCE):
        raise BankError(f"bank {folder} exists with other vectors", hint="a bank is immutable: change its name or spec")


def checksum(facts: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
