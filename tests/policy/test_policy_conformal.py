"""Conformal p-values, cuts, false-discovery rates and classes: exactly what the theory promises, ties included."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from curator.errors import UsageError
from curator.policy import Policy, Rule, calibrate
from curator.policy.classes import POOLED, categories, class_minimum, own_classes
from curator.policy.conformal import alpha_cut, cut_of_rank, p_values, rank_within, ranks, sorted_scores
from curator.policy.discoveries import (
    discovery_limit,
    fewest_discoveries,
    rank_at,
    references_for_one,
)
from curator.policy.rule import rule_of
from tests.policy.benjamini_hochberg import benjamini_hochberg

SCORES = st.floats(-50, 50) | st.integers(-3, 3).map(float)
REFERENCE = st.lists(SCORES, min_size=1, max_size=40).map(lambda values: sorted_scores(np.array(values)))
LEVELS = st.floats(0.001, 0.999) | st.sampled_from([0.01, 0.05, 0.07, 0.1, 0.2, 1 / 3, 0.5, 2 / 3])


@pytest.mark.parametrize("values", [[1.0, 2, 3, 4, 5, 6], [0.0, 0, 0, 1, 1, 2], [7.0] * 6, [3.0, -1, 3, 2, -1, 9]])
@pytest.mark.parametrize("held_out", [1, 2, 3])
def test_p_values_are_super_uniform_over_all_splits(values, held_out):
    """Exchangeable means that each split is as likely as any other: so count them all."""
    found: list[float] = []
    for chosen in combinations(range(len(values)), held_out):
        rest = [value for place, value in enumerate(values) if place not in chosen]
        found += p_values(sorted_scores(np.array(rest)), np.array([values[place] for place in chosen])).tolist()
    n = len(values) - held_out
    for k in range(1, n + 2):
        share = Fraction(sum(value <= k / (n + 1) for value in found), len(found))
        assert share <= Fraction(k, n + 1)
        if len(set(values)) == len(values):
            assert share == Fraction(k, n + 1), "exact where nothing ties"


@given(REFERENCE, st.lists(SCORES, min_size=1, max_size=20))
def test_a_p_value_is_what_its_definition_says(reference, scores):
    for score, value, rank in zip(
        scores, p_values(reference, np.array(scores)), ranks(reference, np.array(scores)), strict=True
    ):
        assert rank == 1 + sum(other <= score for other in reference.tolist())
        assert value == rank / (reference.size + 1)


@given(REFERENCE, st.lists(SCORES, min_size=1, max_size=20), LEVELS)
def test_an_image_is_below_the_cut_exactly_where_its_p_value_is_at_most_alpha(reference, scores, alpha):
    log_odds = np.array([*scores, *reference])  # with ties of every kind
    cut = alpha_cut(reference, alpha)
    np.testing.assert_array_equal(log_odds < cut, p_values(reference, log_odds) <= alpha)
    assert cut == -math.inf or cut in reference


@given(st.integers(1, 3000), LEVELS)
def test_the_rank_within_a_level_is_the_largest(n, level):
    k = rank_within(level, n)
    assert 0 <= k <= n and (k == 0 or k / (n + 1) <= level) and (k == n or (k + 1) / (n + 1) > level)


def test_a_reference_too_small_for_alpha_flags_nothing_and_warns():
    assert alpha_cut(np.arange(98.0), 0.01) == -math.inf
    assert alpha_cut(np.arange(99.0), 0.01) == 0.0
    assert "98 reference images cannot flag anything at 0.01: use 99 or more" in str(Rule("alpha", 0.01).warning(98))
    assert "use 999 or more" in str(Rule("alpha", 0.01).warning(998))
    assert Rule("alpha", 0.01).warning(999) is None
    assert not Policy("p", "e", "b", "m", -math.inf).flags(np.array([-1e300])).any()
    assert p_values(np.array([]), np.array([-9.0])).tolist() == [1.0]


RANKED = st.lists(st.tuples(st.integers(1, 12), st.sampled_from([5, 11])), max_size=30).map(
    lambda pairs: [(min(rank, size + 1), size) for rank, size in pairs]
)


@given(RANKED, LEVELS)
def test_discoveries_are_those_of_benjamini_and_hochberg(pairs, q):
    found, sizes = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    limit = discovery_limit(found, sizes, q)
    p = [Fraction(rank, size + 1) for rank, size in pairs]
    assert [value <= limit for value in p] == benjamini_hochberg(p, q)
    assert [rank <= rank_at(limit, size) for rank, size in pairs] == benjamini_hochberg(p, q)


@given(REFERENCE, st.lists(SCORES, min_size=1, max_size=40), st.sampled_from([0.05, 0.1, 0.2, 0.5]))
def test_discoveries_are_those_of_scipy(reference, scores, q):
    log_odds = np.array(scores)
    found = ranks(reference, log_odds)
    limit = discovery_limit(found, np.full(found.size, reference.size), q)
    adjusted = stats.false_discovery_control(p_values(reference, log_odds))
    clear = np.abs(adjusted - q) > 1e-9  # where rounding decides, the whole numbers are right
    flagged = log_odds < cut_of_rank(reference, rank_at(limit, reference.size))
    np.testing.assert_array_equal(flagged[clear], (adjusted <= q)[clear])


def test_a_night_without_discoveries_flags_nothing_and_one_of_outliers_much():
    reference = np.arange(99.0)
    few = ranks(reference, np.array([0.5, *np.full(99, 50.0)]))
    assert discovery_limit(few, np.full(100, 99), 0.1) == 0
    many = ranks(reference, np.array([*np.full(50, -1.0), *np.full(50, 50.0)]))
    assert discovery_limit(many, np.full(100, 99), 0.1) == Fraction(1, 100)
    assert discovery_limit(np.array([], dtype=int), np.array([], dtype=int), 0.1) == 0


def test_equality_counts_in_benjamini_hochberg_as_decimals_are_written():
    """3 of 10 at rank 3 of 100 with q = 0.1: 0.03 <= 0.1 * 3 / 10 holds, although not in doubles taken as 0.3 * 0.1."""
    found = np.array([3, 3, 3, *[100] * 7])
    assert discovery_limit(found, np.full(10, 99), 0.1) == Fraction(3, 100)
    assert discovery_limit(np.array([7, *[100] * 9]), np.full(10, 999), 0.07) == Fraction(7, 1000)


def test_the_false_discovery_rate_is_held_over_many_nights():
    """Half of the images are ID and like the reference: at q = 0.2 a tenth of the flags is false, on average."""
    draws = np.random.default_rng(3)
    shares = []
    for _ in range(400):
        reference = np.sort(draws.normal(size=200))
        log_odds = np.concatenate([draws.normal(size=50), draws.normal(-3, 1, size=50)])
        limit = discovery_limit(ranks(reference, log_odds), np.full(100, 200), 0.2)
        flagged = log_odds < cut_of_rank(reference, rank_at(limit, 200))
        shares.append(flagged[:50].sum() / max(flagged.sum(), 1))
    error = np.std(shares) / 20
    assert 0.1 - 4 * error < np.mean(shares) < 0.1 + 3 * error


def test_a_class_has_its_own_cut_where_it_has_references_enough():
    labels = np.repeat([0, 1, 2, 3], [50, 30, 5, 20])
    assert own_classes(labels, minimum=20, label_count=6) == (0, 1)  # 3 joins the rest, which would be too few
    assert own_classes(labels, minimum=5, label_count=6) == (0, 1, 3)
    assert own_classes(np.repeat([0, 1], 20), minimum=20, label_count=2) == (0, 1)  # there is no other class
    assert own_classes(np.repeat([0, 1], 20), minimum=20, label_count=3) == (0,)  # the third would have no reference
    assert own_classes(labels, minimum=1000, label_count=6) == ()
    assert categories(np.array([0, 2, 1, 3, 9]), (0, 1)).tolist() == [0, POOLED, 1, POOLED, POOLED]
    assert (class_minimum(0.05), class_minimum(0.1), class_minimum(0.01)) == (99, 49, 499)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.integers(1, 30))
def test_no_category_is_smaller_than_the_minimum_unless_everything_is(labels, minimum):
    own = own_classes(np.array(labels), minimum=minimum, label_count=7)
    counts = {label: labels.count(label) for label in own}
    assert all(count >= minimum for count in counts.values())
    assert not own or len(labels) - sum(counts.values()) >= minimum


def test_within_classes_each_class_gets_its_own_share():
    """Two classes of which one scores lower: pooled, it takes all the false flags; by class, each takes its share."""
    draws = np.random.default_rng(5)
    reference = {0: np.sort(draws.normal(0, 1, 999)), 1: np.sort(draws.normal(4, 1, 999))}
    fresh = {0: draws.normal(0, 1, 20_000), 1: draws.normal(4, 1, 20_000)}
    pooled = alpha_cut(np.sort(np.concatenate([*reference.values()])), 0.05)
    assert (fresh[0] < pooled).mean() > 0.08 and (fresh[1] < pooled).mean() < 0.01
    for label, scores in reference.items():
        assert 0.03 < (fresh[label] < alpha_cut(scores, 0.05)).mean() < 0.07


def test_a_rule_is_chosen_by_its_level():
    assert Rule.chosen() == Rule("keep", 0.95) and Rule.chosen().name == "keep-0.95"
    assert Rule.chosen(fdr=0.1, by_class=True) == Rule("fdr", 0.1, True, 49)
    assert Rule.chosen(alpha=0.05, by_class=True, minimum=7).name == "alpha-0.05-by-class"
    assert Rule("keep", 0.95).tail == 0.05
    for wrong, message in [
        ({"keep": 0.9, "fdr": 0.1}, "keep and fdr are two rules"),
        ({"alpha": 1.0}, "between 0 and 1, not 1.0"),
        ({"minimum": 5}, "not that classes are calibrated"),
    ]:
        with pytest.raises(UsageError, match=message):
            Rule.chosen(**wrong)


def test_a_policy_from_before_there_were_rules_keeps_a_share():
    assert rule_of({"kind": "calibrated", "keep": 0.9}) == Rule("keep", 0.9)
    assert rule_of({"kind": "default", "rule": "even_odds"}) is None


@given(REFERENCE, LEVELS)
def test_keep_is_what_it_was_and_alpha_flags_no_more_than_it(reference, level):
    kept = calibrate(reference, keep=level)
    assert Rule("keep", level).calibrate(reference) == kept
    assert Rule("alpha", float(1 - Fraction(repr(level)))).cut(reference) <= kept.min_log_odds


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.5]))
def test_fewer_images_than_said_are_never_flagged_together_and_so_many_are(night, references, q):
    """The images that are strange score below every reference, all others above."""
    together = fewest_discoveries(night, references, q)
    for strange in {together - 1, together} - {0}:
        if strange <= night:
            p = [Fraction(1, references + 1)] * strange + [Fraction(1)] * (night - strange)
            assert sum(benjamini_hochberg(p, q)) == (strange if strange == together else 0)


@given(st.integers(1, 10**6), st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.5]))
def test_with_so_many_references_one_image_is_flagged_alone_and_with_one_fewer_it_is_not(night, q):
    enough = references_for_one(night, q)
    assert fewest_discoveries(night, enough, q) == 1
    assert enough == 0 or fewest_discoveries(night, enough - 1, q) > 1


def test_a_false_discovery_rate_with_few_references_says_how_many_a_night_needs():
    warning = Rule("fdr", 0.1).warning(500, night=5000)
    assert warning == (
        "500 reference images are few for fdr 0.1: of a night of 5000 images nothing is flagged unless 100 or more "
        "score below every reference; use 49999 or more for one to be flagged alone, or alpha"
    )
    assert Rule("fdr", 0.1).warning(500, night=50) is None
    assert Rule("fdr", 0.1).warning(500) is None, "of nights nothing is known yet"
    assert "cannot flag anything at 0.1: use 9 or more" in str(Rule("fdr", 0.1).warning(8, night=50))


@pytest.mark.parametrize(("kind", "level", "needed"), [("alpha", 0.01, 99), ("fdr", 0.05, 19), ("keep", 0.9, 9)])
def test_classes_with_too_few_references_to_flag_anything_are_counted(kind, level, needed):
    rule = Rule.chosen(**{kind: level}, by_class=True, minimum=2)
    warning = rule.warning(5000, classes=(needed, needed - 1, 4))
    assert warning is not None
    assert f"2 of 3 classes with a cut of their own cannot flag anything at {level:g}" in warning
    assert f"use {needed} or more for each" in warning
    assert rule.warning(5000, classes=(needed,)) is None
