"""The pure forms of methods that were learnt or generated, against conformance values: `negative-labels.md` (T4 to T6),
`generative.md` (A2, B, E). And what holds of them whatever the cosines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curator.errors import UsageError
from curator.methods import score
from curator.methods.kernels.projection import projected
from curator.methods.maths import log_odds_of_mix, log_sigmoid, sigmoid
from curator.methods.members.adaneg import AdaNeg
from curator.methods.members.ants import (
    ANTS,
    adaptive_weight,
    ants_score,
    balanced_scores,
    capped_queue,
    side_log_odds,
    side_score,
)
from curator.methods.members.mmood import MMOOD
from curator.methods.members.neglabel import neglabel_log_odds
from curator.methods.members.tanl import TANL, tanl_log_odds

ID = np.array([[0.28, 0.21, 0.19], [0.20, 0.22, 0.17], [0.25, 0.24, 0.18], [0.15, 0.19, 0.16]])
NEGATIVE = np.array(
    [[0.24, 0.22, 0.18, 0.26], [0.27, 0.25, 0.16, 0.23], [0.21, 0.23, 0.20, 0.19], [0.29, 0.18, 0.24, 0.22]]
)
ENS = np.array([[0.22, 0.20, 0.21], [0.30, 0.24, 0.19], [0.20, 0.19, 0.23], [0.31, 0.22, 0.20]])
VSNL = np.array([[0.26, 0.23], [0.21, 0.20], [0.27, 0.22], [0.20, 0.18]])
T6A, T6B = [0.996292, 0.000382, 0.904482, 0.000007], [0.875713, 0.694148, 0.155410, 0.257110]
T6C = [0.413349, 0.184974, 0.018068, 0.033452]
COSINES = st.floats(-1, 1)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, [0.865042, 0.006626, 0.893666, 0.000048]),
        (1, [0.951582, 0.006932, 0.918663, 0.000048]),
        (2, [0.922346, 0.006679, 0.896371, 0.000048]),
        (3, [0.922324, 0.006679, 0.894390, 0.000048]),
    ],
    ids=["T2a", "T5a", "T5b", "T5c"],
)
def test_t5_cumulative_scores(step, expected):
    np.testing.assert_allclose(score("tanl", ID, NEGATIVE, scale=100, step=step), expected, rtol=0, atol=1e-6)


def test_t6a_t6b_either_side_alone():
    for variant, expected in (("ens", T6A), ("vsnl", T6B)):
        found = score("ants", ID, ENS, vsnl_cosines=VSNL, scale=100, variant=variant)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(side_score(ID, ENS, scale=100), T6A, rtol=0, atol=1e-6)


def test_t6c_the_balanced_side_counts_its_labels_ten_times():
    ens, vsnl = balanced_scores(ID, ENS, VSNL, scale=100, group_size=1000)
    np.testing.assert_allclose(ens, T6A, rtol=0, atol=1e-6)
    np.testing.assert_allclose(vsnl, T6C, rtol=0, atol=1e-6)


def test_t6d_the_papers_weight_over_the_negative_images():
    means = [float(np.array(side)[[1, 3]].mean()) for side in (T6A, T6B)]
    np.testing.assert_allclose(means, [0.000194, 0.475629], rtol=0, atol=1e-6)
    weight = adaptive_weight(*means)
    assert weight == pytest.approx(0.655964, abs=1e-6)
    found = score("ants", ID, ENS, vsnl_cosines=VSNL, scale=100, weight=weight)
    np.testing.assert_allclose(found, [0.954808, 0.239062, 0.646774, 0.088459], rtol=0, atol=1e-6)


def test_t6e_the_codes_weight_over_all_images_by_balanced_scores():
    means = [float(side.mean()) for side in balanced_scores(ID, ENS, VSNL, scale=100, group_size=1000)]
    np.testing.assert_allclose(means, [0.475290, 0.162461], rtol=0, atol=1e-6)
    weight = adaptive_weight(*means)
    assert weight == pytest.approx(0.385179, abs=1e-6)
    found = score("ants", ID, ENS, vsnl_cosines=VSNL, scale=100, weight=weight)
    np.testing.assert_allclose(found, [0.922157, 0.426924, 0.443936, 0.158079], rtol=0, atol=1e-6)


def test_t6g_a_full_queue_drops_its_oldest():
    new, old = np.array(["n1", "n2"]), np.array(["o0", "o1", "o2"])
    assert capped_queue(new, old, 3).tolist() == ["n1", "n2", "o0"]
    assert capped_queue(new, old, 1).tolist() == ["n1"] and capped_queue(new[:0], old, 9).tolist() == old.tolist()


@pytest.mark.parametrize(("negatives", "groups"), [(60, [60]), (199, [199]), (250, [125, 125]), (10_499, [100] * 104)])
def test_t6h_groups_of_a_side(negatives, groups):
    assert ANTS(scale=100.0).text.grouping.sizes(negatives) == groups


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_weight_is_a_share_that_falls_as_the_side_keeps_more(ens, vsnl):
    weight = adaptive_weight(ens, vsnl)
    assert 0 <= weight <= 1
    assert adaptive_weight(min(1.0, ens + 0.1), vsnl) <= weight + 1e-9 or ens == vsnl == 1 or vsnl > 1 - 1e-9
    if ens < 0.99 and vsnl < 0.99:
        assert weight + adaptive_weight(vsnl, ens) == pytest.approx(1)


def test_the_weight_is_even_where_both_sides_keep_all():
    assert adaptive_weight(1.0, 1.0) == adaptive_weight(0.3, 0.3) == 0.5
    assert adaptive_weight(1.0, 0.2) == 0.0 and adaptive_weight(0.2, 1.0) == 1.0


def drawn(data, rows, columns):
    return data.draw(arrays(np.float64, (rows, columns), elements=COSINES))


@given(data=st.data(), weight=st.floats(0, 1), scale=st.sampled_from([1.0, 30.0, 1000.0]))
def test_the_score_of_ants_lies_between_its_sides(data, weight, scale):
    ids, ens, vsnl = (drawn(data, 3, columns) for columns in (2, 4, 3))
    sides = [side_score(ids, side, scale=scale) for side in (ens, vsnl)]
    found = ants_score(ids, ens, vsnl_cosines=vsnl, weight=weight, scale=scale)
    assert (np.minimum(*sides) - 1e-12 <= found).all() and (found <= np.maximum(*sides) + 1e-12).all()
    np.testing.assert_allclose(found, weight * sides[0] + (1 - weight) * sides[1], rtol=1e-9, atol=1e-300)


@given(data=st.data(), scale=st.sampled_from([1.0, 100.0]), side=st.sampled_from(["ens", "vsnl"]))
def test_an_added_negative_never_raises_the_side_that_it_is_added_to(data, scale, side):
    ids, more = drawn(data, 3, 2), drawn(data, 3, 5)
    fewer, all_of = (side_log_odds(ids, columns, scale=scale) for columns in (more[:, :4], more))
    assert (all_of <= fewer + 1e-9).all()
    both = {"ens": drawn(data, 3, 3), "vsnl": drawn(data, 3, 3)}
    found = []
    for columns in (more[:, :4], more):
        sides = {**both, side: columns}
        found.append(ants_score(ids, sides["ens"], vsnl_cosines=sides["vsnl"], weight=0.4, scale=scale))
    assert (found[1] <= found[0] + 1e-12).all()


@given(
    arrays(np.float64, (2, 5), elements=st.floats(-900, 900)),
    st.floats(0, 1),
)
def test_the_log_odds_of_a_mix_lie_between_both_and_do_not_saturate(both, weight):
    found = log_odds_of_mix(both[0], both[1], weight)
    assert np.isfinite(found).all()
    assert (both.min(axis=0) - 1e-9 <= found).all() and (found <= both.max(axis=0) + 1e-9).all()
    expected = weight * sigmoid(both[0]) + (1 - weight) * sigmoid(both[1])
    np.testing.assert_allclose(np.exp(log_sigmoid(found)), expected, rtol=1e-9, atol=1e-300)


@given(data=st.data(), step=st.integers(1, 7), scale=st.sampled_from([1.0, 30.0, 100.0]))
def test_cumulative_scores_are_the_mean_of_the_plain_ones(data, step, scale):
    ids, negatives = drawn(data, 2, 3), drawn(data, 2, 6)
    ends = [*range(step, 7, step)]
    ends += [6] if not ends or ends[-1] != 6 else []
    parts = [sigmoid(neglabel_log_odds(ids, negatives[:, :end], scale=scale, group_count=1)) for end in ends]
    found = score("tanl", ids, negatives, scale=scale, step=step)
    np.testing.assert_allclose(found, np.mean(parts, axis=0), rtol=1e-9, atol=1e-300)
    assert (tanl_log_odds(ids, negatives, scale=scale, step=step) >= tanl_log_odds(
        ids, negatives, scale=scale, step=0) - 1e-9).all()  # fmt: skip


def test_adaneg_adds_a_tenth_of_the_static_score():
    ids, negatives, proxies = ID, NEGATIVE, np.hstack([ID + 0.02, NEGATIVE - 0.01])
    both = [
        sigmoid(neglabel_log_odds(inside, outside, scale=100, group_count=2))
        for inside, outside in ((proxies[:, :3], proxies[:, 3:]), (ids, negatives))
    ]
    found = score("adaneg", ids, negatives, adaptive_cosines=proxies, scale=100, group_count=2)
    np.testing.assert_allclose(found, both[0] + 0.1 * both[1], rtol=1e-12)
    assert (found >= 0).all() and (found <= 1.1).all()
    alone = score("adaneg", ids, negatives, adaptive_cosines=proxies, scale=100, group_count=2, static_weight=0.0)
    np.testing.assert_allclose(alone, both[0], rtol=1e-12)


@given(st.floats(0, 2), arrays(np.float64, 4, elements=st.floats(-900, 900)))
def test_adaneg_ranks_where_its_score_has_saturated(static_weight, log_odds):
    method = AdaNeg(scale=1.0, static_weight=static_weight)
    found = method.mixed(log_odds, log_odds)
    np.testing.assert_allclose(found, log_odds, rtol=1e-9, atol=1e-9)
    assert (method.id_score(found) <= 1 + static_weight + 1e-12).all()


@pytest.mark.parametrize(
    ("negatives", "given_parameters", "expected"),
    [
        ([0.27, 0.15], {}, 0.201741),
        ([0.27, 0.18, 0.10, 0.15], {}, 0.138718),
        ([0.27, 0.18], {"mix": "scores", "far_cosines": np.array([[0.10, 0.15]])}, 0.209097),
        ([0.27, 0.18], {"mix": "scores", "far_cosines": np.array([[0.10, 0.15]]), "near_weight": 1.0}, 0.200342),
        ([0.27, 0.18], {"mix": "scores", "far_cosines": np.array([[0.10, 0.15]]), "near_weight": 0.0}, 0.217852),
    ],
    ids=["label mix", "union", "score mix", "near", "far"],
)
def test_table_a2_mmood(negatives, given_parameters, expected):
    found = score("mmood", np.array([[0.30, 0.22]]), np.array([negatives]), **given_parameters)
    np.testing.assert_allclose(found, [expected], rtol=0, atol=1e-6)


@given(data=st.data(), beta=st.floats(0, 1), weight=st.floats(0, 1), temperature=st.sampled_from([1.0, 0.01]))
def test_mixed_scores_of_mmood_are_the_mixed_scores_of_eoe(data, beta, weight, temperature):
    ids, near, far = (drawn(data, 2, columns) for columns in (3, 2, 4))
    shared = {"beta": beta, "temperature": temperature}
    parts = [score("eoe", ids, side, **shared) for side in (near, far)]
    found = score("mmood", ids, near, far_cosines=far, mix="scores", near_weight=weight, **shared)
    np.testing.assert_allclose(found, weight * parts[0] + (1 - weight) * parts[1], rtol=0, atol=1e-9)


def test_table_b_synood_with_and_without_groups():
    ids, negatives = np.array([[0.30, 0.22]]), np.array([[0.27, 0.18, 0.10, 0.25]])
    for groups, expected in ((1, 0.946511), (2, 0.972947)):
        found = score("synood", ids, negatives, scale=1, temperature=0.01, group_count=groups)
        np.testing.assert_allclose(found, [expected], rtol=0, atol=1e-6)
    np.testing.assert_allclose(score("synood", ids, negatives, scale=100), [0.946511], rtol=0, atol=1e-6)


def test_table_e_the_projection_of_a_raw_feature():
    weight, bias = np.diag([0.5, 0.25, -0.5]), np.array([0.1, 0.0, -0.1])
    found = projected(np.array([[1.0, 2.0, 2.0]]), weight, bias, np.ones(3), np.zeros(3))
    np.testing.assert_allclose(found, [[0.471226, 0.703233, 0.532362]], rtol=0, atol=1e-6)
    still = projected(np.array([[1.0, 2.0, 2.0]]), weight, bias, np.zeros(3), np.zeros(3))
    np.testing.assert_allclose(still, [[1 / 3, 2 / 3, 2 / 3]], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "arguments", "parameters", "message"),
    [
        ("tanl", (ID, None), {"scale": 1}, "needs negative labels"),
        ("tanl", (ID, NEGATIVE), {"scale": 1, "step": -1}, "step is -1"),
        ("ants", (ID, None), {"scale": 1, "variant": "ens"}, "needs negatives for ens"),
        ("ants", (ID, ENS), {"scale": 1}, "needs negatives for vsnl"),
        ("ants", (ID, ENS), {"scale": 1, "variant": "near"}, "variant is 'near'"),
        ("ants", (ID, ENS), {"scale": 1, "vsnl_cosines": VSNL, "weight": 1.5}, "weight is 1.5"),
        ("mmood", (ID, None), {}, "needs negative labels"),
        ("mmood", (ID, ENS), {"mix": "scores"}, "of both branches"),
        ("mmood", (ID, ENS), {"beta": 2}, "beta is 2.0"),
        ("adaneg", (ID, NEGATIVE), {"scale": 1}, "missing a required argument: 'adaptive_cosines'"),
        ("synood", (ID, None), {"scale": 1}, "needs negative labels"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(name, arguments, parameters, message):
    with pytest.raises(UsageError, match=message):
        score(name, *arguments, **parameters)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MMOOD(near_weight=0.5), "near_weight is for mix=scores"),
        (lambda: AdaNeg(scale=1.0, beta=5.0), "beta is for the mode sample"),
        (lambda: AdaNeg(scale=1.0, static_weight=-1.0), "static_weight is -1.0"),
        (lambda: ANTS(scale=1.0, seed=-1), "seed is -1"),
        (lambda: TANL(scale=0.0), "scale is 0.0"),
    ],
)
def test_parameters_that_cannot_be_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@settings(max_examples=20)
@given(data=st.data())
@pytest.mark.parametrize("name", ["tanl", "synood", "ants", "adaneg", "mmood"])
def test_a_row_does_not_depend_on_the_others(name, data):
    rows = data.draw(st.integers(1, 5))
    ids, negatives, others = (drawn(data, rows, columns) for columns in (3, 6, 9))
    fixed = {} if name == "mmood" else {"scale": 30.0}
    by_row = {"ants": {"vsnl_cosines": others}, "adaneg": {"adaptive_cosines": others}}.get(name, {})
    whole = score(name, ids, negatives, **fixed, **by_row)
    for row in range(rows):
        one = {key: values[row : row + 1] for key, values in by_row.items()}
        found = score(name, ids[row : row + 1], negatives[row : row + 1], **fixed, **one)
        np.testing.assert_array_equal(found, whole[row : row + 1])
