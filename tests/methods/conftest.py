"""Banks of drawn unit vectors, by functions, so that hypothesis may call them too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from curator.types import Bank, Label, Vectors


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Products this small gain nothing from more, and wait long for each other where cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def way() -> Iterator[None]:
    """By the kernel, however few the labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curator.methods.kernels.exact_pass.LABELS", 0)
        yield


@pytest.fixture(scope="session")
def clip_like(unit: Callable[[Any], Vectors]) -> Callable[..., Vectors]:
    """Unit vectors of which four dimensions are ten times larger than the others and alike in all."""

    def draw(rows: int, dimension: int, seed: int) -> Vectors:
        drawn = np.random.default_rng(seed).normal(size=(rows, dimension))
        drawn[:, :4] += np.array([12.0, -9.0, 7.0, 5.0])
        return unit(drawn)

    return draw


@pytest.fixture(scope="session")
def make_bank(unit: Callable[[Any], Vectors]) -> Callable[..., Bank]:
    """A bank of random directions, or of the given vectors."""

    def make(
        ids: int,
        negatives: int,
        dimension: int = 64,
        *,
        scale: float = 30.0,
        vectors: Vectors | None = None,
        miner: str = "csp",
    ) -> Bank:
        count = ids + negatives
        labels = tuple(Label(f"label {n}", "id" if n < ids else "negative", "test") for n in range(count))
        drawn = np.random.default_rng(ids).normal(size=(count, dimension)) if vectors is None else vectors
        return Bank("b", "0" * 32, "test@1", scale, labels, unit(drawn), {"mining": {"method": miner}})

    return make
