"""Formulas against conformance values (T1, T2, T6h) and against their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curator.errors import UsageError
from curator.methods import score
from curator.methods.maths import log_odds_of_mean, log_sigmoid, log_sum_exp, sigmoid
from curator.methods.mcm import mcm_log_odds
from curator.methods.neglabel import group_sizes, neglabel_log_odds

ID = np.array([[0.28, 0.21, 0.19], [0.20, 0.22, 0.17], [0.25, 0.24, 0.18], [0.15, 0.19, 0.16]])
NEGATIVE = np.array(
    [[0.24, 0.22, 0.18, 0.26], [0.27, 0.25, 0.16, 0.23], [0.21, 0.23, 0.20, 0.19], [0.29, 0.18, 0.24, 0.22]]
)
COSINES = st.floats(-1, 1)
SCALES = st.sampled_from([1.0, 30.0, 100.0, 1000.0])


def cosines(columns):
    return arrays(np.float64, st.tuples(st.integers(1, 6), columns), elements=COSINES)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("mcm", {"scale": 1}, [0.351330, 0.341131, 0.342179, 0.341153]),
        ("mcm", {"scale": 100}, [0.998966, 0.875601, 0.730572, 0.936240]),
        ("mcm", {"scale": 100, "temperature": 2}, [0.960332, 0.689672, 0.610975, 0.736125]),
        ("neglabel", {"group_count": 1}, [0.865042, 0.006626, 0.893666, 0.000048]),
        ("neglabel", {"group_count": 2}, [0.930260, 0.151195, 0.946194, 0.003174]),
        ("neglabel", {"group_count": 2, "permutation": [2, 0, 3, 1]}, [0.930488, 0.027665, 0.945276, 0.024839]),
        ("neglabel", {"group_count": 3}, [0.993172, 0.353091, 0.963974, 0.250336]),
    ],
    ids=["T1a", "T1b", "T1c", "T2a", "T2c", "T2d", "T2e"],
)
def test_scores_are_the_published_conformance_values(name, parameters, expected):
    found = score(name, ID, NEGATIVE, **{"scale": 100, **parameters})
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_t2b_log_odds_of_one_group_are_the_published_ones():
    found = neglabel_log_odds(ID, NEGATIVE, scale=100, group_count=1)
    np.testing.assert_allclose(found, [1.857812, -5.010101, 2.128746, -9.941753], rtol=0, atol=1e-6)


def test_t2f_one_group_is_not_the_sum_of_id_logits_that_the_published_code_returns():
    found = score("neglabel", ID, NEGATIVE, scale=100, group_count=1)
    assert not np.isclose(found, [68, 59, 67, 50]).any()
    assert (found <= 1).all()


@pytest.mark.parametrize(
    ("negatives", "sizes"), [(60, [60]), (199, [199]), (250, [125, 125]), (10_499, [100] * 104), (1, [1])]
)
def test_t6h_groups_of_about_a_hundred(negatives, sizes):
    assert group_sizes(negatives, size=100) == sizes


def test_groups_of_published_banks_drop_the_tail():
    assert group_sizes(10_499) == [104] * 100
    assert group_sizes(10_499, remainder="join") == [105] * 99 + [104]
    assert group_sizes(3, count=100) == [1, 1, 1]


@given(st.integers(1, 500), st.integers(1, 120))
def test_join_leaves_no_negative_out_and_drop_less_than_a_group_count(negatives, count):
    assert sum(group_sizes(negatives, count=count, remainder="join")) == negatives
    assert 0 <= negatives - sum(group_sizes(negatives, count=count)) < count


def test_joined_remainders_enter_the_score():
    first, second = (neglabel_log_odds(ID, NEGATIVE[:, columns], scale=100, group_count=1) for columns in ([0, 1], [2]))
    expected = (sigmoid(first) + sigmoid(second)) / 2
    found = score("neglabel", ID, NEGATIVE[:, :3], scale=100, group_count=2, remainder="join")
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "id_cosines", "negatives", "parameters", "message"),
    [
        ("neglabel", ID, None, {"scale": 1}, "needs negative labels"),
        ("neglabel", ID, NEGATIVE[:, :0], {"scale": 1}, "needs negative labels"),
        ("neglabel", ID, NEGATIVE, {}, "missing a required argument: 'scale'"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "ngroup": 1}, "unexpected keyword argument 'ngroup'"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "group_count": 2, "group_size": 2}, "not both"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "group_count": 0}, "at least one group"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "group_count": 3, "permutation": [3, 0, 1]}, "each of the 3"),
        ("mcm", ID[:, :1], None, {"scale": 1}, "at least two"),
        ("msp", ID, None, {"scale": 1}, "no method is called 'msp'"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(name, id_cosines, negatives, parameters, message):
    with pytest.raises(UsageError, match=message):
        score(name, id_cosines, negatives, **parameters)


@given(cosines(st.integers(1, 5)), st.data(), SCALES)
def test_an_added_negative_never_raises_the_score_of_one_group(id_cosines, data, scale):
    rows = len(id_cosines)
    negatives = data.draw(arrays(np.float64, (rows, 4), elements=COSINES))
    fewer = neglabel_log_odds(id_cosines, negatives[:, :3], scale=scale, group_count=1)
    more = neglabel_log_odds(id_cosines, negatives, scale=scale, group_count=1)
    assert (more <= fewer + 1e-9).all()


@given(cosines(st.integers(1, 5)), st.data(), SCALES)
def test_the_order_of_negatives_does_not_matter_with_one_group(id_cosines, data, scale):
    negatives = data.draw(arrays(np.float64, (len(id_cosines), 5), elements=COSINES))
    order = data.draw(st.permutations(range(5)))
    plain = neglabel_log_odds(id_cosines, negatives, scale=scale, group_count=1)
    shuffled = neglabel_log_odds(id_cosines, negatives, scale=scale, group_count=1, permutation=order)
    np.testing.assert_allclose(shuffled, plain, rtol=0, atol=1e-9)


@given(cosines(st.integers(1, 4)), st.data(), SCALES, st.integers(1, 7))
def test_grouped_log_odds_are_finite_between_the_groups_and_the_logit_of_the_mean(id_cosines, data, scale, groups):
    negatives = data.draw(arrays(np.float64, (len(id_cosines), 7), elements=COSINES))
    found = neglabel_log_odds(id_cosines, negatives, scale=scale, group_count=groups)
    size = 7 // groups
    parts = [
        neglabel_log_odds(id_cosines, negatives[:, g * size : (g + 1) * size], scale=scale, group_count=1)
        for g in range(groups)
    ]
    assert np.isfinite(found).all()
    assert (np.min(parts, axis=0) - 1e-9 <= found).all() and (found <= np.max(parts, axis=0) + 1e-9).all()
    np.testing.assert_allclose(sigmoid(found), np.mean(sigmoid(np.array(parts)), axis=0), rtol=1e-9, atol=1e-300)


@given(cosines(st.integers(2, 6)), SCALES)
def test_mcm_is_at_least_one_over_the_number_of_labels(id_cosines, scale):
    log_odds = mcm_log_odds(id_cosines, scale=scale)
    assert np.isfinite(log_odds).all()
    assert (sigmoid(log_odds) >= 1 / id_cosines.shape[1] - 1e-12).all()


@given(cosines(st.integers(2, 6)), st.sampled_from([1.0, 10.0]))
def test_mcm_is_the_largest_softmax_probability(id_cosines, scale):
    exponentials = np.exp(scale * id_cosines)
    expected = (exponentials / exponentials.sum(axis=1, keepdims=True)).max(axis=1)
    np.testing.assert_allclose(sigmoid(mcm_log_odds(id_cosines, scale=scale)), expected, rtol=1e-12)


def test_log_odds_still_rank_where_the_score_has_saturated():
    id_cosines = np.array([[1.0, -1.0], [0.9, -1.0], [-0.9, -1.0], [-1.0, -1.0]])
    negatives = np.array([[-1.0, -0.99], [-1.0, -0.99], [1.0, 1.0], [1.0, 1.0]])
    for groups in (1, 2):
        log_odds = neglabel_log_odds(id_cosines, negatives, scale=1000, group_count=groups)
        assert np.isfinite(log_odds).all()
        assert (np.diff(log_odds) < -50).all()
        id_scores = score("neglabel", id_cosines, negatives, scale=1000, group_count=groups)
        assert id_scores[0] == id_scores[1] == 1.0 and id_scores[2] == id_scores[3] == 0.0
    mcm = mcm_log_odds(id_cosines[:2], scale=1000)
    np.testing.assert_allclose(mcm, [2000, 1900])


@given(arrays(np.float64, (3, 4), elements=st.floats(-700, 700)))
def test_shared_arithmetic_agrees_with_its_definitions(values):
    np.testing.assert_allclose(log_sum_exp(values.copy()), np.logaddexp.reduce(values, axis=1), rtol=0, atol=1e-9)
    np.testing.assert_allclose(log_sigmoid(values), -np.logaddexp(0, -values), rtol=0, atol=1e-9)
    moderate = values / 50
    mean = (1 / (1 + np.exp(-moderate))).mean(axis=1)
    np.testing.assert_allclose(log_odds_of_mean(moderate), np.log(mean / (1 - mean)), rtol=0, atol=1e-8)


@given(st.lists(st.floats(-800, 800), min_size=2, max_size=20))
def test_id_score_never_falls_as_log_odds_rise(values):
    assume(len(set(values)) > 1)
    id_scores = sigmoid(np.sort(np.array(values)))
    assert (np.diff(id_scores) >= -1e-15).all()
    assert (id_scores >= 0).all() and (id_scores <= 1).all()
