"""SynOOD's projection of image vectors, exact enough that a row is the same to the bit in any batch.

    f_hat = norm(f + ReLU(LayerNorm(W f + b)))

The only sums across a matrix product are those of W f. They are exact: f lies on the 2^-25 grid and W on a 2^-24 grid,
so products are multiples of 2^-49, and with rows of W of norm below 8 every partial sum is below 8 as well and fits 53
bits. For a larger W the grid is coarser by the same power of two. Everything after that goes along one row, by
operations that IEEE 754 rounds in one way; the result is rounded to the 2^-25 grid again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.cosines import on_grid
from curator.methods.layers import parameter
from curator.types import Bank

EPSILON = 1e-5  # of LayerNorm, PyTorch's default
GRID = 2.0**24
LARGEST_ROW = 8.0
WEIGHT, BIAS, GAIN, SHIFT = "projection.weight", "projection.bias", "projection.gain", "projection.shift"
NAMES = (WEIGHT, BIAS, GAIN, SHIFT)


def projected(
    vectors: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], gain: NDArray[Any], shift: NDArray[Any]
) -> NDArray[np.float64]:
    """norm(f + ReLU(LayerNorm(W f + b))), (n, d) float64. vectors: (n, d) of any norm, weight: (d, d), others (d,)."""
    rows = np.asarray(vectors, dtype=np.float64)
    hidden = rows @ np.asarray(weight, dtype=np.float64).T + bias
    centred = hidden - hidden.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=1, keepdims=True) + EPSILON)
    moved = rows + np.maximum(centred / spread * gain + shift, 0.0)
    unit: NDArray[np.float64] = moved / np.sqrt((moved * moved).sum(axis=1, keepdims=True))
    return unit


def on_weight_grid(weight: NDArray[Any]) -> NDArray[np.float64]:
    """The matrix with entries rounded to multiples of 2^-24, or of 2^(k-24) where its longest row has norm 8 * 2^k."""
    entries = weight.astype(np.float64)
    longest = float(np.sqrt(np.einsum("nd,nd->n", entries, entries)).max(initial=0.0)) + 1e-3  # what rounding may add
    step = 2.0 ** max(0, math.ceil(math.log2(longest / LARGEST_ROW))) / GRID
    return np.asarray(np.rint(entries / step) * step, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Projection:
    """A bank's projection, ready. Called with (n, d) unit vectors it gives (n, d) float64, on the 2^-25 grid."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    gain: NDArray[np.float64]
    shift: NDArray[np.float64]

    @classmethod
    def of(cls, bank: Bank) -> Projection:
        """Raises BankError where a parameter is missing or of another shape."""
        width = bank.vectors.shape[1]
        rest = [parameter(bank, name, (width,)).astype(np.float64) for name in NAMES[1:]]
        return cls(on_weight_grid(parameter(bank, WEIGHT, (width, width))), *rest)

    def __call__(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Raises EncoderError for a vector that is not of unit norm."""
        return on_grid(projected(on_grid(vectors), self.weight, self.bias, self.gain, self.shift))
