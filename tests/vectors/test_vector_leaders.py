"""Grouping by leaders: nobody is far from the one that leads its group, leaders stay, chains are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.types import Vectors
from curator.vectors import leaders
from curator.vectors.joining import Everything
from curator.vectors.leaders import assign_leaders


class Plane:
    """A collection of unit vectors in the plane, at these angles in degrees."""

    def __init__(self, angles: list[float]) -> None:
        radians = np.radians(angles)
        self.vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
        self.dimension = 2

    def __len__(self) -> int:
        return len(self.vectors)

    def vectors_at(self, positions) -> Vectors:
        return self.vectors[positions]

    def keys_at(self, positions):
        return positions


def groups_of(angles: list[float], *, order: list[int] | None = None, known: tuple[int, ...] = (), within: float = 10):
    newcomers = np.array([place for place in order or range(len(angles)) if place not in known], np.int64)
    leaders = Everything(Plane(angles), np.array(known, np.int64))
    found, cosines = assign_leaders(leaders, newcomers, min_cosine=float(np.cos(np.radians(within))))
    assert all(cosines[found == newcomers] == 1)
    return dict(zip(newcomers.tolist(), found.tolist(), strict=True))


def test_a_chain_is_cut_where_it_leaves_the_leader():
    """Steps of 6 degrees: each is near the next, and the ends are far apart."""
    assert groups_of([0, 6, 12, 18, 24]) == {0: 0, 1: 0, 2: 2, 3: 2, 4: 4}


def test_the_order_given_says_who_leads():
    assert groups_of([0, 6, 12], order=[1, 0, 2]) == {1: 1, 0: 1, 2: 1}


def test_a_newcomer_joins_the_nearest_leader_and_not_the_first():
    assert groups_of([0, 12, 7], order=[0, 1, 2]) == {0: 0, 1: 1, 2: 1}


def test_known_leaders_go_before_new_ones_and_stay():
    assert groups_of([0, 6, 12, 40], known=(2,), order=[0, 1, 3]) == {0: 0, 1: 2, 3: 3}


def test_equal_cosines_go_by_id():
    assert groups_of([0, 16, 8], known=(0, 1)) == {2: 0}
    assert groups_of([16, 0, 8], known=(0, 1)) == {2: 0}


def test_nothing_to_group_is_no_group():
    assert groups_of([]) == {}
    assert groups_of([5], known=(0,)) == {}


@given(
    st.lists(st.floats(0, 360, width=32), min_size=1, max_size=40, unique=True),
    st.integers(0, 8),
    st.integers(1, 7),
)
def test_members_are_near_their_leader_and_new_leaders_are_not_near_each_other(angles, known_count, batch):
    known = tuple(range(min(known_count, len(angles) - 1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaders, "BATCH", batch)
        found = groups_of(angles, known=known)
    assert found == groups_of(angles, known=known), "batches play no part"
    cosines = Plane(angles).vectors @ Plane(angles).vectors.T
    floor = np.cos(np.radians(10))
    leading = {place for place, leader in found.items() if place == leader}
    assert set(found.values()) <= leading | set(known)
    assert all(cosines[place, leader] >= floor - 1e-6 for place, leader in found.items())
    assert all(cosines[a, b] < floor + 1e-6 for a in leading for b in leading | set(known) if a != b)
