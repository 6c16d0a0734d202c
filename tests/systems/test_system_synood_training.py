"""SynOOD's trainings: the published formulas to their digits, what stays fixed, and what is promised of repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from curator.errors import BankError
from curator.methods.kernels.projection import projected
from curator.systems.synood.settings import SynoodSettings
from curator.systems.synood.training import (
    LARGEST_ROW,
    contrast_loss,
    exact_rows,
    residual,
    train_projection,
    tune_labels,
    unit_rows,
)

CLASSES, USED, WIDTH = 4, 3, 16


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def toy():
    """Images scattered about their texts, in the order of train_projection's arguments."""
    draw = np.random.default_rng(3)
    texts = unit(draw.normal(size=(CLASSES + USED, WIDTH)))
    id_labels = np.repeat(np.arange(CLASSES), 30)
    synthetic_labels = CLASSES + np.repeat(np.arange(USED), 40)
    scatter = [0.9 * draw.normal(size=(len(labels), WIDTH)) / 4 for labels in (id_labels, synthetic_labels)]
    return (
        unit(texts[id_labels] + scatter[0]),
        id_labels,
        unit(texts[synthetic_labels] + scatter[1]),
        synthetic_labels,
        texts,
    )


def as_tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def test_the_residual_and_its_loss_are_those_of_the_published_layers():
    weight = torch.diag(as_tensor([0.5, 0.25, -0.5]))
    bias = as_tensor([0.1, 0, -0.1])
    features = as_tensor([[1, 2, 2]])
    moved = residual(features, weight, bias, torch.ones(3).double(), torch.zeros(3).double())
    np.testing.assert_allclose(moved[0], [1.770323, 2.641935, 2.0], atol=5e-7)
    unit_row = torch.nn.functional.normalize(moved)
    np.testing.assert_allclose(unit_row[0], [0.471226, 0.703233, 0.532362], atol=5e-7)
    loss = contrast_loss(moved, torch.eye(3).double(), torch.tensor([2]), 100.0)
    assert float(loss) == pytest.approx(17.087101, abs=5e-7)


def test_a_step_of_label_tuning_is_the_published_one():
    features = as_tensor([[2, 0], [1, 1]]).requires_grad_()
    image, target = as_tensor([[0.6, 0.8]]), torch.tensor([0])
    loss = contrast_loss(image, features, target, 100.0)
    assert float(loss.detach()) == pytest.approx(38.994949, abs=5e-7)
    loss.backward()
    np.testing.assert_allclose(features.grad, [[0, -40], [-7.071068, 7.071068]], atol=5e-7)
    settings = SynoodSettings(tuning_epochs=1)
    tuned = tune_labels(
        np.array([[0.6, 0.8]], dtype=np.float32), np.array([0]), np.array([[2.0, 0], [1, 1]]), 100.0, settings
    )
    np.testing.assert_allclose(tuned.raw, [[2.0, 0.8], [1.141421, 0.858578]], atol=1e-6)
    assert tuned.losses[0] == pytest.approx(38.994949, abs=1e-5)
    after = contrast_loss(image, torch.from_numpy(tuned.raw).double(), target, 100.0)
    assert float(after) == pytest.approx(10.619475, abs=1e-4)
    np.testing.assert_allclose(tuned.vectors, unit(tuned.raw), atol=1e-7)


def test_the_loss_of_the_projection_falls_and_its_texts_stay(toy):
    texts = toy[-1].copy()
    learned = train_projection(*toy, 20.0, SynoodSettings(projection_epochs=20, projection_batch=16))
    assert learned.losses[-1] < 0.8 * learned.losses[0]
    assert np.array_equal(toy[-1], texts)
    assert learned.gain.shape == learned.shift.shape == learned.bias.shape == (WIDTH,)


def test_training_and_scoring_project_alike(toy):
    learned = train_projection(*toy, 20.0, SynoodSettings(projection_gain=1.0))
    layers = (learned.weight, learned.bias, learned.gain, learned.shift)
    here = residual(*(torch.from_numpy(values) for values in (toy[0], *layers)))
    np.testing.assert_allclose(unit_rows(here.numpy()), projected(toy[0], *layers), atol=1e-5)


