"""OODD on a stream: the images with the lowest base scores so far are held, and nearness to them lowers a score.

Yang et al., CVPR 2025, as its scripts for CLIP have it: a batch enters the dictionary first and is scored then, so an
image that is held finds itself, and K = 5 is its fourth other one (`own` exclude: its fifth). Differences: of equal
scores the newest leaves first, where the published heap has no order; fewer than K held images are enough.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from curator.methods.grouping import DEFAULT_GROUP_COUNT, Grouping
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.dictionary import kth_cosines, without_own
from curator.methods.kernels.products import Products
from curator.methods.maths import Scores
from curator.methods.members.mcm import mcm_score
from curator.methods.members.neglabel import neglabel_score
from curator.systems.oodd.settings import OoddSettings
from curator.types import Vectors


class HeldImages:
    """At most `length` images, those with the lowest scores: `rows` (L, d) on the grid and `scores` (L,), ascending."""

    def __init__(self, length: int, width: int) -> None:
        self._length = length
        self.rows, self.scores = np.zeros((0, width)), np.zeros(0)

    def insert(self, rows: NDArray[np.float64], scores: Scores) -> None:
        """rows: (n, d) from `on_grid`, scores: (n,)."""
        scores = np.concatenate([self.scores, scores])
        kept = np.argsort(scores, kind="stable")[: self._length]
        self.rows, self.scores = np.concatenate([self.rows, rows])[kept], scores[kept]


class OoddStream:
    """id_vectors: (C, d), negative_vectors: (M, d), unit norm. scale: of the logits. device: where cosines with labels
    are computed."""

    def __init__(
        self,
        id_vectors: Vectors,
        negative_vectors: Vectors,
        settings: OoddSettings,
        *,
        scale: float,
        device: str = "cpu",
    ) -> None:
        self.settings, self._scale = settings, scale
        self._ids, self._negatives = Products(id_vectors, device), Products(negative_vectors, device)
        self._order = (
            Grouping(count=DEFAULT_GROUP_COUNT).order(len(negative_vectors)) if len(negative_vectors) else None
        )
        self.held = HeldImages(settings.length, id_vectors.shape[1])

    def feed(self, vectors: Vectors, images: Sequence[Hashable] | None = None) -> Scores:
        """Hold what of a batch scores lowest, then score it: (n,) in [-1, 2]."""
        rows = on_grid(vectors)
        return self.against_held(rows, self._base(rows))

    def hold(self, vectors: Vectors) -> None:
        """Hold images (n, d) that are known to look OOD."""
        rows = on_grid(vectors)
        self.held.insert(rows, self._base(rows))

    def against_held(self, rows: NDArray[np.float64], base: Scores) -> Scores:
        """The scores of a batch with these base scores, (n,), which enters first."""
        self.held.insert(rows, base)
        cosines = exact_cosines(rows, self.held.rows)
        if self.settings.own == "exclude":
            without_own(cosines, rows, self.held.rows)
        scores: Scores = base - kth_cosines(cosines, self.settings.k)
        return scores

    def _base(self, rows: NDArray[np.float64]) -> Scores:
        ids = self._ids(rows)
        if self.settings.base == "mcm":
            return mcm_score(ids, scale=1.0)
        return neglabel_score(ids, self._negatives(rows), scale=self._scale, permutation=self._order)
