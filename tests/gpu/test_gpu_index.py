"""Indexes on a GPU keep the contract that they keep on a processor."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from curator.vectors import LabelCollection, Neighbours, at_rest, list_recipes
from curator.vectors.faiss_index import FaissIndex
from tests.vectors.recall import recall_at_k, seeded_mixture

pytestmark = pytest.mark.gpu

RECIPES = [recipe for recipe in list_recipes() if recipe.gpu]


@pytest.fixture(scope="module")
def mixture():
    if faiss.get_num_gpus() == 0:
        pytest.skip("FAISS sees no GPU")
    return seeded_mixture()


@pytest.fixture(scope="module")
def collection(mixture):
    return LabelCollection(at_rest(np.concatenate([mixture.known, mixture.strange])), "mixture")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_gpu_keeps_the_recall_contract_and_the_cosines(recipe, collection, mixture):
    exact = Neighbours(collection)
    index = FaissIndex.build(collection, recipe)
    on_processor = Neighbours(collection, index).search(mixture.known_queries, 10)
    assert index.use_gpu()
    on_gpu = Neighbours(collection, index)
    assert recall_at_k(on_gpu, exact, mixture.known_queries, 10) >= recipe.contract.recall_at_10
    assert recall_at_k(on_gpu, exact, mixture.strange_queries, 10) >= recipe.contract.recall_at_10_ood
    found = on_gpu.search(mixture.known_queries, 10)
    same = np.mean(
        [a == b for one, two in zip(found, on_processor, strict=True) for a, b in zip(one, two, strict=True)]
    )
    assert same == 1.0 if recipe.name == "flat" else same >= 0.99


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_an_index_searched_on_a_gpu_can_be_extended_and_saved(recipe, collection, mixture, tmp_path):
    first = LabelCollection(collection.vectors[:14_000], "mixture")
    index = FaissIndex.build(first, recipe)
    assert index.use_gpu()
    index.search(mixture.known_queries, 10)
    index.extend(collection)
    index.save(tmp_path / "index.faiss")
    loaded = FaissIndex.load(tmp_path / "index.faiss", recipe, trained_on=index.trained_on)
    assert loaded.count == len(collection)
    assert loaded.use_gpu()
    assert Neighbours(collection, loaded).search(collection.vectors[19_990:], 1)[0][0].cosine == 1.0


def test_asking_for_more_than_a_gpu_can_give_is_answered_exactly(collection, mixture):
    index = FaissIndex.build(collection, RECIPES[0])
    assert index.use_gpu()
    queries = mixture.known_queries[:3]
    assert Neighbours(collection, index).search(queries, 3000) == Neighbours(collection).search(queries, 3000)
