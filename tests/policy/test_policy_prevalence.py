"""The share of OOD images by the excess of small p-values, against plain counting and against its promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from curator.policy.conformal import p_values
from curator.policy.prevalence import OodShare, ood_share

REFERENCE = np.arange(100.0)


def test_the_estimate_is_that_of_the_issue_of_p_values():
    scores = np.array([-1.0] * 30 + [50.0] * 70)
    found = ood_share(REFERENCE, scores)
    assert (p_values(REFERENCE, scores) <= 0.05).sum() == found.below == 30
    assert found.level == pytest.approx(5 / 101) and found.cut == 4.0
    assert found.share == pytest.approx((0.3 - 5 / 101) / (1 - 5 / 101))
    assert found.expected == pytest.approx(100 * 5 / 101)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(19, 150))
def test_the_interval_is_what_the_beta_binomial_of_scipy_allows(below, above, n):
    found = ood_share(np.arange(float(n)), np.array([-1.0] * below + [float(n)] * above))
    k, m = int(0.05 * (n + 1) + 1e-9), below + above
    ood = np.arange(below + 1)
    many = stats.betabinom.sf(below - ood - 1, m - ood, k, n + 1 - k)
    few = stats.betabinom.cdf(below - ood, m - ood, k, n + 1 - k)
    assert found.fewest == ood[many >= 0.025][0]
    assert found.most == max(ood[few >= 0.025], default=0)
    assert found.fewest <= below and found.low <= found.share + 1e-12


@pytest.mark.parametrize("ood", [0, 40])
def test_the_lower_bound_is_seldom_above_the_truth(ood):
    """Of 400 references and samples drawn anew: at most 2.5 % (and a little of chance)."""
    draws = np.random.default_rng(3)
    wrong = found = 0
    for _ in range(400):
        sample = np.concatenate([draws.normal(size=360), draws.normal(-3, 1, size=ood)])
        share = ood_share(np.sort(draws.normal(size=150)), sample)
        wrong += share.fewest > ood
        found += share.clear
    assert wrong <= 20
    assert found <= 20 if ood == 0 else found >= 300


def test_too_few_references_say_nothing_and_reviewed_images_count():
    few = ood_share(np.arange(18.0), np.full(50, -1.0))
    assert (few.level, few.below, few.fewest, few.most, few.clear) == (0.0, 0, 0, 50, False)
    known = ood_share(np.arange(18.0), np.full(50, -1.0), known=3)
    assert (known.fewest, known.clear) == (3, True)
    nothing = ood_share(REFERENCE, np.zeros(0))
    assert isinstance(nothing, OodShare) and (nothing.low, nothing.high, nothing.share) == (0.0, 1.0, 0.0)
