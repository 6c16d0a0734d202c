"""What every registered method must do. A new line in METHODS is picked up here by itself."""

from __future__ import annotations

import numpy as np
import pytest

from curator.methods import METHODS, ScoreTable, resolve_method, score_vectors
from curator.methods.spec import checked_parameters
from curator.types import Bank, Label


@pytest.fixture(params=METHODS.names())
def name(request) -> str:
    return str(request.param)


@pytest.fixture
def bank() -> Bank:
    """Ten ID labels and three hundred negatives around two separate directions, in 48 dimensions."""
    vectors = 0.05 * np.random.default_rng(11).normal(size=(310, 48))
    vectors[:10, :10] += 4 * np.eye(10)
    vectors[10:, 20] += 4
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [Label(f"label {n}", "id" if n < 10 else "negative", "test") for n in range(310)]
    return Bank("b", "0" * 32, "test@1", 30.0, tuple(labels), vectors.astype(np.float32), {})


def images_near(vectors):
    images = vectors + 0.01 * np.random.default_rng(12).normal(size=vectors.shape)
    return (images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float32)


def test_scores_are_finite_float64_in_range_one_per_image(name, bank):
    table = score_vectors(images_near(bank.vectors), bank, resolve_method(name, bank))
    for scores in (table.id_score, table.log_odds):
        assert scores.shape == (310,) and scores.dtype == np.float64 and np.isfinite(scores).all()
    assert (table.id_score >= 0).all() and (table.id_score <= 1).all()


def test_images_of_id_labels_score_higher_than_images_of_negatives(name, bank):
    method = resolve_method(name, bank)
    inside = score_vectors(images_near(bank.id_vectors), bank, method)
    outside = score_vectors(images_near(bank.negative_vectors), bank, method)
    assert inside.log_odds.min() > outside.log_odds.max()


def test_log_odds_rank_images_as_their_scores_do(name, bank):
    table = score_vectors(images_near(bank.vectors), bank, resolve_method(name, bank))
    order = np.argsort(table.log_odds)
    assert (np.diff(table.id_score[order]) >= -1e-15).all()
    unsaturated = (table.id_score > 1e-9) & (table.id_score < 1 - 1e-6)
    logit = np.log(table.id_score[unsaturated]) - np.log1p(-table.id_score[unsaturated])
    np.testing.assert_allclose(table.log_odds[unsaturated], logit, atol=1e-6)


def test_a_score_does_not_depend_on_the_other_images(name, bank):
    images = images_near(bank.vectors)
    method = resolve_method(name, bank)
    whole = score_vectors(images, bank, method)
    parts = [score_vectors(images[start : start + 7], bank, method, block_rows=3) for start in range(0, 310, 7)]
    for column in ScoreTable.__slots__:
        np.testing.assert_array_equal(np.concatenate([getattr(part, column) for part in parts]), getattr(whole, column))


def test_the_id_names_every_parameter_and_reads_back(name, bank):
    method = resolve_method(name, bank)
    assert method.method_id.startswith(f"{name}(")
    assert resolve_method(method.method_id, bank) == method
    assert type(method) is METHODS.get(name)
    assert "scale=30" in method.method_id and checked_parameters(type(method), {"scale": "30"}) == {"scale": 30.0}


@pytest.mark.parametrize("rule", ["even_odds", "label_for_label"])
def test_the_default_cut_tells_the_two_sides_apart(name, bank, rule):
    method = resolve_method(name, bank)
    cut = method.default_min_log_odds(10, 300, rule)
    assert (score_vectors(images_near(bank.id_vectors), bank, method).log_odds >= cut).all()
    assert (score_vectors(images_near(bank.negative_vectors), bank, method).log_odds < cut).all()
