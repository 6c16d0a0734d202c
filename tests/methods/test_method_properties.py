"""What holds for the pure forms whatever the cosines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curator.methods import score
from curator.methods.grouping import Grouping, group_sizes
from curator.methods.maths import log_odds_of_mean, log_sigmoid, log_sum_exp, logit, sigmoid
from curator.methods.members.csp import CSP
from curator.methods.members.eoe import EOE
from curator.methods.members.fusion import Fusion
from curator.methods.members.knn import KNN
from curator.methods.members.logits import Energy, MaxLogit
from curator.methods.members.mcm import MCM
from curator.methods.members.neglabel import NegLabel, neglabel_log_odds
from curator.methods.statistics import exact_statistics

COSINES = st.floats(-1, 1)
SCALES = st.sampled_from([1.0, 30.0, 100.0, 1000.0])
VARIANTS = ["eoe", "msp", "max_logit", "energy", "max"]
METHODS = [
    MCM(scale=100.0),
    MCM(scale=1.0, temperature=2.0),
    MaxLogit(),
    MaxLogit(scale=100.0),
    Energy(),
    Energy(temperature=1.0),
    NegLabel(scale=100.0),
    NegLabel(scale=1000.0, group_count=3),
    NegLabel(scale=30.0, group_size=2, remainder="join"),
    CSP(scale=100.0, group_count=1),
    KNN(k=3),
    Fusion(scale=100.0, k=2, weight=0.3),
    *(EOE.of(variant=variant) for variant in VARIANTS),
    *(EOE.of(variant=variant, temperature=0.01) for variant in VARIANTS),
    EOE.of(beta=0.0, temperature=0.001),
    EOE.of(beta=1.0, temperature=0.001),
]


def table(columns):
    return arrays(np.float64, st.tuples(st.integers(1, 6), columns), elements=COSINES)


def drawn(data, rows, columns):
    return data.draw(arrays(np.float64, (rows, columns), elements=COSINES))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.method_id)
@settings(max_examples=20)
@given(id_cosines=table(st.integers(2, 5)), data=st.data())
def test_log_odds_are_finite_and_the_score_never_falls_as_they_rise(method, id_cosines, data):
    negatives, references = drawn(data, len(id_cosines), 7), drawn(data, len(id_cosines), 4)
    statistics = exact_statistics(id_cosines, negatives, method.needs, neighbours=references)
    log_odds = method.log_odds(statistics)
    assert log_odds.shape == (len(id_cosines),) and log_odds.dtype == np.float64 and np.isfinite(log_odds).all()
    id_scores = method.id_score(np.sort(log_odds))
    assert np.isfinite(id_scores).all() and (np.diff(id_scores) >= -1e-15).all()
    spread = method.id_score(np.linspace(-30, 30, 601))
    assert (np.diff(spread) > 0).all()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.method_id)
@settings(max_examples=20)
@given(id_cosines=table(st.integers(2, 5)), data=st.data())
def test_a_row_does_not_depend_on_the_others(method, id_cosines, data):
    """To the bit, also next to a row so extreme that its odds take another way of computing."""
    rows = len(id_cosines) + 1
    ids = np.vstack([id_cosines, [1.0] + [-1.0] * (id_cosines.shape[1] - 1)])
    negatives, references = drawn(data, rows, 7), drawn(data, rows, 4)
    negatives[-1] = -1.0

    def log_odds(chosen):
        given = exact_statistics(ids[chosen], negatives[chosen], method.needs, neighbours=references[chosen])
        return method.log_odds(given)

    whole = log_odds(slice(None))
    for row in range(rows):
        np.testing.assert_array_equal(log_odds(slice(row, row + 1)), whole[row : row + 1])


@given(table(st.integers(1, 5)), st.data(), SCALES)
def test_an_added_negative_never_raises_the_score_of_one_group(id_cosines, data, scale):
    negatives = drawn(data, len(id_cosines), 4)
    fewer = neglabel_log_odds(id_cosines, negatives[:, :3], scale=scale, group_count=1)
    more = neglabel_log_odds(id_cosines, negatives, scale=scale, group_count=1)
    assert (more <= fewer + 1e-9).all()


@pytest.mark.parametrize("variant", VARIANTS)
@given(id_cosines=table(st.integers(2, 5)), data=st.data(), temperature=st.sampled_from([1.0, 0.1, 0.01]))
def test_an_added_outlier_label_never_raises_a_score_of_eoe_above_zero(variant, id_cosines, data, temperature):
    """Below 0 it may for the variant eoe, because a label far away draws p_out towards 0 as well."""
    negatives = drawn(data, len(id_cosines), 4)
    fewer, more = (
        score("eoe", id_cosines, given, variant=variant, temperature=temperature)
        for given in (negatives[:, :3], negatives)
    )
    bounded = fewer >= 0 if variant == "eoe" else np.full(len(fewer), True)
    assert (more <= fewer + 1e-12)[bounded].all()
    assert (more <= np.maximum(fewer, 0) + 1e-12).all() or variant != "eoe"


def test_an_outlier_label_can_raise_a_score_of_eoe_below_zero_towards_it():
    found = [score("eoe", np.array([[0.1]]), np.array([out]), temperature=0.1)[0] for out in ([0.9], [0.9, 0.8])]
    assert found[0] < found[1] < 0


@pytest.mark.parametrize("name", ["mcm", "max_logit", "energy"])
@given(id_cosines=table(st.integers(2, 5)), data=st.data())
def test_methods_of_the_id_labels_alone_ignore_negatives(name, id_cosines, data):
    parameters = {"scale": 100.0} if name == "mcm" else {}
    negatives = drawn(data, len(id_cosines), 3)
    np.testing.assert_array_equal(
        score(name, id_cosines, negatives, **parameters), score(name, id_cosines, **parameters)
    )


@given(table(st.integers(2, 5)), st.data(), SCALES)
def test_the_order_of_negatives_does_not_matter_with_one_group(id_cosines, data, scale):
    negatives = drawn(data, len(id_cosines), 5)
    order = data.draw(st.permutations(range(5)))
    plain = neglabel_log_odds(id_cosines, negatives, scale=scale, group_count=1)
    shuffled = neglabel_log_odds(id_cosines, negatives, scale=scale, group_count=1, permutation=order)
    np.testing.assert_allclose(shuffled, plain, rtol=0, atol=1e-9)
    for variant in VARIANTS:
        moved = score("eoe", id_cosines, negatives[:, order], variant=variant)
        np.testing.assert_allclose(moved, score("eoe", id_cosines, negatives, variant=variant), rtol=0, atol=1e-12)


@given(table(st.integers(1, 4)), st.data(), SCALES, st.integers(1, 7))
def test_grouped_log_odds_are_finite_between_the_groups_and_the_logit_of_the_mean(id_cosines, data, scale, groups):
    negatives = drawn(data, len(id_cosines), 7)
    found = neglabel_log_odds(id_cosines, negatives, scale=scale, group_count=groups)
    size = 7 // groups
    parts = [
        neglabel_log_odds(id_cosines, negatives[:, g * size : (g + 1) * size], scale=scale, group_count=1)
        for g in range(groups)
    ]
    assert np.isfinite(found).all()
    assert (np.min(parts, axis=0) - 1e-9 <= found).all() and (found <= np.max(parts, axis=0) + 1e-9).all()
    np.testing.assert_allclose(sigmoid(found), np.mean(sigmoid(np.array(parts)), axis=0), rtol=1e-9, atol=1e-300)


@given(st.integers(1, 500), st.integers(1, 120))
def test_join_leaves_no_negative_out_and_drop_less_than_a_group_count(negatives, count):
    assert sum(group_sizes(negatives, count=count, remainder="join")) == negatives
    assert 0 <= negatives - sum(group_sizes(negatives, count=count)) < count


@given(st.integers(1, 300), st.integers(1, 50), st.booleans(), st.integers(0, 5))
def test_a_grouping_takes_each_kept_negative_once_and_drops_the_tail(negatives, number, by_size, seed):
    grouping = Grouping(size=number, seed=seed) if by_size else Grouping(count=number, seed=seed)
    order, kept = grouping.order(negatives), sum(grouping.sizes(negatives))
    np.testing.assert_array_equal(np.sort(order), np.arange(kept))


@given(table(st.integers(2, 6)), SCALES)
def test_mcm_is_at_least_one_over_the_number_of_labels(id_cosines, scale):
    found = score("mcm", id_cosines, scale=scale)
    assert (found >= 1 / id_cosines.shape[1] - 1e-12).all() and (found <= 1).all()


@given(table(st.integers(2, 6)), st.sampled_from([1.0, 10.0]))
def test_mcm_is_the_largest_softmax_probability(id_cosines, scale):
    exponentials = np.exp(scale * id_cosines)
    expected = (exponentials / exponentials.sum(axis=1, keepdims=True)).max(axis=1)
    np.testing.assert_allclose(score("mcm", id_cosines, scale=scale), expected, rtol=1e-12)


@given(table(st.integers(2, 5)), st.data(), st.floats(0, 1), st.sampled_from([1.0, 0.1, 0.01, 0.001]))
def test_eoe_lies_between_minus_beta_and_one_and_is_its_definition(id_cosines, data, beta, temperature):
    negatives = drawn(data, len(id_cosines), 3)
    found = score("eoe", id_cosines, negatives, beta=beta, temperature=temperature)
    assert (found >= -beta - 1e-15).all() and (found <= 1 + 1e-15).all()
    logits = np.hstack([id_cosines, negatives]) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    inside = id_cosines.shape[1]
    expected = shares[:, :inside].max(axis=1) - beta * shares[:, inside:].max(axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_log_odds_still_rank_where_the_score_has_saturated():
    id_cosines = np.array([[1.0, -1.0], [0.9, -1.0], [-0.9, -1.0], [-1.0, -1.0]])
    negatives = np.array([[-1.0, -0.99], [-1.0, -0.99], [1.0, 1.0], [1.0, 1.0]])
    for groups in (1, 2):
        log_odds = neglabel_log_odds(id_cosines, negatives, scale=1000, group_count=groups)
        assert np.isfinite(log_odds).all()
        assert (np.diff(log_odds) < -50).all()
        id_scores = score("neglabel", id_cosines, negatives, scale=1000, group_count=groups)
        assert id_scores[0] == id_scores[1] == 1.0 and id_scores[2] == id_scores[3] == 0.0
    for method in (MCM(scale=1000.0), EOE.of(variant="msp", temperature=0.001), EOE.of(temperature=0.001)):
        statistics = exact_statistics(id_cosines[:2], negatives[:2], method.needs)
        log_odds = method.log_odds(statistics)
        assert (method.id_score(log_odds) == 1.0).all() and log_odds[0] > log_odds[1] + 50


@given(arrays(np.float64, (3, 4), elements=st.floats(-700, 700)))
def test_shared_arithmetic_agrees_with_its_definitions(values):
    np.testing.assert_allclose(log_sum_exp(values.copy()), np.logaddexp.reduce(values, axis=1), rtol=0, atol=1e-9)
    np.testing.assert_allclose(log_sigmoid(values), -np.logaddexp(0, -values), rtol=0, atol=1e-9)
    moderate = values / 50
    mean = (1 / (1 + np.exp(-moderate))).mean(axis=1)
    np.testing.assert_allclose(log_odds_of_mean(moderate), np.log(mean / (1 - mean)), rtol=0, atol=1e-8)
    np.testing.assert_allclose(logit(sigmoid(moderate)), moderate, rtol=0, atol=1e-8)


@given(arrays(np.float64, (4, 5), elements=st.floats(-720, 720)))
def test_both_ways_to_the_odds_of_a_mean_agree(values):
    """Rows below and above the exponent where sums are taken in logs."""
    by_logs = log_sum_exp(log_sigmoid(values)) - log_sum_exp(log_sigmoid(-values))
    np.testing.assert_allclose(log_odds_of_mean(values), by_logs, rtol=1e-12, atol=1e-9)


def test_a_sum_of_nothing_is_minus_infinity():
    assert log_sum_exp(np.full((2, 3), -np.inf)).tolist() == [-np.inf] * 2
    assert log_sum_exp(np.array([[-np.inf, 2.0]])).tolist() == [2.0]


@given(st.lists(st.floats(-800, 800), min_size=2, max_size=20))
def test_id_score_never_falls_as_log_odds_rise(values):
    assume(len(set(values)) > 1)
    id_scores = sigmoid(np.sort(np.array(values)))
    assert (np.diff(id_scores) >= -1e-15).all()
    assert (id_scores >= 0).all() and (id_scores <= 1).all()
