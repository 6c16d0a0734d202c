"""Metrics: hand-computed tables, peers, properties, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import UsageError
from curator.metrics import METRICS, aupr, auroc, bootstrap, fpr95, interval, measure

# Vector T7 of the method specification.
T7_ID = [round(0.99 - 0.01 * step, 2) for step in range(19)] + [0.30]
T7_OOD = [0.95, 0.60, 0.50, 0.45, 0.40, 0.35, 0.25, 0.20, 0.15, 0.05]

# Few distinct values, so that ties are common.
SCORES = st.lists(st.integers(-6, 6).map(lambda whole: whole / 4), min_size=1, max_size=40)


def test_vector_t7():
    assert auroc(T7_ID, T7_OOD) == pytest.approx(0.8975, abs=1e-12)
    assert fpr95(T7_ID, T7_OOD, positive="id") == pytest.approx(0.10, abs=1e-12)
    assert fpr95(T7_ID, T7_OOD, positive="id", cut="at_least") == pytest.approx(0.10, abs=1e-12)
    assert fpr95(T7_ID, T7_OOD, positive="ood") == pytest.approx(0.80, abs=1e-12)


def fpr95_as_mcm_computes_it(id_scores, ood_scores) -> float:
    """Of all scores as thresholds, the lowest whose recall of ID is nearest to 0.95."""
    id_scores, ood_scores = np.asarray(id_scores), np.asarray(ood_scores)
    thresholds = np.unique(np.concatenate([id_scores, ood_scores]))
    recall = np.array([(id_scores >= threshold).mean() for threshold in thresholds])
    best = thresholds[np.argmin(np.abs(recall - 0.95))]
    return float((ood_scores >= best).mean())


def test_published_code_counts_ood_down_to_the_next_id_score():
    assert fpr95_as_mcm_computes_it(T7_ID, T7_OOD) == pytest.approx(0.60)
    random = np.random.default_rng(1)
    id_scores, ood_scores = random.normal(2, 1, 2000), random.normal(0, 1, 2000)
    ours = fpr95(id_scores, ood_scores, positive="id")
    assert 0 <= fpr95_as_mcm_computes_it(id_scores, ood_scores) - ours < 0.005


@pytest.mark.parametrize("cut", ["nearest", "at_least"])
def test_vector_h(cut):
    id_scores = [round(0.05 * step, 2) for step in range(1, 21)]
    assert fpr95(id_scores, [0.02, 0.06, 0.5, 0.99], positive="id", cut=cut) == 0.5


def test_tables_by_hand():
    # Ranked downwards: ID 4, OOD 3, ID 2 = OOD 2, ID 1.
    id_scores, ood_scores = [4, 2, 1], [3, 2]
    assert auroc(id_scores, ood_scores) == pytest.approx((2 + 0.5 + 0) / 6)
    assert aupr(id_scores, ood_scores, positive="id") == pytest.approx((1 / 1 + 2 / 4 + 3 / 5) / 3)
    assert aupr(id_scores, ood_scores, positive="ood") == pytest.approx((1 / 3 + 2 / 4) / 2)
    trapezoid = ((1 + 1) / 2 + (1 / 2 + 2 / 4) / 2 + (2 / 4 + 3 / 5) / 2) / 3
    assert aupr(id_scores, ood_scores, positive="id", rule="trapezoid") == pytest.approx(trapezoid)
    assert fpr95(id_scores, ood_scores, positive="id") == 1.0  # kept from 1 upwards: both OOD
    assert fpr95(id_scores, ood_scores, positive="ood") == pytest.approx(2 / 3)  # flagged up to 3: ID 1 and 2


def test_nearest_recall_may_lie_under_ninety_five_percent():
    id_scores = list(range(1, 13))  # recalls of 12 twelfths and 11 twelfths: the latter is nearer to 0.95
    assert fpr95(id_scores, [0.5, 1.5, 1.7, 5], positive="id", cut="nearest") == 0.25
    assert fpr95(id_scores, [0.5, 1.5, 1.7, 5], positive="id", cut="at_least") == 0.75


def test_of_two_recalls_equally_near_the_higher_is_taken():
    assert fpr95(range(1, 11), [1.5], positive="id") == 1.0  # 10 of 10 and 9 of 10 are both 0.05 away


@settings(deadline=None)  # a busy machine is no error
@given(SCORES, SCORES)
def test_scikit_learn_agrees(id_scores, ood_scores):
    sk = pytest.importorskip("sklearn.metrics")
    labels = [1] * len(id_scores) + [0] * len(ood_scores)
    scores = np.array(id_scores + ood_scores)
    assert auroc(id_scores, ood_scores) == pytest.approx(sk.roc_auc_score(labels, scores))
    assert aupr(id_scores, ood_scores, positive="id") == pytest.approx(sk.average_precision_score(labels, scores))
    flipped = 1 - np.array(labels)
    assert aupr(id_scores, ood_scores, positive="ood") == pytest.approx(sk.average_precision_score(flipped, -scores))
    false, true, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    # Of all points of one recall the first has the highest threshold, which is a score of the positive class.
    reached = false[np.argmax(20 * np.rint(true * len(id_scores)) >= 19 * len(id_scores))]
    assert fpr95(id_scores, ood_scores, positive="id", cut="at_least") == pytest.approx(reached)
    false, true, _ = sk.roc_curve(flipped, -scores, drop_intermediate=False)
    reached = false[np.argmax(20 * np.rint(true * len(ood_scores)) >= 19 * len(ood_scores))]
    assert fpr95(id_scores, ood_scores, positive="ood") == pytest.approx(reached)


@settings(deadline=None)  # a busy machine is no error
@given(SCORES, SCORES)
def test_pytorch_ood_agrees(id_scores, ood_scores):
    peer = pytest.importorskip("pytorch_ood.metrics.functional")
    import torch

    # Its scores are higher for OOD, and labels below zero are OOD.
    outlier = -torch.tensor(id_scores + ood_scores, dtype=torch.float64)
    labels = torch.tensor([0] * len(id_scores) + [-1] * len(ood_scores))
    assert auroc(id_scores, ood_scores) == pytest.approx(float(peer.auroc(outlier, labels)))
    for positive in ("id", "ood"):
        area = aupr(id_scores, ood_scores, positive=positive, rule="trapezoid")
        assert area == pytest.approx(float(peer.aupr(outlier, labels, positive)))
    if len(ood_scores) % 20:  # where 95 % is hit exactly, its comparison depends on rounding
        assert fpr95(id_scores, ood_scores, positive="ood") == pytest.approx(float(peer.fpr_at_tpr(outlier, labels)))


@settings(deadline=None)  # a busy machine is no error
@given(SCORES, SCORES)
def test_no_strictly_increasing_map_changes_a_metric(id_scores, ood_scores):
    mapped = measure(np.exp(np.array(id_scores)) * 3 - 7, np.exp(np.array(ood_scores)) * 3 - 7)
    assert mapped == measure(id_scores, ood_scores)


@settings(deadline=None)  # a busy machine is no error
@given(SCORES, SCORES)
def test_changing_sides(id_scores, ood_scores):
    assert auroc(id_scores, ood_scores) == pytest.approx(1 - auroc(ood_scores, id_scores))
    turned = -np.array(ood_scores), -np.array(id_scores)
    assert auroc(id_scores, ood_scores) == pytest.approx(auroc(*turned))
    assert aupr(id_scores, ood_scores, positive="ood") == aupr(*turned, positive="id")
    for cut in ("nearest", "at_least"):
        assert fpr95(id_scores, ood_scores, positive="ood", cut=cut) == fpr95(*turned, positive="id", cut=cut)


@settings(deadline=None)  # a busy machine is no error
@given(SCORES, SCORES, st.randoms())
def test_order_changes_nothing_and_all_lie_between_zero_and_one(id_scores, ood_scores, random):
    found = measure(id_scores, ood_scores)
    assert all(0 <= value <= 1 for value in found.values())
    random.shuffle(id_scores)
    random.shuffle(ood_scores)
    assert measure(id_scores, ood_scores) == found


@settings(deadline=None)  # a busy machine is no error
@given(SCORES, SCORES)
def test_a_replicate_equals_the_metrics_of_the_scores_drawn(id_scores, ood_scores):
    replicates = bootstrap(id_scores, ood_scores, replicates=3, seed=7, stream=2)
    id_draws, ood_draws = np.random.default_rng([7, 0]), np.random.default_rng([7, 1, 2])
    for place in range(3):
        drawn_id = np.sort(id_scores)[id_draws.integers(len(id_scores), size=len(id_scores))]
        drawn_ood = np.sort(ood_scores)[ood_draws.integers(len(ood_scores), size=len(ood_scores))]
        expected = measure(drawn_id, drawn_ood)
        assert {name: values[place] for name, values in replicates.items()} == pytest.approx(expected)


def test_bootstrap_is_repeatable_and_its_spread_is_that_of_theory():
    random = np.random.default_rng(0)
    id_scores, ood_scores = random.normal(1.5, 1, 800), random.normal(0, 1, 600)
    replicates = bootstrap(id_scores, ood_scores, replicates=400, seed=3)
    again = bootstrap(id_scores, ood_scores, replicates=400, seed=3)
    assert all((replicates[name] == again[name]).all() for name in METRICS)
    # Hanley and McNeil 1982: the standard error of an AUROC.
    area = auroc(id_scores, ood_scores)
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + 799 * (first - area**2) + 599 * (second - area**2)) / (800 * 600)
    assert replicates["auroc"].std() == pytest.approx(variance**0.5, rel=0.25)
    low, high = interval(replicates["auroc"])
    assert low < area < high


@pytest.mark.parametrize(("id_scores", "ood_scores"), [([], [1.0]), ([1.0], []), ([float("nan")], [1.0])])
def test_no_scores_and_nan_are_refused(id_scores, ood_scores):
    with pytest.raises(UsageError, match="at least one score"):
        measure(id_scores, ood_scores)
    assert np.isnan(interval(np.array([]))[0])
