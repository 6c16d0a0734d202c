"""The door for nearest-neighbour queries: order, ties, who may be found, and what happens at the edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import UsageError, VectorFault
from curator.vectors import (
    ImageCollection,
    LabelCollection,
    Neighbours,
    at_rest,
    load_recipe,
    write_shard,
)
from curator.vectors import neighbours as door
from curator.vectors.collections import unit
from curator.vectors.faiss_index import FaissIndex
from tests.vectors.recall import recall_at_k

FLAT = load_recipe("flat")


def by_hand(vectors, queries, k, *, keys, allowed=None):
    """The k nearest as plain Python understands them, in float64."""
    cosines = np.clip(unit(queries).astype(np.float64) @ unit(vectors).astype(np.float64).T, -1, 1).astype(np.float32)
    rows = range(len(vectors)) if allowed is None else sorted(allowed)
    return [sorted(rows, key=lambda n, row=row: (-row[n], keys[n]))[:k] for row in cosines]


def mask(count, positions):
    return np.isin(np.arange(count), list(positions))


def indexed(collection):
    return Neighbours(collection, FaissIndex.build(collection, FLAT))


@given(
    count=st.integers(1, 60),
    k=st.integers(1, 70),
    copies=st.integers(1, 6),
    with_index=st.booleans(),
    data=st.data(),
)
def test_a_flat_search_is_the_sorted_list(vectors_of, count, k, copies, with_index, data):
    # Components of one half-bit each make cosines exact; few distinct vectors make many ties.
    signs = np.random.default_rng(count).choice([-0.5, 0.5], (count, 4)).astype(np.float32)
    vectors = np.tile(signs, (copies, 1))
    collection = LabelCollection(vectors, "d")
    allowed = data.draw(st.none() | st.sets(st.integers(0, len(vectors) - 1)))
    found = (indexed(collection) if with_index else Neighbours(collection)).search(
        vectors[:3], k, allow=None if allowed is None else mask(len(vectors), allowed)
    )
    wanted = by_hand(vectors, vectors[:3], k, keys=range(len(vectors)), allowed=allowed)
    assert [[int(item.id) for item in row] for row in found] == wanted


def test_both_ways_to_say_who_may_be_found_agree(vectors_of):
    vectors = vectors_of(300)
    neighbours = indexed(LabelCollection(vectors, "d"))
    even = {str(n) for n in range(0, 300, 2)}
    by_mask = neighbours.search(vectors[:9], 7, allow=np.arange(300) % 2 == 0)
    assert by_mask == neighbours.search(vectors[:9], 7, allow=even.__contains__)
    wanted = by_hand(vectors, vectors[:9], 7, keys=range(300), allowed=range(0, 300, 2))
    assert [[int(item.id) for item in row] for row in by_mask] == wanted


def test_fewer_admitted_than_asked_for_gives_all_of_them_and_none_other(vectors_of):
    vectors = vectors_of(3000)
    neighbours = indexed(LabelCollection(vectors, "d"))
    few = {"7", "2999", "1500"}
    for allow in (mask(3000, map(int, few)), few.__contains__):
        found = neighbours.search(vectors[:4], 10, allow=allow)
        assert [{item.id for item in row} for row in found] == [few] * 4
    assert neighbours.search(vectors[:2], 5, allow=mask(3000, ())) == [[], []]
    assert neighbours.search(vectors[:2], 5, allow=lambda _: False) == [[], []]


def test_looking_further_than_the_index_may_be_asked_is_still_exact(vectors_of, monkeypatch):
    monkeypatch.setattr(door, "MAX_FETCH", 20)
    vectors = vectors_of(400)
    neighbours = indexed(LabelCollection(vectors, "d"))
    keys = range(400)
    for k, allow in ((5, None), (50, None), (5, mask(400, range(300, 400)))):
        allowed = None if allow is None else range(300, 400)
        found = neighbours.search(vectors[:5], k, allow=allow)
        wanted = by_hand(vectors, vectors[:5], k, keys=keys, allowed=allowed)
        assert [[int(item.id) for item in row] for row in found] == wanted


def test_the_nearest_ones_being_excluded_makes_the_search_look_further(vectors_of):
    vectors = np.concatenate([np.repeat(vectors_of(1), 900, axis=0), vectors_of(900, seed=1)])
    neighbours = indexed(LabelCollection(vectors, "d"))
    found = neighbours.search(vectors[:1], 3, allow=lambda label: int(label) >= 900)
    wanted = by_hand(vectors, vectors[:1], 3, keys=range(1800), allowed=range(900, 1800))
    assert [int(item.id) for item in found[0]] == wanted[0]


def test_equal_cosines_come_in_the_order_of_image_ids_not_of_files(lake, vectors_of):
    vector = vectors_of(1)
    ids = [f"{n:032x}" for n in (5, 3, 9, 1, 7)]
    for name in ids:
        lake.add(vector, ids=[name])
    found = indexed(lake.collection()).search(vector, 3)[0]
    assert [item.id for item in found] == sorted(ids)[:3]
    assert {item.cosine for item in found} == {1.0}


def test_cosines_are_those_of_the_stored_vectors_whatever_the_index_and_the_batch(lake, vectors_of):
    vectors, queries = vectors_of(500), vectors_of(40, seed=1)
    lake.add(vectors[:200])
    lake.add(vectors[200:])
    collection = lake.collection()
    whole = indexed(collection).search(queries, 5)
    assert whole == Neighbours(collection).search(queries, 5)
    assert whole == [Neighbours(collection).search(queries[n : n + 1], 5)[0] for n in range(40)]
    stored = {name: row for name, row in zip(collection.ids_at(np.arange(500)), at_rest(vectors), strict=True)}
    for query, row in zip(queries, whole, strict=True):
        for item in row:
            other = stored[item.id].astype(np.float64)
            assert item.cosine == pytest.approx(query @ other / np.linalg.norm(other), abs=2e-7)


def test_the_length_of_a_query_does_not_matter(vectors_of):
    neighbours = Neighbours(LabelCollection(vectors_of(50), "d"))
    queries = vectors_of(3, seed=1)
    scaled = neighbours.search(queries * np.float32(4), 5)
    assert scaled == neighbours.search(queries, 5)


def test_an_empty_collection_has_no_neighbours(lake, tmp_path, vectors_of):
    neighbours = Neighbours.open(lake.collection(), FLAT, tmp_path / "index")
    assert neighbours.count == 0
    assert neighbours.search(vectors_of(2), 3) == [[], []]
    assert not (tmp_path / "index").exists()


def test_no_queries_get_no_answers(vectors_of):
    assert indexed(LabelCollection(vectors_of(5), "d")).search(vectors_of(0), 3) == []


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (np.ones((1, 15), np.float32), 3, "do not fit labels of 16 dimensions"),
        (np.ones(16, np.float32), 3, "do not fit"),
        (np.zeros((1, 16), np.float32), 3, "zero or not finite"),
        (np.full((1, 16), np.nan, np.float32), 3, "zero or not finite"),
        (np.ones((1, 16), np.float32), 0, "at least one neighbour"),
    ],
)
def test_questions_that_make_no_sense_are_refused(vectors_of, queries, k, message):
    with pytest.raises(UsageError, match=message):
        Neighbours(LabelCollection(vectors_of(5), "d")).search(queries, k)


def test_a_mask_must_fit_the_collection(vectors_of):
    neighbours = Neighbours(LabelCollection(vectors_of(5), "d"))
    for mask in (np.ones(4, bool), np.ones(5, int)):
        with pytest.raises(UsageError, match="a mask of shape"):
            neighbours.search(vectors_of(1), 1, allow=mask)


def test_an_approximate_index_whose_lists_run_empty_still_fills_the_answer(vectors_of):
    vectors = vectors_of(2000)
    collection = LabelCollection(vectors, "d")
    recipe = replace(load_recipe("ivf_flat"), factory="IVF64,Flat", min_vectors=0)
    recipe = replace(recipe, search=replace(recipe.search, nprobe=1, probe_fraction=0.0))
    found = Neighbours(collection, FaissIndex.build(collection, recipe)).search(vectors[:5], 500)
    wanted = by_hand(vectors, vectors[:5], 500, keys=range(2000))
    assert [[int(item.id) for item in row] for row in found] == wanted


@settings(max_examples=15)
@given(count=st.integers(100, 600), lists=st.integers(1, 16), k=st.integers(1, 20), seed=st.integers(0, 99))
def test_looking_into_every_list_equals_looking_at_every_vector(vectors_of, count, lists, k, seed):
    collection = LabelCollection(vectors_of(count, seed=seed), "d")
    recipe = replace(load_recipe("ivf_flat"), factory=f"IVF{min(lists, count // 39)},Flat", min_vectors=0)
    recipe = replace(recipe, search=replace(recipe.search, probe_fraction=1.0))
    queries = vectors_of(5, seed=seed + 100)
    whole = Neighbours(collection, FaissIndex.build(collection, recipe))
    assert whole.search(queries, k) == indexed(collection).search(queries, k)


def test_recall_counts_what_was_found_and_forgives_ties(vectors_of):
    class Proposes:
        candidates_per_result = 1

        def __init__(self, positions):
            self.positions = positions

        def search(self, queries, k):
            rows = np.tile(np.resize(self.positions, k), (len(queries), 1)).astype(np.int64)
            rows[:, len(self.positions) :] = -1
            return np.zeros(rows.shape, np.float32), rows

    vectors = np.eye(16, dtype=np.float32)[[0, 0, 1, 2, 3]] + np.float32(0.1)
    collection = LabelCollection(vectors, "d")
    query = vectors[:1]
    assert recall_at_k(Neighbours(collection, Proposes([1, 4])), Neighbours(collection), query, 1) == 1.0
    assert recall_at_k(Neighbours(collection, Proposes([2, 4])), Neighbours(collection), query, 1) == 0.0
    assert recall_at_k(Neighbours(collection, Proposes([0, 2, 3])), Neighbours(collection), query, 2) == 0.5


def test_images_are_found_by_id_across_files(lake, vectors_of):
    first, second = lake.add(vectors_of(20)), lake.add(vectors_of(30, seed=1))
    collection = lake.collection()
    wanted = [second[3], first[19], "f" * 32, first[0]]
    assert collection.positions_of(wanted).tolist() == [0, 19, 23]
    assert collection.ids_at(np.array([23, 0, 19])) == [second[3], first[0], first[19]]
    stored = at_rest(np.concatenate([vectors_of(20), vectors_of(30, seed=1)]))
    assert np.array_equal(collection.vectors_at(np.array([49, 0, 20, 19])), stored[[49, 0, 20, 19]])


@given(st.lists(st.binary(min_size=2, max_size=2), unique=True, min_size=1), st.data())
def test_ids_with_zero_bytes_sort_and_are_found_like_any_other(tmp_path_factory, heads, data):
    ids = [(head + bytes(14)).hex() for head in heads]
    folder = tmp_path_factory.mktemp("vectors")
    write_shard(folder / "a.safetensors", ids, np.ones((len(ids), 1), np.float32), encoder_id="e")
    collection = ImageCollection(folder, ["a"], 1)
    wanted = data.draw(st.sets(st.sampled_from(ids)))
    positions = collection.positions_of(wanted)
    assert set(collection.ids_at(positions)) == wanted
    found = Neighbours(collection).search(np.ones((1, 1), np.float32), len(ids))[0]
    assert [item.id for item in found] == sorted(ids)


def test_vectors_of_another_encoder_or_dimension_are_refused(lake, vectors_of):
    lake.add(vectors_of(3))
    with pytest.raises(VectorFault, match="has 16 dimensions"):
        len(lake.collection(dimension=8))
    write_shard(lake.folder / "other.safetensors", ["0" * 32], vectors_of(1), encoder_id="other@1")
    lake.files.append("other")
    with pytest.raises(VectorFault, match=r"other\.safetensors has 16 dimensions of other@1, not 16 of fake@0123"):
        len(lake.collection())
