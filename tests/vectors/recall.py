"""The recall of an index, 0–1, against exact search; and the seeded mixture on which recipes promise theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curator.types import Vectors
from curator.vectors.collections import unit
from curator.vectors.neighbours import Neighbours

_TIE = 1e-6


def recall_at_k(index: Neighbours, exact: Neighbours, queries: Vectors, k: int) -> float:
    """The mean share of the k nearest that `index` finds, 0–1. What ties with the k-th nearest counts as found."""
    _, found = index.nearest(queries, k)
    _, truth = exact.nearest(queries, k)
    if truth.size == 0:
        return 1.0
    return float((found >= truth[:, -1:] - _TIE).mean())


@dataclass(frozen=True, slots=True)
class Mixture:
    """Unit vectors (n, d) of two populations: `known`, and `strange` from elsewhere on the sphere; queries of each."""

    known: Vectors
    strange: Vectors
    known_queries: Vectors
    strange_queries: Vectors


def seeded_mixture(
    *, known: int = 18_000, strange: int = 2_000, queries: int = 200, dimension: int = 64, seed: int = 0
) -> Mixture:
    """The Gaussian mixture of the recall contracts, the same for the same arguments.

    100 known and 20 strange centres lie on the unit sphere; a vector is a centre plus noise of total standard deviation
    0.7, scaled to length one: members of one cluster have cosines around 0.67, as images of one class do under CLIP.
    """
    random = np.random.default_rng(seed)

    def draw(centres: Vectors, count: int) -> Vectors:
        noise = random.standard_normal((count, dimension)) * (0.7 / np.sqrt(dimension))
        return unit((centres[random.integers(len(centres), size=count)] + noise).astype(np.float32))

    known_centres = unit(random.standard_normal((100, dimension)).astype(np.float32))
    strange_centres = unit(random.standard_normal((20, dimension)).astype(np.float32))
    return Mixture(
        known=draw(known_centres, known),
        strange=draw(strange_centres, strange),
        known_queries=draw(known_centres, queries),
        strange_queries=draw(strange_centres, queries),
    )
