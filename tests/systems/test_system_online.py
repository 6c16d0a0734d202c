"""Feeding a lake to a stream: batches, orders, and how far another order moves scores."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.systems import stream as stream_module
from curator.systems.proposals import Streamed
from curator.systems.stream import batches, run_stream, shuffled, stream_lake

IDS = [f"{number:032x}" for number in range(10)]


class Counting:
    """Scores each image by how many came before its batch."""

    def __init__(self):
        self.seen = 0

    def feed(self, vectors, images=None):
        self.seen += len(vectors)
        return np.full(len(vectors), (self.seen - len(vectors)) / 100)


def vectors_of(ids):
    return np.zeros((len(ids), 4), dtype=np.float32)


WORLD = SimpleNamespace(arrival_order=tuple(IDS), lake_vectors=vectors_of)


@given(st.integers(0, 30), st.integers(1, 8))
def test_batches_hold_everything_once_in_order(count, size):
    ids = [str(number) for number in range(count)]
    parts = list(batches(ids, size))
    assert [item for part in parts for item in part] == ids
    assert all(len(part) == size for part in parts[:-1])


def test_a_lake_is_fed_once_in_order_and_once_for_each_other_order():
    made = []

    def new():
        made.append(Counting())
        return made[-1]

    stream, streamed = stream_lake(new, WORLD, SimpleNamespace(batch=4, orders=2, seed=0), largest=1.0)
    assert stream is made[0] and len(made) == 3 and {other.seen for other in made} == {10}
    assert streamed.scores.tolist() == [0.0] * 4 + [0.04] * 4 + [0.08] * 2
    assert [sorted(ids) for ids, _ in streamed.others] == [IDS, IDS]
    assert streamed.others[0][0] != streamed.others[1][0]


def test_a_stream_reads_many_batches_at_once_feeds_them_in_order_and_says_how_far_it_is(monkeypatch, caplog):
    read = []

    def vectors(ids):
        read.append(len(ids))
        return vectors_of(ids)

    monkeypatch.setattr(stream_module, "READ_ROWS", 7)
    monkeypatch.setattr(stream_module, "SAY_SECONDS", 0.0)
    with caplog.at_level("INFO"):
        scores = run_stream(Counting(), IDS, vectors, 3)
    assert read == [6, 4] and scores.tolist() == [0.0] * 3 + [0.03] * 3 + [0.06] * 3 + [0.09]
    assert caplog.messages == [f"Counting: {done} of 10 images" for done in (3, 6, 9, 10)]


def test_another_order_is_drawn_from_the_images_not_from_how_they_came():
    assert shuffled(IDS, 1) == shuffled(IDS[::-1], 1) != shuffled(IDS, 2)


def test_movement_compares_image_by_image():
    others = ((tuple(IDS[::-1]), np.linspace(0.9, 0.0, 10)),)
    streamed = Streamed(tuple(IDS), np.linspace(0.0, 0.9, 10), 1.0, 4, others)
    (still,) = streamed.movement(0.55)
    assert still == pytest.approx({"mean_change": 0.0, "largest_change": 0.0, "changed_side": 0.0})
    moved = Streamed(tuple(IDS), np.zeros(10), 1.0, 4, ((tuple(IDS), np.array([0.6] + [0.1] * 9)),))
    (found,) = moved.movement(0.5)
    assert found["mean_change"] == pytest.approx(0.15) and found["largest_change"] == pytest.approx(0.6)
    assert found["changed_side"] == pytest.approx(0.1)


def test_the_digest_names_order_and_batches_and_log_odds_are_finite_and_rank_as_scores_do():
    scores = np.array([0.0, 1e-18, 0.3, 1.0, 1.1])
    first = Streamed(tuple(IDS[:5]), scores, 1.1, 4)
    assert first.digest != Streamed(tuple(IDS[:5]), scores, 1.1, 5).digest
    assert first.digest != Streamed(tuple(IDS[4::-1]), scores, 1.1, 4).digest
    assert np.isfinite(first.log_odds).all() and (np.diff(first.log_odds) >= 0).all()
    assert first.log_odds[2] == pytest.approx(np.log(0.3 / 0.8))
