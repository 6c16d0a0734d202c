"""Intervals and probabilities of held-out flags against scipy, and against plain counting."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from curator.policy.conformal import alpha_cut
from curator.policy.coverage import binomial_tail, clopper_pearson, coverage, excess

SHARES = st.integers(1, 400).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole)))


@given(SHARES)
def test_the_interval_is_that_of_scipy(share):
    part, whole = share
    expected = stats.binomtest(part, whole).proportion_ci(method="exact")
    assert clopper_pearson(part, whole) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_interval_of_nothing_is_everything_and_large_counts_are_fine():
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    expected = stats.binomtest(5000, 100_000).proportion_ci(method="exact")
    assert clopper_pearson(5000, 100_000) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(SHARES, st.floats(0, 1))
def test_the_binomial_tail_is_that_of_scipy(share, chance):
    part, whole = share
    assert binomial_tail(part, whole, chance) == pytest.approx(stats.binom.sf(part - 1, whole, chance), abs=1e-9)


@given(SHARES, st.integers(1, 200), st.integers(0, 200))
def test_the_excess_is_beta_binomial(share, k, more):
    flagged, held_out = share
    n = k + more
    expected = stats.betabinom(held_out, k, n + 1 - k).sf(flagged - 1)
    assert excess(flagged, held_out, k, n) == pytest.approx(expected, abs=1e-9)


def test_the_excess_counts_orders():
    """Of all orders of 4 references and 2 held-out images, in how many are so many below the second reference?"""
    counts = []
    for order in permutations(range(6)):
        cut = sorted(order[:4])[1]
        counts.append(sum(value < cut for value in order[4:]))
    for flagged in range(3):
        share = sum(count >= flagged for count in counts) / factorial(6)
        assert excess(flagged, 2, 2, 4) == pytest.approx(share, abs=1e-12)
    assert excess(0, 5, 0, 4) == 1.0 and excess(1, 5, 0, 4) == 0.0


def test_chance_seldom_looks_like_a_fault_and_a_fault_does():
    draws = np.random.default_rng(7)
    below = 0
    for _ in range(500):
        cut = alpha_cut(np.sort(draws.normal(size=199)), 0.05)
        below += coverage(int((draws.normal(size=300) < cut).sum()), 300, k=10, n=199).excess < 0.05
    assert below <= 40  # 25 to be expected at most; 40 is three standard errors more
    cut = alpha_cut(np.sort(draws.normal(size=199)), 0.05)
    shifted = coverage(int((draws.normal(-1, 1, size=300) < cut).sum()), 300, k=10, n=199)
    assert shifted.excess < 1e-4 and not shifted.holds(0.05)
