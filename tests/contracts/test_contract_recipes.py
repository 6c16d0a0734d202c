"""What every shipped index recipe promises, measured against exact search on the seeded mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from curator.types import Vectors
from curator.vectors import (
    ImageCollection,
    Neighbours,
    Recipe,
    at_rest,
    index_status,
    list_recipes,
    write_shard,
)
from tests.vectors.recall import Mixture, recall_at_k, seeded_mixture

PARTS = 10
FIRST = 7  # files that are there when the index is trained; the rest, strange ones among them, come later


@dataclass(frozen=True)
class Lake:
    """15,000 vectors in ten files, the first seven enough for every recipe; the last holds the strange ones."""

    mixture: Mixture
    vectors: Vectors
    first: ImageCollection
    whole: ImageCollection


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    folder = tmp_path_factory.mktemp("vectors")
    mixture = seeded_mixture(known=13_500, strange=1_500)
    vectors = np.concatenate([mixture.known, mixture.strange])
    files = [f"part-{number}" for number in range(PARTS)]
    for number, rows in enumerate(np.array_split(np.arange(len(vectors)), PARTS)):
        ids = [f"{row:032x}" for row in rows]
        write_shard(folder / f"{files[number]}.safetensors", ids, vectors[rows], encoder_id="mixture@1")
    dimension = vectors.shape[1]
    return Lake(
        mixture,
        vectors,
        ImageCollection(folder, files[:FIRST], dimension),
        ImageCollection(folder, files, dimension),
    )


@pytest.fixture(scope="module", params=list_recipes(), ids=lambda recipe: recipe.name)
def recipe(request) -> Recipe:
    return request.param


@pytest.fixture(scope="module")
def folder(recipe, lake, tmp_path_factory):
    """The folder of an index built on the first files and then extended by the others."""
    folder = tmp_path_factory.mktemp("index")
    Neighbours.open(lake.first, recipe, folder)
    assert index_status(lake.whole, recipe, folder).action == "extend"
    return folder


@pytest.fixture(scope="module")
def extended(recipe, folder, lake) -> Neighbours:
    return Neighbours.open(lake.whole, recipe, folder)


@pytest.fixture(scope="module")
def exact(lake) -> Neighbours:
    return Neighbours(lake.whole)


def test_the_recipe_is_not_measured_as_flat_in_disguise(recipe, lake):
    assert recipe.is_worth_it(len(lake.first))
    assert (recipe.factory_for(len(lake.first), 64) == "Flat") == (recipe.name == "flat")


def test_recall_on_what_it_was_trained_on_is_as_promised(recipe, extended, exact, lake):
    assert recipe.contract.recall_at_10 >= 0.95
    assert recall_at_k(extended, exact, lake.mixture.known_queries, 10) >= recipe.contract.recall_at_10


def test_recall_on_strange_images_that_came_later_is_as_promised(recipe, extended, exact, lake):
    # Trained on familiar images alone, lists and codes fit the strange ones worst: those that the tool looks for.
    assert recipe.contract.recall_at_10_ood >= 0.9
    assert recall_at_k(extended, exact, lake.mixture.strange_queries, 10) >= recipe.contract.recall_at_10_ood


@pytest.mark.slow
def test_building_at_once_keeps_the_promise_too(recipe, exact, lake, tmp_path):
    built = Neighbours.open(lake.whole, recipe, tmp_path)
    assert recall_at_k(built, exact, lake.mixture.known_queries, 10) >= recipe.contract.recall_at_10
    assert recall_at_k(built, exact, lake.mixture.strange_queries, 10) >= recipe.contract.recall_at_10_ood


def test_a_saved_index_answers_as_the_one_that_was_saved(recipe, extended, folder, lake):
    queries = np.concatenate([lake.mixture.known_queries, lake.mixture.strange_queries])
    assert index_status(lake.whole, recipe, folder).state == "fresh"
    assert Neighbours.open(lake.whole, recipe, folder).search(queries, 10) == extended.search(queries, 10)


def test_added_vectors_find_themselves(extended, lake):
    rows = range(10_500, 15_000, 29)
    positions, cosines = extended.nearest(at_rest(lake.vectors[list(rows)]), 1)
    assert (positions[:, 0] == rows).mean() >= 0.99
    assert cosines[positions[:, 0] == rows].min() >= 1 - 1e-6


def test_cosines_are_exact_whatever_the_index(extended, lake):
    queries = lake.mixture.known_queries
    positions, cosines = extended.nearest(queries, 10)
    stored = at_rest(lake.vectors)[positions].astype(np.float64)
    wanted = np.einsum("nd,nkd->nk", queries, stored) / np.linalg.norm(stored, axis=2)
    assert np.abs(cosines - wanted).max() < 3e-7
    assert (np.diff(cosines, axis=1) <= 0).all()
