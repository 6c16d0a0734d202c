"""Exact cosines: what mining and the audit of banks rest on."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import EncoderError
from curator.methods.kernels.cosines import exact_cosines, on_grid


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=20)
def test_cosines_are_exact_sums_of_the_rounded_entries(unit, seed, dimension):
    left, right = (on_grid(unit(rows)) for rows in np.random.default_rng(seed).normal(size=(2, 2, dimension)))
    found = exact_cosines(left, right)
    for row in range(2):
        for column in range(2):
            exact = sum(Fraction(a) * Fraction(b) for a, b in zip(left[row], right[column], strict=True))
            assert Fraction(found[row, column]) == exact


def test_rounding_of_entries_costs_less_than_a_float32_product_would(unit):
    left, right = (unit(np.random.default_rng(seed).normal(size=(301, 64))) for seed in (1, 2))
    true = left.astype(np.longdouble) @ right.T.astype(np.longdouble)
    error = np.abs(exact_cosines(on_grid(left), on_grid(right)) - true).max()
    assert error < 1e-7
    assert error <= 2 * np.abs(left @ right.T - true).max()


@pytest.mark.parametrize("fault", [np.nan, 3.0, 0.0])
def test_a_vector_that_is_not_of_unit_norm_is_refused_by_its_number(unit, fault):
    vectors = unit(np.random.default_rng(1).normal(size=(20, 64)))
    vectors[11] = fault
    with pytest.raises(EncoderError, match="vector 11 of 20 has norm"):
        on_grid(vectors)
