"""The pass over the labels of a small bank: exact cosines in float64, all at once. Needs no torch."""

from __future__ import annotations

import numpy as np

from curator.methods.cosines import exact_cosines, on_grid
from curator.methods.statistics import Needs, Statistics, exact_statistics
from curator.types import Vectors

LABELS = 256  # banks of at most so many are passed over so: that takes no time worth saving


class ExactPass:
    """As `kernel.Kernel`, on the CPU. A row's results do not depend on the others: see cosines.py."""

    block_rows = 1024

    def __init__(self, label_vectors: Vectors, id_count: int, needs: Needs) -> None:
        self._labels, self._id_count = on_grid(label_vectors), id_count
        # The neighbours among reference images come from elsewhere.
        self._needs = Needs(needs.id_scales, needs.masses)

    def statistics(self, vectors: Vectors) -> Statistics:
        """vectors: (n, d) float32, unit norm, n at most `block_rows`. Raises EncoderError as the kernel does."""
        cosines = exact_cosines(on_grid(np.asarray(vectors)), self._labels)
        return exact_statistics(cosines[:, : self._id_count], cosines[:, self._id_count :], self._needs)
