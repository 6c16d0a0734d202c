"""Unit vectors, by functions, so that hypothesis may call them too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from curator.types import Vectors


@pytest.fixture(scope="session")
def unit() -> Callable[[Any], Vectors]:
    """Rows divided by their norms, float32."""

    def divide(rows: Any) -> Vectors:
        vectors: NDArray[np.float64] = np.asarray(rows, dtype=np.float64)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return divide


@pytest.fixture(scope="session")
def drawn(unit: Callable[[Any], Vectors]) -> Callable[..., Vectors]:
    """Random directions, around a few middles where `spread` is small."""

    def draw(rows: int, dimension: int = 8, *, seed: int = 0, spread: float = 0.0) -> Vectors:
        generator = np.random.default_rng(seed)
        noise = generator.normal(size=(rows, dimension))
        if not spread:
            return unit(noise)
        middles = np.random.default_rng(99).normal(size=(4, dimension))
        return unit(middles[generator.integers(0, 4, rows)] + spread * noise)

    return draw
