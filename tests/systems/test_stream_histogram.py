"""What is kept of past scores: conformance T6f, and histograms against the scores themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curator.methods.members.ants import negative_threshold
from curator.systems.ants.history import ScoreHistory
from curator.systems.tanl.stream import ScoreQueue, two_class_threshold

HISTORY = np.array(
    [0.98, 0.97, 0.99, 0.96, 0.95, 0.93, 0.91, 0.88, 0.72, 0.55, 0.41, 0.36, 0.33, 0.28, 0.12, 0.97]
)  # fmt: skip
SCORES = arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1))


@pytest.mark.parametrize(("eta", "expected"), [(0.5, 0.385), (0.25, 0.3175), (0.75, 0.5925)])
def test_t6f_the_threshold_of_a_history(eta, expected):
    assert negative_threshold(HISTORY, eta) == (0.9, pytest.approx(expected, abs=1e-12))
    history = ScoreHistory()
    for part in np.array_split(HISTORY, 3):
        history.add(part)
    assert history.counts.tolist() == [0, 1, 1, 2, 1, 1, 0, 1, 1, 8]
    edge, cut = history.negative_threshold(eta)
    assert edge == 0.9 and cut == pytest.approx(expected, abs=1e-5)


@given(SCORES, st.floats(0, 1))
def test_the_streaming_histogram_agrees_with_the_scores(scores, eta):
    history = ScoreHistory()
    for part in np.array_split(scores, 3):
        history.add(part)
    np.testing.assert_array_equal(history.counts, np.histogram(scores, np.linspace(0, 1, 11))[0])
    edge, cut = negative_threshold(scores, eta)
    found = history.negative_threshold(eta)
    assert found[0] == edge and found[1] == pytest.approx(cut, abs=1e-5)


@given(SCORES, st.floats(0.05, 0.99), st.floats(0.01, 1))
def test_a_share_of_what_is_below_a_limit_lies_below_its_threshold(scores, gamma, eta):
    scores = scores[np.abs(scores - gamma) > 2e-5]  # nearer ones share a bin with it
    history = ScoreHistory()
    for part in np.array_split(scores, 3):
        history.add(part)
    below = np.sort(scores[scores < gamma])
    found = history.share_threshold(gamma, eta)
    if not len(below):
        assert found == gamma
        return
    last = below[math.ceil(eta * len(below)) - 1]
    assert last - 2e-5 < found <= min(gamma, last + 2e-5)


def test_a_history_with_nothing_below_the_edge_gives_the_edge():
    history = ScoreHistory()
    history.add(np.full(5, 0.75))
    assert history.negative_threshold(0.5) == (0.7000000000000001, 0.7000000000000001)
    assert negative_threshold(np.full(5, 0.75), 0.5) == history.negative_threshold(0.5)


@given(SCORES, st.integers(1, 80))
def test_a_queue_keeps_the_newest(scores, limit):
    queue = ScoreQueue(limit)
    for part in np.array_split(scores, 4):
        queue.add(part)
    assert len(queue) == min(limit, len(scores))
    assert queue.threshold("middle") == two_class_threshold(scores[-limit:], "middle")
