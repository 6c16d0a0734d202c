"""Near-duplicates of a night's new images in a lake, measured in a process of its own for the sake of its memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from curator.config import NearDuplicatesSection
from curator.types import Vectors
from curator.vectors import ImageCollection, near_duplicates, near_source, write_shard
from curator.vectors.joining import Everything, NearSource
from tests.bench.measures import mixture

ROWS = 1000  # of a vector file
COPIES = 20  # one image in so many is nearly the one before it
ROUNDS = 3
EXACT = 200_000  # images that are compared with all the others to see that the same pairs are found, at most
ENCODER = "bench@1"


@dataclass(frozen=True, slots=True)
class JoinSpeed:
    """build: seconds for the partition of the lake, once. join: for the new images, with their place in the partition.
    exact: of comparing them with everything, None where that was left out. peak_bytes: resident memory."""

    build: float
    join: float
    exact: float | None
    pairs: int
    peak_bytes: int


def join_speed(folder: Path, images: int, *, new: int, dimension: int) -> JoinSpeed:
    """folder: empty. One that is written here, so that the process that is measured held none of it."""
    vectors = mixture(images + ROUNDS * new, dimension)
    generator = np.random.default_rng(1)
    noise = generator.standard_normal(vectors[1::COPIES].shape, np.float32) * np.float32(0.05 / dimension**0.5)
    vectors[1::COPIES] = vectors[0::COPIES] + noise
    order = generator.permutation(len(vectors))  # the two of a pair may come in different nights
    for start in range(0, len(vectors), ROWS):
        _write(folder, start, vectors[order[start : start + ROWS]])
    command = [sys.executable, "-m", "tests.bench.joins", str(folder), str(images), str(new), str(dimension)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return JoinSpeed(**json.loads(done.stdout))


def measure(folder: Path, images: int, new: int, dimension: int) -> JoinSpeed:
    files, lake, seconds = sorted(path.stem for path in folder.glob("*.safetensors")), images // ROWS, []
    started = time.perf_counter()
    near_source(_collection(folder, files[:lake], dimension), folder / "near", [])
    build = time.perf_counter() - started
    for night in range(ROUNDS):
        fresh = files[lake + night * new // ROWS :][: new // ROWS]
        known = _collection(folder, files[: lake + (night + 1) * new // ROWS], dimension)
        started = time.perf_counter()
        pairs = _pairs(near_source(known, folder / "near", fresh), folder, fresh)
        seconds.append(time.perf_counter() - started)
    peak, exact = peak_bytes(), None
    if images <= EXACT:
        started = time.perf_counter()
        assert _pairs(Everything(known, np.arange(len(known))), folder, fresh) == pairs
        exact = time.perf_counter() - started
    return JoinSpeed(build, statistics.median(seconds), exact, len(pairs), peak)


def peak_bytes(process: int | str = "self") -> int:
    """Of a program, by its process, 0 once it ended. What `getrusage` says includes what its parent held."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def _write(folder: Path, start: int, vectors: Vectors) -> None:
    names = [f"{start + row:032x}" for row in range(len(vectors))]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    write_shard(folder / f"{start:032x}.safetensors", names, vectors, encoder_id=ENCODER)


def _collection(folder: Path, files: list[str], dimension: int) -> ImageCollection:
    return ImageCollection(folder, files, dimension, counts=[ROWS] * len(files))


def _pairs(source: NearSource, folder: Path, fresh: list[str]) -> list[tuple[str, str, float]]:
    section = NearDuplicatesSection()
    asked = ImageCollection(folder, fresh, source.collection.dimension)
    every = np.arange(len(asked))
    ids, vectors = asked.ids_at(every), asked.vectors_at(every)
    return near_duplicates(source, ids, vectors, min_cosine=section.min_cosine, k=section.neighbours)


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1]), *map(int, sys.argv[2:])))))
