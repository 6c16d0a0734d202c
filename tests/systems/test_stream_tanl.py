"""TANL on a stream: conformance T5d, its parts, and a plain transcription of the published steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curator.methods.members.tanl import tanl_score
from curator.systems.stream import confident_cuts
from curator.systems.tanl.settings import TanlSettings
from curator.systems.tanl.stream import (
    ActivationQueue,
    TanlStream,
    activations,
    mixed_mean,
    ranked,
    two_class_threshold,
)
from tests.systems.conftest import score_stream

ID = np.array([[0.28, 0.21, 0.19], [0.20, 0.22, 0.17], [0.25, 0.24, 0.18], [0.15, 0.19, 0.16]])
NEGATIVE = np.array(
    [[0.24, 0.22, 0.18, 0.26], [0.27, 0.25, 0.16, 0.23], [0.21, 0.23, 0.20, 0.19], [0.29, 0.18, 0.24, 0.22]]
)
ACTIVATED = [
    [0.015827, 0.002142, 0.000039, 0.116950],
    [0.861057, 0.116531, 0.000014, 0.015771],
    [0.011958, 0.088359, 0.004399, 0.001618],
    [0.992344, 0.000017, 0.006686, 0.000905],
]
SCORES = np.array([0.053, 0.121, 0.224, 0.317, 0.641, 0.715, 0.883, 0.932])
HIGH, LOW = [0, 2], [1, 3]
POSITIVE = np.array([[0.05, 0.02, 0.04, 0.03], [0.01, 0.03, 0.06, 0.02]])
OUTSIDE = np.array([[0.30, 0.25, 0.05, 0.20], [0.10, 0.35, 0.10, 0.15]])


def difference(alpha):
    found = activations(ID, NEGATIVE, scale=100)
    queues = [ActivationQueue(300, 4) for _ in range(2)]
    for queue, rows in zip(queues, (POSITIVE, OUTSIDE), strict=True):
        queue.add(rows)
    positive, negative = (
        mixed_mean(queue.mean(), found[rows], alpha) for queue, rows in zip(queues, (HIGH, LOW), strict=True)
    )
    return negative - positive


def test_t5d_activations_are_the_softmax_over_id_labels_and_candidates():
    np.testing.assert_allclose(activations(ID, NEGATIVE, scale=100), ACTIVATED, rtol=0, atol=1e-6)


def test_t5d_the_threshold_is_the_middle_of_the_ties_and_the_cuts_lie_about_it():
    assert two_class_threshold(SCORES, "middle") == pytest.approx(0.48)
    assert two_class_threshold(SCORES, "first") == pytest.approx(0.32)
    np.testing.assert_allclose(confident_cuts(0.48, 0.5), (0.74, 0.24), rtol=1e-12)
    reference = tanl_score(ID, NEGATIVE, scale=100, step=0)
    assert np.flatnonzero(reference > 0.74).tolist() == HIGH and np.flatnonzero(reference < 0.24).tolist() == LOW


@pytest.mark.parametrize(
    ("alpha", "expected", "order"),
    [
        (0.0, [0.912808, 0.013024, 0.001131, -0.050946], [0, 1, 2, 3]),
        (0.95, [0.207140, 0.261901, 0.023807, 0.139953], [1, 0, 3, 2]),
        (1.0, [0.170, 0.275, 0.025, 0.150], [1, 0, 3, 2]),
    ],
)
def test_t5d_the_difference_of_activations_and_the_order_it_gives(alpha, expected, order):
    found = difference(alpha)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert ranked(found, 4).tolist() == order and ranked(found, 2).tolist() == order[:2]


@pytest.mark.parametrize(
    ("order", "step", "expected"),
    [
        ([0, 1], 1, [0.980841, 0.007184, 0.942936, 0.000048]),
        ([0, 1], 2, [0.979650, 0.006732, 0.899076, 0.000048]),
        ([1, 0, 3], 1, [0.947418, 0.022387, 0.902238, 0.247970]),
    ],
)
def test_t5d_cumulative_scores_of_the_selected(order, step, expected):
    found = tanl_score(ID, NEGATIVE[:, order], scale=100, step=step)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)), st.sampled_from(["first", "middle"]))
def test_the_threshold_by_bins_leaves_the_least_variance(scores, ties):
    found = two_class_threshold(scores, ties)

    def within(threshold):
        parts = scores[scores < threshold], scores[scores >= threshold]
        return sum(len(part) * part.var() for part in parts) if all(map(len, parts)) else np.inf

    tried = [within(threshold) for threshold in np.arange(100) / 100]
    if np.isinf(tried).all():
        assert found == np.median(scores)
    else:
        assert within(found) <= min(tried) + 1e-9


@given(arrays(np.float64, st.integers(1, 30), elements=st.integers(-3, 3).map(float)), st.integers(1, 40))
def test_ranked_is_a_stable_sort_cut_short(difference, count):
    expected = np.argsort(-difference, kind="stable")[:count]
    np.testing.assert_array_equal(ranked(difference, count), expected)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=8), st.integers(1, 5))
def test_a_queue_is_the_mean_of_its_newest_rows(sizes, limit):
    drawn, queue, all_rows = np.random.default_rng(1), ActivationQueue(limit, 3), np.zeros((0, 3), dtype=np.float32)
    for size in sizes:
        rows = drawn.random((size, 3)).astype(np.float32)
        queue.add(rows)
        all_rows = np.concatenate([all_rows, rows])[-limit:]
        assert len(queue) == len(all_rows)
        expected = all_rows.mean(axis=0, dtype=np.float64) if len(all_rows) else np.zeros(3)
        np.testing.assert_allclose(queue.mean(), expected, rtol=0, atol=1e-12)


class Naive:
    """The published steps with lists and whole softmaxes."""

    def __init__(self, ids, candidates, noise, *, scale, negatives, alpha, step):
        self.ids, self.candidates = ids.astype(np.float64), candidates.astype(np.float64)
        self.scale, self.count, self.alpha, self.step = scale, negatives, alpha, step
        self.positive, self.negative = list(self.act(ids)), list(self.act(noise))
        order = self.order(np.mean(self.negative, 0) - np.mean(self.positive, 0))
        self.scores = [*self.score(ids, order), *self.score(noise, order)]

    def act(self, rows):
        powers = np.exp(self.scale * rows.astype(np.float64) @ np.concatenate([self.ids, self.candidates]).T)
        return (powers / powers.sum(axis=1, keepdims=True))[:, len(self.ids) :]

    def order(self, difference):
        return np.argsort(-difference, kind="stable")[: self.count]

    def score(self, rows, order):
        rows = rows.astype(np.float64)
        inside = np.exp(self.scale * rows @ self.ids.T).sum(axis=1)
        outside = np.exp(self.scale * rows @ self.candidates[order].T)
        ends = sorted({*range(self.step, len(order) + 1, self.step), len(order)})
        return np.mean([inside / (inside + outside[:, :end].sum(axis=1)) for end in ends], axis=0)

    def feed(self, rows):
        means = np.mean(self.positive, 0), np.mean(self.negative, 0)
        reference = self.score(rows, self.order(means[1] - means[0]))
        self.scores = [*self.scores, *reference][-50:]
        threshold = two_class_threshold(np.array(self.scores), "middle")
        high = self.act(rows[reference > threshold + 0.5 * (1 - threshold)])
        low = self.act(rows[reference < threshold - 0.5 * threshold])
        positive, negative = (
            self.alpha * mean + (1 - self.alpha) * part.mean(0) if len(part) else mean
            for mean, part in zip(means, (high, low), strict=True)
        )
        found = self.score(rows, self.order(negative - positive))
        self.positive, self.negative = [*self.positive, *high][-12:], [*self.negative, *low][-12:]
        return found


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    alpha=st.sampled_from([0.0, 0.95, 1.0]),
    step=st.integers(1, 3),
    negatives=st.integers(1, 12),
    batch=st.integers(1, 20),
)
def test_it_is_the_naive_transcription(drawn, seed, alpha, step, negatives, batch):
    ids, candidates, noise = drawn(5, seed=seed), drawn(10, seed=seed + 1), drawn(3, seed=seed + 2)
    images = drawn(40, seed=seed + 3)
    given = TanlSettings(negatives=negatives, queue=12, alpha=alpha, step=step, score_queue=50)
    stream = TanlStream(ids, candidates, given, scale=12.0, noise=noise)
    naive = Naive(ids, candidates, noise, scale=12.0, negatives=negatives, alpha=alpha, step=step)
    for start in range(0, 40, batch):
        part = images[start : start + batch]
        np.testing.assert_allclose(stream.feed(part), naive.feed(part), rtol=0, atol=1e-5)


def test_what_is_frozen_is_the_order_that_the_queues_give(drawn):
    stream = TanlStream(
        drawn(5, seed=1), drawn(30, seed=2), TanlSettings(negatives=9), scale=12.0, noise=drawn(4, seed=3)
    )
    score_stream(stream, drawn(80, seed=4), batch_rows=20)
    kept = stream.frozen_order()
    assert len(kept) == 9 == len(set(kept.tolist()))
    relevance = (stream.negative.mean() - stream.positive.mean())[kept]
    assert (np.diff(relevance) <= 0).all() and 0 <= stream.threshold < 1


def test_without_noise_images_it_starts_from_the_id_labels_alone(drawn):
    stream = TanlStream(drawn(5, seed=1), drawn(30, seed=2), TanlSettings(negatives=9), scale=12.0, noise=drawn(0))
    assert len(stream.negative) == 0
    assert np.isfinite(score_stream(stream, drawn(30, seed=4), batch_rows=20)).all()
