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
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict
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
from curator.errors import BankError
from curator.types import Bank, Label, Vectors

FORMAT = 1
PARAMETERS = "parameters.safetensors"
REBUILD = "restore the folder from a copy, or delete it and build the bank again"
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
    """Writes `folder/<digest>/` and returns it. A bank that is there already stays as it is.

    Raises BankError when the folder exists with a different content.
    """
    target = folder / bank.digest
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".building-{secrets.token_hex(8)}"
        temporary.mkdir()
        try:
            write_files(bank, temporary)
            temporary.rename(target)
            sync(folder)
            return target
        except OSError as error:
            if not target.exists():  # else another process was first
                raise BankError(f"cannot write bank {target}: {error.strerror}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    require_same(load_bank(target), bank, target)
    return target


def load_bank(folder: Path) -> Bank:
    """Reads one `<digest>` folder. Raises BankError when it is missing, incomplete or no longer what was built."""
    facts = read_facts(folder)
    vectors = read_vectors(checked_bytes(folder / "vectors.safetensors", facts))
    labels = read_label_rows(checked_bytes(folder / "labels.parquet", facts))
    parameters = read_parameters(checked_bytes(folder / PARAMETERS, facts)) if PARAMETERS in facts["sha256"] else {}
    digest = bank_digest(labels, encoder_id=facts["encoder_id"], spec=facts["spec"], parameters=parameters)
    if digest != facts["digest"] or len(vectors) != len(labels):
        raise BankError(f"bank {folder} does not match its digest {facts['digest']}", hint=REBUILD)
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
    pq.write_table(pa.Table.from_pylist([asdict(label) for label in bank.labels], LABEL_SCHEMA), sink)
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
        raise BankError(f"there is no bank in {folder}: {error.strerror}", hint="build it from its spec") from error
    except ValueError as error:
        raise BankError(f"{folder / 'bank.json'} is not JSON: {error}", hint=REBUILD) from error
    stated = facts.pop("checksum", None) if isinstance(facts, dict) else None
    if stated is None or stated != checksum(facts):
        raise BankError(f"{folder / 'bank.json'} was changed after it was written", hint=REBUILD)
    if facts["format"] != FORMAT:
        raise BankError(f"bank {folder} has format {facts['format']}, this version reads {FORMAT}")
    return dict(facts)


def checked_bytes(path: Path, facts: Mapping[str, Any]) -> bytes:
    """A file of the bank, if it is the one that was written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BankError(f"bank file {path} cannot be read: {error.strerror}", hint=REBUILD) from error
    if hashlib.sha256(data).hexdigest() != facts["sha256"][path.name]:
        raise BankError(f"bank file {path} was changed after it was written", hint=REBUILD)
    return data


def read_vectors(data: bytes) -> Vectors:
    try:
        vectors: Vectors = load(data)["vectors"]
    except (SafetensorError, KeyError) as error:
        raise BankError(f"the bank's vectors cannot be read: {error}", hint=REBUILD) from error
    return vectors


def read_parameters(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        return dict(sorted(load(data).items()))
    except SafetensorError as error:
        raise BankError(f"the bank's parameters cannot be read: {error}", hint=REBUILD) from error


def read_label_rows(data: bytes) -> tuple[Label, ...]:
    try:
        rows = pq.read_table(pa.BufferReader(data)).to_pylist()
        return tuple(Label(**row) for row in rows)
    except (pa.ArrowException, TypeError) as error:
        raise BankError(f"the bank's labels cannot be read: {error}", hint=REBUILD) from error


def require_same(stored: Bank, bank: Bank, folder: Path) -> None:
    """Raises BankError unless the stored bank has these vectors, up to rounding; its labels are in the digest."""
    same_shape = stored.vectors.shape == bank.vectors.shape
    if not same_shape or not np.allclose(stored.vectors, bank.vectors, rtol=0.0, atol=VECTOR_TOLERANCE):
        raise BankError(f"bank {folder} exists with other vectors", hint="a bank is immutable: change its name or spec")


def checksum(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
