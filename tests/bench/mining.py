"""Mining against its straightforward form: the full matrix of float32 cosines, torch.quantile, argsort."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from curator.banks.mining import mine_neglabel
from curator.banks.spec import MiningSpec
from curator.types import Vectors

QUANTILE_CELLS = 1 << 24  # torch.quantile takes no more
ADJECTIVES = 0.19  # share of the published candidates
Shape = Literal["texts", "random"]


@dataclass(frozen=True)
class MiningSpeed:
    """Medians of the rounds, in seconds of the clock and of all cores; memory is what was added at the peak (MiB).
    `same`: candidates that both forms chose, of those that mining chose; others differ by the rounding of float32."""

    seconds: float
    plain_seconds: float
    cpu_seconds: float
    plain_cpu_seconds: float
    memory: float
    plain_memory: float
    same: float


def mining_speed(
    shape: Shape = "texts", *, candidates: int = 70_000, id_labels: int = 1000, dimension: int = 512, rounds: int = 3
) -> MiningSpeed:
    """NegLabel's rule, both forms by turns. shape: see `draw`."""
    vectors = draw(shape, candidates + id_labels, dimension)
    vectors, id_vectors = vectors[:candidates], vectors[candidates:]
    parts = np.where(np.random.default_rng(1).random(candidates) < ADJECTIVES, "adjective", "noun")
    items = [SimpleNamespace(part_of_speech=str(part)) for part in parts]
    forms: list[Callable[[], NDArray[np.intp]]] = [
        lambda: mine_neglabel(items, vectors, id_vectors, MiningSpec()).chosen,
        lambda: plain(vectors, id_vectors, parts),
    ]
    chosen = [set(form().tolist()) for form in forms]
    found = [[measured(form) for form in forms] for _ in range(rounds)]
    (seconds, cpu, memory), (plain_seconds, plain_cpu, plain_memory) = (
        tuple(statistics.median(row[number][figure] for row in found) for figure in range(3)) for number in range(2)
    )
    same = len(chosen[0] & chosen[1]) / len(chosen[0])
    return MiningSpeed(seconds, plain_seconds, cpu, plain_cpu, memory, plain_memory, same)


def draw(shape: Shape, count: int, dimension: int) -> Vectors:
    """Unit vectors (count, dimension). random: of no shape, where nothing can be told from less than the full product.

    texts: a model of text embeddings of CLIP, which lie in a narrow cone (cosines of about 0.7 on average) with
    directions of unequal weight. It is not measured from any model.
    """
    generator = np.random.default_rng(0)
    drawn = generator.standard_normal((count, dimension), dtype=np.float32)
    if shape == "texts":
        drawn *= np.arange(1, dimension + 1, dtype=np.float32) ** -0.4
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        cone = generator.standard_normal(dimension, dtype=np.float32)
        drawn = np.sqrt(0.3) * drawn + np.sqrt(0.7) * cone / np.linalg.norm(cone)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def plain(vectors: Vectors, id_vectors: Vectors, parts: NDArray[np.str_]) -> NDArray[np.intp]:
    cosines = torch.from_numpy(vectors) @ torch.from_numpy(id_vectors).T
    rows = QUANTILE_CELLS // len(id_vectors)
    quantiles = torch.cat([torch.quantile(block, 0.95, dim=1) for block in cosines.split(rows)])
    lowest = []
    for part in ("noun", "adjective"):
        of_part = torch.from_numpy(np.flatnonzero(parts == part))
        lowest.append(of_part[torch.argsort(quantiles[of_part])[: len(of_part) * 15 // 100]])
    chosen: NDArray[np.intp] = torch.cat(lowest).numpy()
    return chosen


def measured(form: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds of the clock, seconds of all cores, MiB added at the peak."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, wall, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    form()
    return time.perf_counter() - wall, time.process_time() - cpu, memory("VmHWM") - before


def memory(which: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which + ":"))
