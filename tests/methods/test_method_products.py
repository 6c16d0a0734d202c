"""Cosines of streams: exact with few labels, float32 with many, the same either way to seven digits."""

from __future__ import annotations

import numpy as np
import pytest

from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.exact_pass import LABELS
from curator.methods.kernels.products import Products


@pytest.mark.parametrize("labels", [0, 1, LABELS, LABELS + 1, 1000])
def test_products_are_cosines(unit, labels):
    draws = np.random.default_rng(labels)
    rows, columns = unit(draws.normal(size=(20, 64))), unit(draws.normal(size=(labels, 64))).reshape(labels, 64)
    products = Products(columns, "cpu")
    found = products(rows)
    assert found.shape == (20, labels) and found.dtype == np.float64 and len(products) == labels
    np.testing.assert_allclose(found, exact_cosines(on_grid(rows), on_grid(columns)), rtol=0, atol=3e-7)
    if labels <= LABELS:
        np.testing.assert_array_equal(found, exact_cosines(on_grid(rows), on_grid(columns)))
