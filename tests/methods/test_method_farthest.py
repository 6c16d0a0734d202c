from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.generators.embedded.centring import unit_rows
from curator.methods.kernels.farthest import farthest_points


def test_farthest_points_are_those_of_a_square():
    rows = unit_rows(np.array([[1, 0.1], [0, 1], [-1, 0], [0.9, 0.1]]))
    assert farthest_points(rows, np.array([[1, 0]], np.float32), 2).tolist() == [2, 1]


@given(seed=st.integers(0, 99), count=st.integers(0, 12))
@settings(max_examples=25, deadline=None)
def test_fewer_points_are_the_first_of_more_and_none_comes_twice(seed, count):
    draws = np.random.default_rng(seed)
    rows, anchors = unit_rows(draws.normal(size=(9, 4))), unit_rows(draws.normal(size=(2, 4)))
    every = farthest_points(rows, anchors, 9).tolist()
    assert sorted(every) == list(range(9)) and farthest_points(rows, anchors, count).tolist() == every[:count]


def test_without_anchors_the_first_row_begins():
    rows = unit_rows(np.array([[1, 0], [0.9, 0.1], [-1, 0.1]]))
    assert farthest_points(rows, rows[:0], 2).tolist() == [0, 2]
