"""Scoring a million vectors: the kernel against the plain form, side by side."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from curator.methods import BankScorer, resolve_method
from curator.types import Bank, Label

ROWS = 8192  # vectors at a time, as a vector file gives them


@dataclass(frozen=True, slots=True)
class ScoringSpeed:
    """Seconds for all vectors by the kernel; images/s of both forms, measured in turns; peak of the process's resident
    memory, in bytes, after a tenth of the vectors and at the end."""

    seconds: float
    kernel: float
    plain: float
    peak_first: int
    peak_all: int


def unit(generator: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    vectors = generator.standard_normal((count, dimension), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def bank_of(vectors: np.ndarray, id_count: int) -> Bank:
    labels = tuple(
        Label(str(place), "id" if place < id_count else "negative", "bench") for place in range(len(vectors))
    )
    return Bank("bench", "0" * 32, "bench@0", 100.0, labels, vectors, {})


def parts(images: int, dimension: int) -> Iterator[np.ndarray]:
    """Vectors as they come from files, float16 at rest: made as they are needed, a hundredth of them distinct."""
    generator = np.random.default_rng(1)
    pool = unit(generator, max(ROWS, images // 100), dimension).astype(np.float16)
    for start in range(0, images, ROWS):
        rows = generator.integers(0, len(pool), min(ROWS, images - start))
        yield pool[rows].astype(np.float32)


def plain_scores(vectors: torch.Tensor, labels: torch.Tensor, id_count: int, *, block: int) -> torch.Tensor:
    """The plain form: blocks of matrix product, softmax over all labels, sum over the ID labels, float32."""
    blocks = [vectors[start : start + block] for start in range(0, len(vectors), block)]
    return torch.cat([torch.softmax(100 * (part @ labels.T), dim=1)[:, :id_count].sum(dim=1) for part in blocks])


def scoring_speed(
    *, images: int, labels: int = 11_000, id_count: int = 1_000, dimension: int = 512, precision: str = "fast"
) -> ScoringSpeed:
    """All images by the kernel, NegLabel with 100 groups; every tenth part by the plain form too, in its best block."""
    bank = bank_of(unit(np.random.default_rng(0), labels, dimension), id_count)
    scorer = BankScorer(bank, [resolve_method("neglabel", bank)], precision=precision)  # type: ignore[arg-type]
    text = torch.from_numpy(bank.vectors)
    sample = next(parts(ROWS, dimension))
    scorer.score(sample)
    block = min((64, 256, 1024, 4096), key=lambda size: plain_seconds(sample, text, id_count, size))
    spent, plain_time, plain_rows, peak_first = 0.0, 0.0, 0, 0
    for number, vectors in enumerate(parts(images, dimension)):
        started = time.perf_counter()
        scorer.score(vectors)
        spent += time.perf_counter() - started
        if number % 10 == 0:
            plain_time += plain_seconds(vectors, text, id_count, block)
            plain_rows += len(vectors)
        if (number + 1) * ROWS <= images // 10:
            peak_first = peak_memory()
    return ScoringSpeed(spent, images / spent, plain_rows / plain_time, peak_first, peak_memory())


def plain_seconds(vectors: np.ndarray, text: torch.Tensor, id_count: int, block: int) -> float:
    tensor = torch.from_numpy(vectors)
    started = time.perf_counter()
    plain_scores(tensor, text, id_count, block=block)
    return time.perf_counter() - started


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
