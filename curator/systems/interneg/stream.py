"""A bank that follows the stream by retrieval: for each image that looks OOD the candidate that it shows best.

TINS inverts such an image into a text by gradients through the text encoder. Here the candidates stand in for these
texts, which is TINS without its steps over a wider pool: of all that pass the selection and were not chosen, the one
with the least 1 - v . y + lambda (1 + mean_c y . p_c). The bank is a set of at most K, those that separate most.
No published figure holds for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from curator.methods.grouping import Grouping
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.maths import Scores
from curator.methods.members.interneg import interneg_score
from curator.systems.interneg.selection import Selection
from curator.systems.interneg.settings import InterNegSettings
from curator.types import Vectors


class InterNegStream:
    """id_vectors: (C, d); candidates: (n, d), of which `chosen` are the negatives from the beginning, in their order.

    scale: of the logits.
    """

    def __init__(
        self,
        id_vectors: Vectors,
        candidates: Vectors,
        selection: Selection,
        chosen: NDArray[np.intp],
        settings: InterNegSettings,
        *,
        scale: float,
    ) -> None:
        self.settings, self._scale, self._chosen, self._selection = settings, scale, chosen, selection
        self._ids, self._candidates = on_grid(id_vectors), on_grid(candidates)
        self._pool = np.setdiff1d(np.flatnonzero(selection.passes), chosen)
        self._cost = settings.pull * (1.0 + selection.nearness[self._pool])
        self.retrieved = np.zeros(0, dtype=np.intp)

    def feed(self, vectors: Vectors, images: Sequence[Hashable] | None = None) -> Scores:
        """Retrieve for the images of a batch that score low, then score it: (n,) in [0, 1]."""
        rows = on_grid(vectors)
        scores = self._score(rows)
        low = scores < self.settings.threshold
        if not low.any() or not len(self._pool):
            return scores
        shown = 1.0 - exact_cosines(rows[low], self._candidates[self._pool]) + self._cost
        found = np.union1d(self.retrieved, self._pool[shown.argmin(axis=1)])
        kept = self._selection.ranked(found)[: self.settings.retrieved]
        if np.array_equal(np.sort(kept), np.sort(self.retrieved)):
            return scores
        self.retrieved = kept
        return self._score(rows)

    def _score(self, rows: NDArray[np.float64]) -> Scores:
        negatives = self._candidates[np.concatenate([self._chosen, self.retrieved])]
        count = self.settings.group_count
        return interneg_score(
            exact_cosines(rows, self._ids),
            exact_cosines(rows, negatives),
            scale=self._scale,
            group_count=count,
            permutation=Grouping(count=count).order(len(negatives)),
        )
