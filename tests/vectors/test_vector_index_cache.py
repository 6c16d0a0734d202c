"""The index on disk is a cache: when it is fresh, extended or built anew, and what damage does to it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from curator.errors import IndexFault
from curator.vectors import LabelCollection, Neighbours, index_status, load_recipe
from curator.vectors.faiss_index import FaissIndex

FLAT = load_recipe("flat")
LISTS = replace(load_recipe("ivf_flat"), name="lists", factory="IVF{nlist},Flat", min_vectors=200)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


@pytest.fixture
def builds(monkeypatch):
    """How many vectors each build from nothing took in."""
    counts = []
    build = FaissIndex.build.__func__

    def counted(cls, collection, recipe):
        counts.append(len(collection))
        return build(cls, collection, recipe)

    monkeypatch.setattr(FaissIndex, "build", classmethod(counted))
    return counts


def status(lake, recipe, folder):
    found = index_status(lake.collection(), recipe, folder)
    return found.state, found.action


def test_an_index_is_built_once_then_loaded_with_the_same_answers(lake, folder, vectors_of, builds):
    lake.add(vectors_of(300))
    assert status(lake, LISTS, folder) == ("missing", "build")
    built = Neighbours.open(lake.collection(), LISTS, folder).search(vectors_of(20, seed=1), 5)
    assert status(lake, LISTS, folder) == ("fresh", "load")
    assert Neighbours.open(lake.collection(), LISTS, folder).search(vectors_of(20, seed=1), 5) == built
    assert builds == [300]
    assert sorted(path.name for path in folder.iterdir()) == ["index.faiss", "manifest.json"]


def test_new_files_are_added_wherever_their_names_sort(lake, folder, vectors_of, builds):
    lake.add(vectors_of(300), name="m")
    Neighbours.open(lake.collection(), LISTS, folder)
    first = lake.add(vectors_of(50, seed=1), name="a")
    lake.files.sort()
    found = index_status(lake.collection(), LISTS, folder)
    assert (found.state, found.action, found.reason) == ("stale", "extend", "50 new vectors")
    neighbours = Neighbours.open(lake.collection(), LISTS, folder)
    assert [row[0].id for row in neighbours.search(vectors_of(50, seed=1), 1)] == first
    assert builds == [300]
    assert status(lake, LISTS, folder) == ("fresh", "load")
    again = Neighbours.open(lake.collection(), LISTS, folder)
    assert [row[0].id for row in again.search(vectors_of(50, seed=1), 1)] == first


def test_a_file_that_is_gone_or_changed_means_building_anew(lake, folder, vectors_of, builds):
    for seed in range(3):
        lake.add(vectors_of(100, seed=seed))
    Neighbours.open(lake.collection(), FLAT, folder)
    gone = lake.files.pop(1)
    assert index_status(lake.collection(), FLAT, folder).reason == "members have gone"
    neighbours = Neighbours.open(lake.collection(), FLAT, folder)
    assert neighbours.search(vectors_of(1, seed=1), 1)[0][0].cosine < 0.99
    lake.add(vectors_of(100, seed=7), name=lake.files.pop())
    assert gone not in lake.files
    assert index_status(lake.collection(), FLAT, folder).reason == "members have changed"
    Neighbours.open(lake.collection(), FLAT, folder)
    assert builds == [300, 200, 200]
    assert status(lake, FLAT, folder) == ("fresh", "load")


def test_another_order_of_the_same_files_is_still_fresh(lake, folder, vectors_of):
    ids = [lake.add(vectors_of(50, seed=seed)) for seed in range(3)]
    Neighbours.open(lake.collection(), FLAT, folder)
    lake.files.reverse()
    assert status(lake, FLAT, folder) == ("fresh", "load")
    neighbours = Neighbours.open(lake.collection(), FLAT, folder)
    assert neighbours.search(vectors_of(50, seed=2)[:1], 1)[0][0].id == ids[2][0]


def test_a_changed_recipe_rebuilds_only_if_it_shapes_the_file(lake, folder, vectors_of):
    lake.add(vectors_of(300))
    Neighbours.open(lake.collection(), LISTS, folder)
    slower = replace(LISTS, search=replace(LISTS.search, nprobe=2))
    assert status(lake, slower, folder) == ("fresh", "load")
    finer = replace(LISTS, build=replace(LISTS.build, lists_per_root=1.0))
    found = index_status(lake.collection(), finer, folder)
    assert (found.action, found.reason) == ("build", "the recipe has changed")


def test_a_small_collection_is_searched_exactly_and_says_so_until_it_is_large_enough(lake, folder, vectors_of, builds):
    lake.add(vectors_of(199))
    Neighbours.open(lake.collection(), LISTS, folder)
    found = index_status(lake.collection(), LISTS, folder)
    assert (found.state, found.exact_instead) == ("fresh", True)
    assert found.reason == "searched exactly: fewer than 200 vectors"
    assert json.loads((folder / "manifest.json").read_text())["factory"] == "Flat"
    lake.add(vectors_of(1, seed=1))
    assert "200 vectors that the recipe is for" in index_status(lake.collection(), LISTS, folder).reason
    Neighbours.open(lake.collection(), LISTS, folder)
    assert json.loads((folder / "manifest.json").read_text())["factory"] == "IVF4,Flat"
    assert builds == [199, 200]


def test_a_collection_that_outgrew_its_training_is_trained_anew(lake, folder, vectors_of, builds):
    lake.add(vectors_of(200))
    Neighbours.open(lake.collection(), LISTS, folder)
    lake.add(vectors_of(600, seed=1))
    Neighbours.open(lake.collection(), LISTS, folder)
    lake.add(vectors_of(1, seed=2))
    assert index_status(lake.collection(), LISTS, folder).reason == "has outgrown its training on 200 vectors"
    Neighbours.open(lake.collection(), LISTS, folder)
    assert builds == [200, 801]


def test_a_flat_index_never_outgrows_anything(lake, folder, vectors_of, builds):
    lake.add(vectors_of(10))
    Neighbours.open(lake.collection(), FLAT, folder)
    lake.add(vectors_of(990, seed=1))
    assert Neighbours.open(lake.collection(), FLAT, folder).count == 1000
    assert builds == [10]


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "other"])
def test_a_damaged_index_file_is_built_anew_with_a_warning(lake, folder, vectors_of, builds, caplog, damage):
    lake.add(vectors_of(300))
    wanted = Neighbours.open(lake.collection(), LISTS, folder).search(vectors_of(9, seed=1), 5)
    path = folder / "index.faiss"
    whole = path.read_bytes()
    flipped = bytes([whole[len(whole) // 2] ^ 255])
    contents = {
        "cut": whole[: len(whole) // 2],
        "flip": whole[: len(whole) // 2] + flipped + whole[len(whole) // 2 + 1 :],
        "other": bytes(len(whole)),
    }
    path.unlink() if damage == "gone" else path.write_bytes(contents[damage])
    with caplog.at_level(logging.WARNING):
        assert Neighbours.open(lake.collection(), LISTS, folder).search(vectors_of(9, seed=1), 5) == wanted
    assert builds == [300, 300]
    assert ("damaged" in caplog.text) == (damage in ("flip", "other"))
    assert status(lake, LISTS, folder) == ("fresh", "load")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"members": 3}', '{"format": 1, "members": []}'])
def test_a_manifest_that_cannot_be_read_counts_as_none(lake, folder, vectors_of, text):
    lake.add(vectors_of(30))
    Neighbours.open(lake.collection(), FLAT, folder)
    (folder / "manifest.json").write_text(text)
    assert status(lake, FLAT, folder) == ("missing", "build")
    assert Neighbours.open(lake.collection(), FLAT, folder).count == 30


def test_being_killed_between_index_and_manifest_leaves_an_empty_cache(lake, folder, vectors_of, monkeypatch):
    lake.add(vectors_of(30))
    Neighbours.open(lake.collection(), FLAT, folder)
    lake.add(vectors_of(30, seed=1))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("curator.vectors.index_cache.IndexManifest.write", killed)
    with pytest.raises(KeyboardInterrupt):
        Neighbours.open(lake.collection(), FLAT, folder)
    assert status(lake, FLAT, folder) == ("missing", "build")


def test_a_folder_that_cannot_be_written_costs_a_warning_only(lake, tmp_path, vectors_of, caplog):
    lake.add(vectors_of(30))
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    neighbours = Neighbours.open(lake.collection(), FLAT, blocked / "index")
    assert neighbours.search(vectors_of(1), 1)[0][0].cosine == 1.0
    assert "was not saved" in caplog.text


def test_a_recipe_that_faiss_does_not_understand_is_named(folder, vectors_of):
    recipe = replace(FLAT, name="mine", factory="Flatt")
    with pytest.raises(IndexFault, match=r"index recipe mine cannot be built: .*Flatt"):
        Neighbours.open(LabelCollection(vectors_of(5), "d"), recipe, folder)


def test_labels_are_stale_under_another_bank(folder, vectors_of):
    Neighbours.open(LabelCollection(vectors_of(5), "one"), FLAT, folder)
    assert index_status(LabelCollection(vectors_of(5), "one"), FLAT, folder).state == "fresh"
    assert index_status(LabelCollection(vectors_of(5), "two"), FLAT, folder).reason == "members have gone"
    assert index_status(LabelCollection(vectors_of(5, dimension=8), "one"), FLAT, folder).action == "build"
