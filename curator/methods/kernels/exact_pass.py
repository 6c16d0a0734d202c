"""The exact pass, for layers of up to 256 labels: cosines in float64, all at once. Needs no torch.

Also what a layer's cosines are, whatever its size: the kernel is held against them, and explanations are made of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.memory import SampleProxies
from curator.methods.kernels.projection import Projection
from curator.methods.layers import Layer, layer_vectors, negatives_from
from curator.methods.spec import Method, needs_of
from curator.methods.statistics import Needs, Statistics, exact_statistics, gathered, stacked
from curator.types import Bank, Vectors

LABELS = 256  # layers up to this size are scored exactly: that takes no time worth saving


class Sides(NamedTuple):
    """Cosines of n images with the labels of a layer: `ids` (n, C) and `negatives` (n, M'), which of the bank's
    negatives the columns are: `places` (M',)."""

    ids: NDArray[np.float64]
    negatives: NDArray[np.float64]
    places: NDArray[np.intp]

    def of(self, row: int) -> Sides:
        """Those of one image."""
        return Sides(self.ids[row : row + 1], self.negatives[row : row + 1], self.places)


class LayerCosines:
    """The labels of a layer made ready once. A row's cosines do not depend on the others: see cosines.py.

    Raises BankError for a bank whose parameters do not fit the layer.
    """

    def __init__(self, bank: Bank, layer: Layer) -> None:
        self.id_count, self.places = bank.id_count, negatives_from(bank, layer.negatives)
        self._labels = on_grid(layer_vectors(bank, layer))
        self._project = Projection.of(bank) if layer.projection else on_grid
        self._memory = None if layer.memory is None else (SampleProxies.of(bank), layer.memory)

    def __call__(self, vectors: Vectors) -> Sides:
        """vectors: (n, d), unit norm. Raises EncoderError for one that is not."""
        rows = self._project(np.asarray(vectors))
        cosines = exact_cosines(rows, self._labels)
        if self._memory is not None:
            proxies, beta = self._memory
            cosines = proxies.cosines(rows, cosines, beta)
        return Sides(cosines[:, : self.id_count], cosines[:, self.id_count :], self.places)


class ExactPass:
    """As `float_pass.Kernel`, on the CPU."""

    block_rows = 1024
    side_by_side = False

    def __init__(self, bank: Bank, layer: Layer, needs: Needs) -> None:
        self._cosines = LayerCosines(bank, layer)
        # The neighbours among reference images come from elsewhere.
        self._needs = Needs(needs.id_scales, needs.masses)

    def statistics(self, vectors: Vectors) -> Statistics:
        """vectors: (n, d) float32, unit norm. Raises EncoderError as the kernel does."""
        starts = range(0, max(len(vectors), 1), self.block_rows)
        return stacked([self._block(vectors[start : start + self.block_rows]) for start in starts])

    def _block(self, vectors: Vectors) -> Statistics:
        sides = self._cosines(vectors)
        return exact_statistics(sides.ids, sides.negatives, self._needs)


def even_statistics(bank: Bank, method: Method) -> Statistics:
    """The statistics of one image that has cosine 0 with every label, in every layer."""

    def even(layer: Layer, needs: Needs) -> Statistics:
        negatives = np.zeros((1, len(negatives_from(bank, layer.negatives))))
        return exact_statistics(np.zeros((1, bank.id_count)), negatives, Needs(needs.id_scales, needs.masses))

    return gathered({layer: even(layer, needs) for layer, needs in needs_of([method]).items()})
