"""Calibration keeps what it promises; a policy is its content."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import UsageError
from curator.methods import resolve_method
from curator.methods.statistics import exact_statistics
from curator.policy import Policy, calibrate, calibrated_policy
from curator.policy.default import default_policy
from curator.types import Bank, Label
from tests.methods.scored import score_vectors

VALUES = st.lists(st.floats(-100, 100) | st.integers(-3, 3).map(float), min_size=1, max_size=60)
SHARES = st.floats(0.001, 0.999) | st.sampled_from([0.05, 0.07, 0.5, 0.9, 0.95, 0.99])


def make_bank(ids=5, scale=30.0):
    labels = tuple(Label(f"label {n}", "id" if n < ids else "negative", "test") for n in range(ids + 4))
    return Bank("b", "d" * 32, "test@1", scale, labels, np.eye(len(labels), 64, dtype=np.float32), {})


@given(VALUES, SHARES)
def test_at_least_the_wanted_share_is_kept_and_no_higher_observed_cut_would_do(values, keep):
    log_odds = np.array(values)
    found = calibrate(log_odds, keep=keep)
    assert found.kept_share == (log_odds >= found.min_log_odds).mean() >= keep
    assert found.min_log_odds in values
    assert all((log_odds >= higher).mean() < keep for higher in values if higher > found.min_log_odds)


@given(VALUES, SHARES, st.randoms())
def test_the_order_of_the_reference_does_not_matter(values, keep, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    assert calibrate(np.array(values), keep=keep) == calibrate(np.array(shuffled), keep=keep)


@given(VALUES, SHARES, SHARES)
def test_keeping_more_never_raises_the_cut(values, first, second):
    low, high = sorted((first, second))
    log_odds = np.array(values)
    assert calibrate(log_odds, keep=high).min_log_odds <= calibrate(log_odds, keep=low).min_log_odds


def test_shares_are_read_as_decimals():
    """0.07 * 100 is 7.000000000000001 in binary; seven of a hundred is meant."""
    assert calibrate(np.arange(100.0), keep=0.07).min_log_odds == 93.0
    assert calibrate(np.arange(100.0), keep=0.95).min_log_odds == 5.0
    assert calibrate(np.arange(20.0), keep=0.95).kept_share == 0.95


def test_ties_at_the_cut_are_kept_together():
    found = calibrate(np.array([0.0, 1, 1, 1, 1, 1, 1, 1, 1, 2]), keep=0.5)
    assert (found.min_log_odds, found.kept_share) == (1.0, 0.9)


def test_a_reference_too_small_for_its_tail_is_warned_of():
    assert calibrate(np.arange(200.0), keep=0.95).warning is None
    warning = calibrate(np.arange(199.0), keep=0.95).warning
    assert warning is not None and "199" in warning and "200" in warning
    assert calibrate(np.arange(20.0), keep=0.5).warning is None


@pytest.mark.parametrize(
    ("values", "keep", "message"),
    [
        ([], 0.95, "no reference scores"),
        ([[1.0, 2.0]], 0.95, "no reference scores"),
        ([1.0, np.nan, np.inf], 0.95, "2 of 3 reference scores are not finite"),
        ([1.0], 0.0, "between 0 and 1"),
        ([1.0], 1.0, "between 0 and 1"),
        ([1.0], float("nan"), "between 0 and 1"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused(values, keep, message):
    with pytest.raises(UsageError, match=message):
        calibrate(np.array(values), keep=keep)


def test_a_policy_flags_what_lies_below_its_cut_and_what_is_no_number():
    policy = Policy("p", "e", "b", "m", 0.5)
    assert policy.flags(np.array([0.4999, 0.5, 0.7, -np.inf, np.nan])).tolist() == [True, False, False, True, True]


def test_the_default_of_neglabel_flags_an_id_score_below_one_half():
    bank = make_bank()
    method = resolve_method("neglabel:group_count=1", bank)
    policy = default_policy(bank, method)
    table = score_vectors(bank.vectors, bank, method)
    np.testing.assert_array_equal(policy.flags(table.log_odds), table.id_score < 0.5)
    assert policy.flags(table.log_odds).tolist() == [False] * 5 + [True] * 4
    assert (policy.bank_digest, policy.method_id) == (bank.digest, method.method_id)
    assert policy.provenance["kind"] == "default"


@pytest.mark.parametrize("text", ["neglabel", "neglabel:group_count=1", "neglabel:group_count=3,remainder=join"])
def test_the_label_for_label_default_does_not_depend_on_the_numbers_of_labels(text):
    """Repeating every negative, or every ID label, moves scores and cut alike."""
    single = make_bank()
    doubled = np.repeat(np.arange(9), [1] * 5 + [2] * 4)
    twice = replace(single, labels=tuple(single.labels[n] for n in doubled), vectors=single.vectors[doubled])
    images = np.random.default_rng(5).normal(size=(50, 64)).astype(np.float32)
    images[:, 9:] = 0
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    flagged = []
    for bank in (single, twice):
        method = resolve_method("neglabel:group_count=1", bank)
        policy = default_policy(bank, method, rule="label_for_label")
        flagged.append(policy.flags(score_vectors(images, bank, method, precision="full").log_odds))
        even = np.full((1, 64), 0.125, dtype=np.float32)
        centre = score_vectors(even, bank, resolve_method(text, bank), precision="full").log_odds
        cut = default_policy(bank, resolve_method(text, bank), rule="label_for_label").min_log_odds
        np.testing.assert_allclose(centre, cut, rtol=0, atol=6e-4)  # 2e-5 of the scale
    np.testing.assert_array_equal(*flagged)
    assert 0 < flagged[0].sum() < 50


@pytest.mark.parametrize("rule", ["even_odds", "label_for_label"])
@pytest.mark.parametrize(
    "text",
    [
        *("max_logit", "energy", "knn", "fusion", "mcm:scale=1"),
        *("eoe", "eoe:variant=msp", "eoe:variant=energy", "eoe:variant=max"),
    ],
)
def test_a_method_without_a_natural_threshold_asks_for_calibration(text, rule):
    bank = make_bank()
    method = resolve_method(text, bank)
    with pytest.raises(UsageError, match="has no natural threshold") as caught:
        default_policy(bank, method, rule=rule)
    assert method.method_id in str(caught.value) and "curator calibrate" in (caught.value.hint or "")
    assert calibrated_policy(bank, method, calibrate(np.arange(300.0), keep=0.95), name="n").min_log_odds == 15.0


@pytest.mark.parametrize("rule", ["even_odds", "label_for_label"])
def test_the_default_of_eoe_by_max_logit_flags_where_a_negative_is_nearer(rule):
    bank = make_bank()
    method = resolve_method("eoe:variant=max_logit", bank)
    policy = default_policy(bank, method, rule=rule)
    images = np.random.default_rng(5).normal(size=(50, 64)).astype(np.float32)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    table = score_vectors(images, bank, method)
    np.testing.assert_array_equal(policy.flags(table.log_odds), table.id_cosine < table.negative_cosine)
    assert 0 < policy.flags(table.log_odds).sum() < 50


def test_the_default_of_csp_is_that_of_neglabel():
    bank = replace(make_bank(), spec={"mining": {"method": "csp"}})
    for rule in ("even_odds", "label_for_label"):
        csp, neglabel = (default_policy(bank, resolve_method(name, bank), rule=rule) for name in ("csp", "neglabel"))
        assert csp.min_log_odds == neglabel.min_log_odds
        assert csp.policy_id != neglabel.policy_id


@pytest.mark.parametrize(("text", "ids"), [("mcm:scale=1", 5), ("mcm", 2), ("mcm:temperature=30", 1000)])
def test_mcm_has_no_default_where_even_odds_say_nothing(text, ids):
    bank = make_bank(5)
    method = resolve_method(text, bank)
    with pytest.raises(UsageError, match="no natural threshold") as caught:
        method.default_min_log_odds(exact_statistics(np.zeros((1, ids)), None, method.needs), "even_odds")
    assert "curator calibrate" in (caught.value.hint or "")
    assert default_policy(bank, resolve_method("mcm", bank)).min_log_odds == 0.0


def test_a_calibrated_policy_tells_how_it_was_made_in_json():
    bank = make_bank()
    calibration = calibrate(np.arange(100.0), keep=0.9)
    policy = calibrated_policy(
        bank, resolve_method("mcm", bank), calibration, name="night", reference={"sources": ["ref/"]}
    )
    assert policy.min_log_odds == 10.0
    facts = json.loads(json.dumps(policy.provenance))
    assert facts["kind"] == "calibrated" and facts["n"] == 100 and facts["reference"] == {"sources": ["ref/"]}


def test_the_id_of_a_policy_is_its_content():
    policy = Policy("p", "e", "b", "m", 0.0, {"kind": "default", "a": 1})
    assert policy.policy_id == replace(policy, provenance={"a": 1, "kind": "default"}).policy_id
    assert policy.policy_id == replace(policy, min_log_odds=np.float64(0)).policy_id
    changes = [{"name": "q"}, {"encoder_id": "f"}, {"bank_digest": "c"}, {"method_id": "n"}, {"min_log_odds": 1e-12}]
    changes.append({"provenance": {"kind": "calibrated"}})
    ids = {policy.policy_id, *(replace(policy, **change).policy_id for change in changes)}
    assert len(ids) == len(changes) + 1
    assert all(len(policy_id) == 32 for policy_id in ids)


@pytest.mark.parametrize("cut", [float("nan"), float("inf")])
def test_a_cut_must_be_a_number_that_does_not_flag_everything(cut):
    with pytest.raises(UsageError, match="must be a number"):
        Policy("p", "e", "b", "m", cut)


def test_a_cut_of_minus_infinity_is_a_policy_that_flags_nothing():
    policy = Policy("p", "e", "b", "m", float("-inf"))
    assert policy.flags(np.array([-1e308, 0.0])).tolist() == [False, False]
    assert policy.policy_id != replace(policy, min_log_odds=0.0).policy_id
