"""`curator bank ants --describer vocabulary` on a lake of many stored vectors: a process of its own, timed and weighed.

The lake is its ledger and its vector files alone, as a scan leaves them: no picture is read by the embedded describer.
Three in ten of its images are OOD. The encoder is `fake` with 512 dimensions, so that what is measured is everything
but a text encoder; the embedded describer encodes some 40 phrases an image.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curator.generators.embedded.nouns import common_nouns
from curator.types import SourceObject, Vectors
from curator.vectors import write_shard
from curator.workspace import Workspace
from curator.workspace.session import writing

ROWS = 8192  # of a vector file
ID_LABELS, OOD_SHARE = 100, 0.3
NOISE = (1.0, 3.0)  # length of the noise on a text's vector of length 1


@dataclass(frozen=True, slots=True)
class LearningCost:
    """Of one command: seconds, those of them on processors, peak resident memory in bytes, what its summary says."""

    images: int
    seconds: float
    processor_seconds: float
    peak_bytes: int
    summary: dict[str, object]


def learning_cost(folder: Path, *, images: int, references: int = 2000, dimension: int = 512) -> LearningCost:
    """folder: does not exist yet. What the bank is worth does not matter here, so it is kept by force."""
    workspace = stored_lake(folder, images=images, references=references, dimension=dimension)
    command = [
        sys.executable,
        "-m",
        "curator",
        "-q",
        "-w",
        str(workspace.layout.root),
        "bank",
        "ants",
        "--json",
        "--force",
    ]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([*command, "--describer", "vocabulary"], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"the command ended with {process.returncode}")
        out.seek(0)
        spent = usage.ru_utime + usage.ru_stime
        return LearningCost(images, seconds, spent, usage.ru_maxrss * 1024, json.loads(out.read()))


def stored_lake(folder: Path, *, images: int, references: int, dimension: int) -> Workspace:
    """A workspace that has scanned so many images, and a reference, by its records."""
    nouns = [word.text for word in common_nouns()]
    labels = nouns[:: len(nouns) // ID_LABELS][:ID_LABELS]
    workspace = Workspace.create(folder, labels=labels, encoder=f"fake:{dimension}")
    workspace.build_bank("base")
    encoder = workspace._context.encoder
    ids, others = encoder.encode_texts(labels), encoder.encode_texts([noun for noun in nouns if noun not in labels])
    generator = np.random.default_rng(0)
    with writing(workspace._context, "bench", {}, needs_vectors=False) as ledger:
        ledger.record_encoder(encoder, f"fake:{dimension}")
        for number, (role, count) in enumerate([*parts("reference", references), *parts("lake", images)]):
            is_ood = (generator.random(count) < OOD_SHARE) & (role == "lake")
            texts = np.where(is_ood[:, None], drawn(generator, others, count), drawn(generator, ids, count))
            noise = generator.standard_normal(texts.shape, dtype=np.float32)
            noise *= generator.uniform(*NOISE, (count, 1)) / np.linalg.norm(noise, axis=1, keepdims=True)
            vectors = texts + noise
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            names = [generator.bytes(16).hex() for _ in range(count)]
            file = f"bench-{number:06d}"
            path = workspace.layout.vectors(encoder.encoder_id) / f"{file}.safetensors"
            write_shard(path, names, vectors.astype(np.float32), encoder_id=encoder.encoder_id)
            tables = records(names, role, file, encoder.encoder_id)
            ledger.database.append(**{name: ledger.columns_table(name, rows) for name, rows in tables.items()})
    return workspace


def parts(role: str, images: int) -> list[tuple[str, int]]:
    """Role and images of each vector file."""
    return [(role, min(ROWS, images - start)) for start in range(0, images, ROWS)]


def drawn(generator: np.random.Generator, texts: Vectors, count: int) -> Vectors:
    found: Vectors = texts[generator.integers(0, len(texts), count)]
    return found


def records(
    names: Sequence[str], role: str, file: str, encoder_id: str, item: SourceObject | None = None
) -> dict[str, dict[str, list[object]]]:
    """What a scan of one Parquet file without labels leaves in the ledger. item: the file, where there is one."""
    count = len(names)
    item = item or SourceObject(f"/bench/{role}/{file}.parquet", "", "parquet", count, "1")
    uri, same = item.uri, {"object_uri": item.uri, "role": role}
    return {
        "source_object": {
            **{key: [value] for key, value in same.items()},
            "kind": ["parquet"], "byte_size": [item.byte_size], "version": [item.version], "encoder_id": [encoder_id],
            "data_count": [count],
        },
        "location": {
            **{key: [value] * count for key, value in same.items()},
            "uri": [f"{uri}#{row}" for row in range(count)], "object_version": [item.version] * count,
            "member": [str(row) for row in range(count)], "byte_size": [1] * count, "image_id": list(names),
            "shard_id": [file] * count,
        },
        "image": {
            "image_id": list(names), "byte_size": [1] * count, "width": [64] * count, "height": [64] * count,
            "format": ["JPEG"] * count, "mode": ["RGB"] * count, "animated": [False] * count,
        },
        "vector": {
            "image_id": list(names), "encoder_id": [encoder_id] * count, "vector_file": [file] * count,
            "row_index": list(range(count)),
        },
    }  # fmt: skip
