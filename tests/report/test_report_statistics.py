"""The figures of a night against SciPy, against scikit-learn, and against what can be computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from curator.report.statistics import (
    Proportion,
    kolmogorov_smirnov,
    mean_discrepancy,
    stability_index,
    wilson,
)


@pytest.mark.parametrize(("part", "whole"), [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (5000, 100_000), (1, 7)])
def test_the_interval_of_a_share_is_scipys_wilson(part, whole):
    expected = stats.binomtest(part, whole).proportion_ci(0.95, method="wilson")
    found = wilson(part, whole)
    assert (found.value, found.low, found.high) == pytest.approx((part / whole, expected.low, expected.high), abs=1e-12)


def test_a_share_of_nothing_is_no_number():
    found = wilson(0, 0)
    assert isinstance(found, Proportion) and all(map(math.isnan, (found.value, found.low, found.high)))


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    shares = [wilson(int(part), 200) for part in generator.binomial(200, 0.05, 4000)]
    assert np.mean([share.low <= 0.05 <= share.high for share in shares]) == pytest.approx(0.95, abs=0.02)


def test_the_stability_index_of_two_bins_is_what_it_is_by_hand():
    baseline, tonight = np.array([0.0] * 50 + [1.0] * 50), np.array([0.0] * 20 + [1.0] * 80)
    index, by_chance = stability_index(baseline, tonight)
    # The deciles are 0, 0.5 and 1: four bins, of which the first and the third are empty but for the half image.
    expected, found = np.array([0.5, 50.5, 0.5, 50.5]) / 102, np.array([0.5, 20.5, 0.5, 80.5]) / 102
    assert index == pytest.approx(float(np.sum((found - expected) * np.log(found / expected))), abs=1e-12)
    assert by_chance == pytest.approx(3 * (1 / 100 + 1 / 100))


def test_the_stability_index_is_by_chance_what_it_says_and_grows_with_a_shift():
    generator = np.random.default_rng(2)
    drawn = [stability_index(generator.normal(size=1000), generator.normal(size=1000)) for _ in range(200)]
    assert np.mean([index for index, _ in drawn]) == pytest.approx(drawn[0][1], rel=0.15)
    shifted, _ = stability_index(generator.normal(size=1000), generator.normal(0.5, size=1000))
    assert shifted > 0.15 and math.isnan(stability_index(np.zeros(0), np.ones(3))[0])


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("n", "m"), [(8, 8), (30, 50), (1000, 700)])
def test_kolmogorov_smirnov_is_scipys(n, m, shift):
    generator = np.random.default_rng(n)
    first, second = generator.normal(size=n), generator.normal(shift, size=m)
    expected = stats.ks_2samp(first, second, method="exact" if n < 100 else "asymp")
    found = kolmogorov_smirnov(first, second)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.03 if n < 100 else 0.01)


def test_kolmogorov_smirnov_counts_equal_values_together_and_knows_its_ends():
    same = np.array([1.0, 1.0, 2.0])
    assert kolmogorov_smirnov(same, same[::-1]) == kolmogorov_smirnov(same, same)
    assert kolmogorov_smirnov(same, same).statistic == 0 and kolmogorov_smirnov(same, same).p_value == 1
    assert kolmogorov_smirnov(np.zeros(1000), np.ones(1000)).p_value < 1e-12
    assert math.isnan(kolmogorov_smirnov(np.zeros(0), same).p_value)


def unit_vectors(generator, n, shift=0.0):
    vectors = generator.normal(size=(n, 16)) + shift
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_discrepancy_is_that_of_the_kernels_of_scikit_learn():
    from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

    generator = np.random.default_rng(3)
    first, second = unit_vectors(generator, 40), unit_vectors(generator, 60, 0.3)
    both = np.concatenate([first, second]).astype(float)
    median = np.median(euclidean_distances(both, squared=True)[np.triu_indices(100, 1)])
    within, other, across = (
        rbf_kernel(a.astype(float), b.astype(float), gamma=1 / median).mean()
        for a, b in ((first, first), (second, second), (first, second))
    )
    found = mean_discrepancy(first, second, np.random.default_rng(0))
    assert found.statistic == pytest.approx(within + other - 2 * across, abs=1e-9)


def test_the_discrepancy_sees_a_shift_and_its_p_values_are_even_without_one(monkeypatch):
    monkeypatch.setattr("curator.report.statistics.PERMUTATIONS", 99)
    generator = np.random.default_rng(4)
    far = mean_discrepancy(unit_vectors(generator, 100), unit_vectors(generator, 100, 0.5), generator)
    assert far.p_value == pytest.approx(0.01)
    p_values = [
        mean_discrepancy(unit_vectors(generator, 30), unit_vectors(generator, 30), generator).p_value
        for _ in range(150)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_the_discrepancy_needs_two_vectors_a_side_and_is_none_of_equal_ones():
    generator = np.random.default_rng(5)
    some = unit_vectors(generator, 5)
    assert math.isnan(mean_discrepancy(some[:1], some, generator).p_value)
    assert mean_discrepancy(some[:2] * 0 + some[0], some[:3] * 0 + some[0], generator).p_value == 1
