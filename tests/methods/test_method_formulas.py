"""The pure forms against conformance values: `negative-labels.md` (T1, T2, T6h, T8), `generative.md` (A, A2, B), and
small tables by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from curator.errors import UsageError
from curator.methods import score
from curator.methods.grouping import Grouping, group_sizes
from curator.methods.maths import sigmoid
from curator.methods.members.neglabel import neglabel_log_odds

ID = np.array([[0.28, 0.21, 0.19], [0.20, 0.22, 0.17], [0.25, 0.24, 0.18], [0.15, 0.19, 0.16]])
NEGATIVE = np.array(
    [[0.24, 0.22, 0.18, 0.26], [0.27, 0.25, 0.16, 0.23], [0.21, 0.23, 0.20, 0.19], [0.29, 0.18, 0.24, 0.22]]
)
EOE_ID, EOE_OUT = np.array([[0.30, 0.22]]), np.array([[0.27, 0.18, 0.10]])


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("mcm", {"scale": 1}, [0.351330, 0.341131, 0.342179, 0.341153]),
        ("mcm", {"scale": 100}, [0.998966, 0.875601, 0.730572, 0.936240]),
        ("mcm", {"scale": 100, "temperature": 2}, [0.960332, 0.689672, 0.610975, 0.736125]),
        ("neglabel", {"group_count": 1}, [0.865042, 0.006626, 0.893666, 0.000048]),
        ("csp", {"group_count": 1}, [0.865042, 0.006626, 0.893666, 0.000048]),
        ("neglabel", {"group_count": 2}, [0.930260, 0.151195, 0.946194, 0.003174]),
        ("neglabel", {"group_count": 2, "permutation": [2, 0, 3, 1]}, [0.930488, 0.027665, 0.945276, 0.024839]),
        ("neglabel", {"group_count": 3}, [0.993172, 0.353091, 0.963974, 0.250336]),
        ("csp", {"group_count": 3}, [0.993172, 0.353091, 0.963974, 0.250336]),
    ],
    ids=["T1a", "T1b", "T1c", "T2a", "T2a-csp", "T2c", "T2d", "T2e", "T2e-csp"],
)
def test_scores_are_the_published_conformance_values(name, parameters, expected):
    found = score(name, ID, NEGATIVE, **{"scale": 100, **parameters})
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_t2b_log_odds_of_one_group_are_the_published_ones():
    found = neglabel_log_odds(ID, NEGATIVE, scale=100, group_count=1)
    np.testing.assert_allclose(found, [1.857812, -5.010101, 2.128746, -9.941753], rtol=0, atol=1e-6)


def test_t2f_one_group_is_not_the_sum_of_id_logits_that_the_published_code_returns():
    for name in ("neglabel", "csp"):
        found = score(name, ID, NEGATIVE, scale=100, group_count=1)
        assert not np.isclose(found, [68, 59, 67, 50]).any()
        assert (found <= 1).all()


@pytest.mark.parametrize(
    ("negatives", "sizes"), [(60, [60]), (199, [199]), (250, [125, 125]), (10_499, [100] * 104), (1, [1])]
)
def test_t6h_groups_of_about_a_hundred(negatives, sizes):
    assert group_sizes(negatives, size=100) == Grouping(size=100).sizes(negatives) == sizes


def test_groups_of_published_banks_drop_the_tail():
    assert group_sizes(10_499) == [104] * 100
    assert group_sizes(10_499, remainder="join") == [105] * 99 + [104]
    assert group_sizes(8_493) == [84] * 100
    assert group_sizes(3, count=100) == [1, 1, 1]


def test_t8_the_two_nearest_negatives_bound_the_score_from_both_sides():
    """The bounds follow from the pure form: the others weigh nothing at best, as much as the second at worst."""
    two = -np.sort(-NEGATIVE, axis=1)[:, :2]
    lower = score("neglabel", ID, two[:, [0, 1, 1, 1]], scale=100, group_count=1)
    upper = score("neglabel", ID, two, scale=100, group_count=1)
    np.testing.assert_allclose(lower, [0.840276, 0.005443, 0.877952, 0.000048], rtol=0, atol=1e-6)
    np.testing.assert_allclose(upper, [0.866933, 0.006732, 0.899076, 0.000048], rtol=0, atol=1e-6)
    exact = score("neglabel", ID, NEGATIVE, scale=100, group_count=1)
    assert (lower <= exact).all() and (exact <= upper).all()


def test_joined_remainders_enter_the_score():
    first, second = (neglabel_log_odds(ID, NEGATIVE[:, columns], scale=100, group_count=1) for columns in ([0, 1], [2]))
    expected = (sigmoid(first) + sigmoid(second)) / 2
    found = score("neglabel", ID, NEGATIVE[:, :3], scale=100, group_count=2, remainder="join")
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1, {"eoe": 0.164678, "msp": 0.217429, "energy": -0.330412, "max_logit": 0.03, "max": 0.519989}),
        (0.01, {"eoe": 0.940412, "msp": 0.952264, "energy": 0.030002, "max_logit": 0.03}),
    ],
)
def test_table_a_all_variants_of_eoe(temperature, expected):
    for variant, value in expected.items():
        found = score("eoe", EOE_ID, EOE_OUT, variant=variant, temperature=temperature)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, [value], rtol=0, atol=1e-6, err_msg=variant)
    np.testing.assert_allclose(
        score("eoe", EOE_ID, EOE_OUT, variant="eoe", beta=0, temperature=temperature), expected["msp"], atol=1e-6
    )


def test_table_a_mcm_and_the_second_row_of_max():
    assert score("mcm", EOE_ID, scale=1)[0] == pytest.approx(0.519989, abs=1e-6)
    assert score("mcm", EOE_ID, scale=100)[0] == pytest.approx(0.999665, abs=1e-6)
    found = score("eoe", np.array([[0.20, 0.10]]), np.array([[0.27]]), variant="max")
    np.testing.assert_allclose(found, [0.5], rtol=0, atol=1e-12)


def test_the_temperatures_of_eoe_are_the_published_ones_when_none_is_given():
    for variant, temperature in (("eoe", 1), ("msp", 1), ("max", 1), ("energy", 0.01)):
        given = score("eoe", EOE_ID, EOE_OUT, variant=variant, temperature=temperature)
        np.testing.assert_array_equal(score("eoe", EOE_ID, EOE_OUT, variant=variant), given, err_msg=variant)


@pytest.mark.parametrize(
    ("outliers", "expected"),
    [
        ([0.27, 0.18], 0.200342),
        ([0.10, 0.15], 0.217852),
        ([0.27, 0.15], 0.201741),
        ([0.27, 0.18, 0.10, 0.15], 0.138718),
    ],
    ids=["near", "far", "label mix", "union"],
)
def test_table_a2_eoe_of_mixed_outlier_labels(outliers, expected):
    np.testing.assert_allclose(score("eoe", EOE_ID, np.array([outliers])), [expected], rtol=0, atol=1e-6)


def test_table_b_neglabel_with_and_without_groups():
    negatives = np.array([[0.27, 0.18, 0.10, 0.25]])
    for groups, expected in ((1, 0.946511), (2, 0.972947)):
        found = score("neglabel", EOE_ID, negatives, scale=1, temperature=0.01, group_count=groups)
        np.testing.assert_allclose(found, [expected], rtol=0, atol=1e-6)
    for pair, expected in ((negatives[:, :2], 0.952584), (negatives[:, 2:], 0.993309)):
        found = score("neglabel", EOE_ID, pair, scale=100, group_count=1)
        np.testing.assert_allclose(found, [expected], rtol=0, atol=1e-6)


def test_max_logit_is_the_largest_cosine_times_the_scale():
    np.testing.assert_array_equal(score("max_logit", ID, NEGATIVE), [0.28, 0.22, 0.25, 0.19])
    np.testing.assert_allclose(score("max_logit", ID, scale=100), [28, 22, 25, 19], rtol=1e-15)


def test_energy_is_the_log_of_the_sum_of_exponentials():
    by_hand = [math.log(sum(math.exp(c) for c in row)) for row in ID]
    np.testing.assert_allclose(score("energy", ID, NEGATIVE, temperature=1), by_hand, rtol=1e-14)
    sharp = [0.01 * math.log(sum(math.exp(100 * c) for c in row)) for row in ID]
    np.testing.assert_allclose(score("energy", ID), sharp, rtol=1e-14)
    np.testing.assert_allclose(score("energy", np.full((1, 4), 0.3), temperature=0.5), [0.3 + 0.5 * math.log(4)])


def test_knn_is_the_negative_distance_to_the_kth_nearest_reference():
    """Cosines 1, 0.5, 0, -1 are distances 0, 1, sqrt 2, 2."""
    reference = np.array([[0.5, 1.0, -1.0, 0.0]])
    for k, distance in ((1, 0.0), (2, 1.0), (3, math.sqrt(2)), (4, 2.0)):
        np.testing.assert_allclose(score("knn", ID[:1], reference_cosines=reference, k=k), [-distance], rtol=1e-15)
    beyond_one = np.array([[1.0 + 1e-7]])  # a cosine of float32 vectors
    assert score("knn", ID[:1], reference_cosines=beyond_one, k=1) == [0.0]


def test_fusion_is_the_weighted_mean_of_both_standardised_sides():
    """T2b gives the text side; references at cosines 1 and 0.5 are at distances 0 and 1."""
    reference = np.array([[0.5, 1.0], [1.0, 1.0], [0.5, 0.5], [1.0, 0.5]])
    both = {"text_mean": 1.0, "text_deviation": 2.0, "image_mean": -0.5, "image_deviation": 0.25}
    given = {"reference_cosines": reference, "k": 2, "scale": 100, "group_count": 1, **both}
    text = (np.array([1.857812, -5.010101, 2.128746, -9.941753]) - 1) / 2
    image = (np.array([-1.0, 0.0, -1.0, -1.0]) + 0.5) / 0.25
    for weight in (0.0, 0.25, 1.0):
        found = score("fusion", ID, NEGATIVE, weight=weight, **given)
        np.testing.assert_allclose(found, (1 - weight) * text + weight * image, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "id_cosines", "negatives", "parameters", "message"),
    [
        ("neglabel", ID, None, {"scale": 1}, "needs negative labels"),
        ("neglabel", ID, NEGATIVE[:, :0], {"scale": 1}, "needs negative labels"),
        ("neglabel", ID, NEGATIVE, {}, "missing a required argument: 'scale'"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "ngroup": 1}, "unexpected keyword argument 'ngroup'"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "group_count": 2, "group_size": 2}, "not both"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "group_count": 0}, "group_count is 0"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "group_size": -1}, "group_size is -1"),
        ("neglabel", ID, NEGATIVE, {"scale": 0}, "scale is 0.0"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "remainder": "keep"}, "remainder is 'keep'"),
        ("neglabel", ID, NEGATIVE, {"scale": 1, "group_count": 3, "permutation": [3, 0, 1]}, "each of the 3"),
        ("mcm", ID[:, :1], None, {"scale": 1}, "at least two"),
        ("eoe", ID, None, {}, "needs negative labels"),
        ("eoe", ID[:, :1], NEGATIVE, {"variant": "max"}, "at least two ID labels"),
        ("eoe", ID, NEGATIVE, {"variant": "mpl"}, "variant is 'mpl'"),
        ("eoe", ID, NEGATIVE, {"beta": 1.5}, "beta is 1.5"),
        ("knn", ID, None, {}, "missing a required argument: 'reference_cosines'"),
        ("knn", ID, None, {"reference_cosines": ID, "k": 4}, "needs 4 reference images, and there are 3"),
        ("energy", ID, None, {"temperature": 0}, "temperature is 0.0"),
        ("msp", ID, None, {"scale": 1}, "no method is called 'msp'"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(name, id_cosines, negatives, parameters, message):
    with pytest.raises(UsageError, match=message):
        score(name, id_cosines, negatives, **parameters)


@pytest.mark.parametrize("given", [{"count": 0}, {"count": -1}, {"size": 0}, {"size": -3}, {"count": 1, "size": 1}])
def test_a_grouping_of_less_than_one_is_refused(given):
    with pytest.raises(UsageError, match=r"at least one|not both"):
        Grouping(**given)
