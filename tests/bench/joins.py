"""The exact join that finds near-duplicates, beside the exact index over the same vectors."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from curator.config import NearDuplicatesSection
from curator.vectors import LabelCollection, Neighbours, load_recipe
from curator.vectors.faiss_index import FaissIndex
from tests.bench.measures import mixture

COPIES = 20  # one image in so many is nearly one of the others
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class JoinSpeed:
    """Seconds for all queries; pairs: near ones, the same by both ways."""

    join: float
    index: float
    pairs: int


def join_speed(*, queries: int, count: int, dimension: int) -> JoinSpeed:
    """Near neighbours of new images, by both ways in turns."""
    vectors = mixture(count, dimension)
    generator = np.random.default_rng(1)
    copies = np.arange(0, count - COPIES, COPIES)
    vectors[copies + 1] = vectors[copies] + generator.standard_normal((len(copies), dimension)) * 0.05 / dimension**0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    collection, asked = LabelCollection(vectors, "bench"), vectors[:queries]
    settings = NearDuplicatesSection()
    ways = [Neighbours(collection), Neighbours(collection, FaissIndex.build(collection, load_recipe("flat")))]

    def find(neighbours: Neighbours) -> int:
        return int((neighbours.within(asked, settings.neighbours + 1, min_cosine=settings.min_cosine)[0] >= 0).sum())

    found = {find(neighbours) for neighbours in ways}
    assert len(found) == 1, found
    rounds = [[_seconds(lambda way=way: find(way)) for way in ways] for _ in range(ROUNDS)]
    join, index = (statistics.median(column) for column in zip(*rounds, strict=True))
    return JoinSpeed(join, index, found.pop())


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
