"""The exact join by a least cosine: the pairs that comparing everything finds, whatever the vectors look like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.types import Vectors
from curator.vectors import LabelCollection, joining
from curator.vectors.collections import unit
from curator.vectors.exact import scan
from curator.vectors.joining import Everything, near_duplicates, nearest_within


def everything(collection: LabelCollection, queries: Vectors, k: int, min_cosine: float):
    """What the exact scan finds, of at least the cosine."""
    positions, cosines = scan(collection, queries, np.arange(len(collection)), k)
    near = cosines >= min_cosine
    return np.where(near, positions, -1), np.where(near, cosines, np.float32(-np.inf))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, tiles and samples that a few hundred vectors fill."""
    for name, size in {
        "QUERIES": 70,
        "BLOCK_ROWS": 64,
        "_TILE": 1024,
        "_COLUMNS": 40,
        "_WAITING": 50,
        "_HELD": 20,
        "_SAMPLE": 100,
        "_FEW": 8,
        "DIRECTIONS": (4, 4),
    }.items():
        monkeypatch.setattr(joining, name, size)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 300),
    dimension=st.sampled_from([2, 4, 7, 24]),
    spread=st.sampled_from([0.0, 0.02, 0.1, 1.0]),
    min_cosine=st.sampled_from([-1.0, 0.3, 0.9, 0.98, 0.999]),
    k=st.integers(1, 6),
)
def test_the_join_finds_what_comparing_everything_finds(seed, count, dimension, spread, min_cosine, k):
    """Copies (spread 0), near-duplicates, and images that have nothing in common, around a few centres."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((5, dimension))
    noise = generator.standard_normal((count, dimension)) * spread
    vectors = unit((centres[generator.integers(5, size=count)] + noise).astype(np.float32))
    collection = LabelCollection(vectors, "d")
    queries = unit(np.concatenate([vectors[::2], generator.standard_normal((20, dimension)).astype(np.float32)]))
    found, cosines = nearest_within(Everything(collection, np.arange(count)), queries, k, min_cosine=min_cosine)
    assert found.shape == cosines.shape == (len(queries), k)
    wanted, truth = everything(collection, queries, k, min_cosine)
    width = wanted.shape[1]
    assert np.array_equal(found[:, :width], wanted)
    assert np.array_equal(cosines[:, :width], truth)
    assert (found[:, width:] == -1).all()


def test_only_the_positions_given_are_found(vectors_of):
    vectors = np.repeat(vectors_of(3), 100, axis=0)
    collection = LabelCollection(vectors, "d")
    found, _ = nearest_within(Everything(collection, np.array([50, 7, 299])), vectors[:1], 5, min_cosine=0.99)
    assert found.tolist() == [[7, 50, -1, -1, -1]]


def test_of_pairs_far_apart_none_is_compared_in_full(monkeypatch, vectors_of):
    """What makes the join cheap: vectors in a plane, which the principal directions hold, pass only where near."""
    plane = np.zeros((200, 16), np.float32)
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    plane[:, 3], plane[:, 5] = np.cos(angles), np.sin(angles)
    compared: list[int] = []
    add = joining._Comparison.add

    def counting(self, tile):
        compared.append(len(tile.rows))
        add(self, tile)

    monkeypatch.setattr(joining._Comparison, "add", counting)
    monkeypatch.setattr(joining, "_SCATTERED", 1 << 20)  # each pair alone
    least = float(np.cos(2 * np.pi / 200 * 1.5))
    source = Everything(LabelCollection(plane, "d"), np.arange(200))
    found, _ = nearest_within(source, plane, 5, min_cosine=least)
    assert (found >= 0).sum() == 600  # itself and one on each side
    assert 600 <= sum(compared) <= 620


def everything_in(collection):
    return Everything(collection, np.arange(len(collection)))


def test_an_empty_collection_has_no_near_duplicates(lake, vectors_of):
    assert near_duplicates(everything_in(lake.collection()), ["0" * 32], vectors_of(1), min_cosine=0.5, k=1) == []


def test_near_duplicates_are_pairs_without_the_image_itself(lake, vectors_of):
    base = vectors_of(6)
    close = unit(base[[1, 4]] + np.float32(0.02) * vectors_of(2, seed=9))
    ids = lake.add(base)
    more = lake.add(close)
    source = everything_in(lake.collection())
    pairs = near_duplicates(source, more, close, min_cosine=0.98, k=5)
    wanted = [tuple(sorted(pair)) for pair in ((ids[1], more[0]), (ids[4], more[1]))]
    assert [pair[:2] for pair in pairs] == sorted(wanted)
    assert all(0.98 <= cosine < 1 for _, _, cosine in pairs)
    everyone = near_duplicates(source, ids + more, np.concatenate([base, close]), min_cosine=0.98, k=5)
    assert [pair[:2] for pair in everyone] == sorted(wanted)


def test_an_image_among_many_equal_ones_gets_k_others(lake, vectors_of):
    ids = lake.add(np.repeat(vectors_of(1), 30, axis=0))
    biggest = max(ids)
    pairs = near_duplicates(everything_in(lake.collection()), [biggest], vectors_of(1), min_cosine=0.9, k=4)
    assert [first for first, _, _ in pairs] == sorted(ids)[:4]
    assert {second for _, second, _ in pairs} == {biggest}