def test_an_epoch_is_about_all_images_and_the_id_labels_are_in_its_softmax(toy):
    settings = SynoodSettings(projection_epochs=1, projection_batch=1000, projection_gain=1e-7)  # begins as nothing
    everything = train_projection(*toy, 20.0, settings)
    images = torch.from_numpy(np.concatenate([toy[0], toy[2]]))
    labels = torch.from_numpy(np.concatenate([toy[1], toy[3]]))
    by_hand = torch.nn.functional.cross_entropy(20.0 * images @ torch.from_numpy(toy[-1]).T, labels)
    assert everything.losses[0] == pytest.approx(float(by_hand), rel=1e-4)


def test_weights_lie_on_the_grid_and_their_rows_are_short(toy):
    learned = train_projection(*toy, 20.0, SynoodSettings(projection_epochs=5, projection_rate=1.0))
    weight = learned.weight.astype(np.float64) * 2**24
    assert np.array_equal(weight, np.rint(weight))
    assert np.linalg.norm(learned.weight.astype(np.float64), axis=1).max() < LARGEST_ROW


def test_rows_that_grew_too_long_are_halved_with_their_bias_which_changes_no_projection():
    draw = np.random.default_rng(0)
    weight, bias = draw.normal(size=(8, 8)).astype(np.float32) * 9, draw.normal(size=8).astype(np.float32)
    short, offsets = exact_rows(weight, bias)
    assert np.linalg.norm(short.astype(np.float64), axis=1).max() < LARGEST_ROW
    rows, gain, shift = unit(draw.normal(size=(5, 8))), np.ones(8), np.zeros(8)
    np.testing.assert_allclose(
        projected(rows, short, offsets, gain, shift), projected(rows, weight, bias, gain, shift), atol=1e-5
    )
    same, _ = exact_rows(short, offsets)
    assert np.array_equal(same, short)


def test_tuning_lowers_the_loss_and_keeps_what_it_was_given(toy):
    features = 10 * toy[-1][CLASSES:]
    before = features.copy()
    shuffled = np.random.default_rng(1).permutation(toy[3] - CLASSES)  # so that there is something to learn
    tuned = tune_labels(toy[2], shuffled, features, 20.0, SynoodSettings(tuning_rate=1.0, tuning_batch=16))
    assert tuned.losses[-1] < tuned.losses[0]
    assert np.array_equal(features, before)
    np.testing.assert_allclose(np.linalg.norm(tuned.vectors, axis=1), 1, atol=1e-6)
    assert tuned.vectors.dtype == np.float32


def test_a_label_that_no_image_has_hardly_moves(toy):
    features = 10 * toy[-1]
    tuned = tune_labels(toy[2][:40], np.zeros(40, dtype=np.int64), features, 20.0, SynoodSettings())
    moved = np.linalg.norm(tuned.raw - features, axis=1)
    assert moved[0] > 0 and np.all(moved < 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_repeats_are_equal_to_the_bit_and_the_world_stays_as_it_was(toy, threads):
    settings = SynoodSettings()
    first = train_projection(*toy, 20.0, settings)
    tuned = tune_labels(toy[2], toy[3] - CLASSES, toy[-1][CLASSES:], 20.0, settings)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        torch.manual_seed(99)
        state = torch.get_rng_state()
        again = train_projection(*toy, 20.0, settings)
        tuned_again = tune_labels(toy[2], toy[3] - CLASSES, toy[-1][CLASSES:], 20.0, settings)
        assert torch.get_num_threads() == threads
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(before)
    assert first.weight.tobytes() == again.weight.tobytes() and first.losses == again.losses
    assert tuned.vectors.tobytes() == tuned_again.vectors.tobytes()


def test_another_seed_begins_elsewhere(toy):
    first, second = (train_projection(*toy, 20.0, SynoodSettings(seed=seed)) for seed in (0, 1))
    assert not np.array_equal(first.weight, second.weight)


def test_a_loss_that_runs_away_is_an_error(toy):
    with pytest.raises(BankError, match="lower tuning_rate"):
        tune_labels(toy[2], toy[3] - CLASSES, np.zeros((USED, WIDTH)) * np.nan, 20.0, SynoodSettings())
