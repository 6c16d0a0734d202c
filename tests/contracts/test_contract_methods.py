"""What every registered method must do. A new line in METHODS is picked up here by itself."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from curator.errors import BankError, CuratorError, UsageError
from curator.methods import METHODS, BankScorer, ScoreTable, resolve_method, score
from curator.methods.cosines import exact_cosines, on_grid
from curator.methods.spec import MethodSpec
from curator.types import Bank, Label

MEASURED = {"reference", "text_mean", "text_deviation", "image_mean", "image_deviation"}  # on reference images
NATURAL_CUT = {"mcm", "neglabel", "csp"}
PROBABILITY = {"mcm", "neglabel", "csp"}


@pytest.fixture(params=METHODS.names())
def name(request) -> str:
    return str(request.param)


def drawn_bank() -> Bank:
    """Ten ID labels and three hundred negatives around two separate directions, in 48 dimensions."""
    vectors = 0.05 * np.random.default_rng(11).normal(size=(310, 48))
    vectors[:10, :10] += 4 * np.eye(10)
    vectors[10:, 20] += 4
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [Label(f"label {n}", "id" if n < 10 else "negative", "test") for n in range(310)]
    spec = {"mining": {"method": "csp"}}
    return Bank("b", "0" * 32, "test@1", 30.0, tuple(labels), vectors.astype(np.float32), spec)


def images_near(vectors, seed=12):
    images = vectors + 0.01 * np.random.default_rng(seed).normal(size=vectors.shape)
    return (images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float32)


BANK = drawn_bank()
REFERENCES = images_near(np.repeat(BANK.id_vectors, 12, axis=0), seed=13)


@pytest.fixture
def bank() -> Bank:
    return BANK


def cosines(vectors, others):
    """The same whatever the other rows."""
    return exact_cosines(on_grid(vectors), on_grid(others))


def scored(bank, method, vectors, *, precision="fast") -> ScoreTable:
    neighbours = -np.sort(-cosines(vectors, REFERENCES), axis=1)[:, : max(method.needs.neighbours, 1)]
    return BankScorer(bank, [method], precision=precision).score(vectors, neighbours)[0]


def test_scores_are_finite_float64_one_per_image(name, bank):
    table = scored(bank, resolve_method(name, bank), images_near(bank.vectors))
    for scores in (table.id_score, table.log_odds):
        assert scores.shape == (310,) and scores.dtype == np.float64 and np.isfinite(scores).all()
    if name in PROBABILITY:
        assert (table.id_score >= 0).all() and (table.id_score <= 1).all()


def test_images_of_id_labels_score_higher_than_images_of_negatives(name, bank):
    method = resolve_method(name, bank)
    inside = scored(bank, method, images_near(bank.id_vectors))
    outside = scored(bank, method, images_near(bank.negative_vectors))
    assert inside.log_odds.min() > outside.log_odds.max()


def test_log_odds_rank_images_as_their_scores_do(name, bank):
    table = scored(bank, resolve_method(name, bank), images_near(bank.vectors))
    order = np.argsort(table.log_odds)
    assert (np.diff(table.id_score[order]) >= -1e-15).all()
    if name in PROBABILITY:
        unsaturated = (table.id_score > 1e-9) & (table.id_score < 1 - 1e-6)
        logit = np.log(table.id_score[unsaturated]) - np.log1p(-table.id_score[unsaturated])
        np.testing.assert_allclose(table.log_odds[unsaturated], logit, atol=1e-6)


def test_the_kernel_gives_what_the_pure_form_gives(name, bank):
    """To 2e-5 of the logit scale: the stated precision."""
    method = resolve_method(name, bank)
    vectors = images_near(bank.vectors)
    parameters = {
        key: value for key, value in MethodSpec.of(method).parameters.items() if key not in ("seed", "reference")
    }
    if "seed" in {field.name for field in fields(method)}:
        parameters["permutation"] = next(iter(method.needs.masses))[1].order(300)
    if method.needs.neighbours:
        parameters["reference_cosines"] = cosines(vectors, REFERENCES)
    inside, outside = cosines(vectors, bank.id_vectors), cosines(vectors, bank.negative_vectors)
    expected = score(name, inside, outside, **parameters)
    found = scored(bank, method, vectors, precision="full")
    np.testing.assert_allclose(found.id_score, expected, rtol=0, atol=2e-5 * bank.logit_scale)
    np.testing.assert_array_equal(found.id_label, inside.argmax(axis=1))


def test_a_score_does_not_depend_on_the_other_images(name, bank):
    images = images_near(bank.vectors)
    method = resolve_method(name, bank)
    whole = scored(bank, method, images)
    order = np.random.default_rng(1).permutation(310)
    for rows in (slice(0, 7), slice(303, 310), slice(100, 101), order):
        part = scored(bank, method, images[rows])
        for column in ScoreTable.__slots__:
            np.testing.assert_array_equal(getattr(part, column), getattr(whole, column)[rows])


def test_all_methods_in_one_pass_give_what_each_gives_alone(bank):
    images = images_near(bank.vectors)
    methods = [resolve_method(name, bank) for name in METHODS.names()]
    neighbours = -np.sort(-cosines(images, REFERENCES), axis=1)[:, :10]
    for method, table in zip(methods, BankScorer(bank, methods).score(images, neighbours), strict=True):
        alone = scored(bank, method, images)
        for column in ScoreTable.__slots__:
            np.testing.assert_array_equal(getattr(table, column), getattr(alone, column), err_msg=method.name)


def test_the_order_of_id_labels_changes_which_is_named_and_no_score(name, bank):
    order = np.concatenate([np.random.default_rng(2).permutation(10), np.arange(10, 310)])
    moved = replace(bank, labels=tuple(bank.labels[n] for n in order), vectors=bank.vectors[order])
    images = images_near(bank.vectors)
    before = scored(bank, resolve_method(name, bank), images, precision="full")
    after = scored(moved, resolve_method(name, moved), images, precision="full")
    np.testing.assert_allclose(after.log_odds, before.log_odds, rtol=0, atol=2e-5 * bank.logit_scale)
    np.testing.assert_array_equal(order[after.id_label], before.id_label)


def test_the_id_names_every_parameter_and_reads_back(name, bank):
    """What is measured on reference images is in the id, but not for users to set."""
    method = resolve_method(name, bank)
    assert type(method) is METHODS.get(name)
    assert method.method_id.startswith(f"{name}(") and method.method_id.endswith(")")
    spec = MethodSpec.parse(method.method_id)
    assert spec.name == name
    assert set(spec.parameters) == {field.name for field in fields(method) if getattr(method, field.name) is not None}
    given = {key: value for key, value in spec.parameters.items() if key not in MEASURED}
    assert resolve_method(MethodSpec(name, given), replace(bank, logit_scale=77.0)) == method
    for key in MEASURED & set(spec.parameters):
        with pytest.raises(UsageError, match="reference"):
            resolve_method(MethodSpec(name, {key: "7"}), bank)


def test_every_parameter_changes_the_id_and_none_is_lost(name, bank):
    method = resolve_method(name, bank)
    other = {"variant": "msp", "remainder": "join", "seed": "5", "k": "3", "group_count": "9", "beta": "0.5"}
    for key in set(MethodSpec.of(method).parameters) - MEASURED:
        changed = resolve_method(MethodSpec(name, {key: other.get(key, "0.25")}), bank)
        assert changed.method_id != method.method_id and f"{key}=" in changed.method_id
        assert getattr(changed, key) != getattr(method, key)


@pytest.mark.parametrize("parameter", ["nonsense=1", "=", "scale=", "temperature=warm", "k=-1", "beta=nan", "weight=2"])
def test_what_cannot_be_is_refused_in_one_line(name, bank, parameter):
    with pytest.raises(UsageError) as caught:
        resolve_method(f"{name}:{parameter}", bank)
    assert str(caught.value).startswith(("method ", f"{name}: ")) and "\n" not in str(caught.value)


def test_a_bank_that_will_not_do_is_refused_in_one_line_that_names_it(name, bank):
    """One ID label and no negatives: enough for some methods, and said clearly by the others."""
    bare = replace(bank, labels=bank.labels[:1], vectors=bank.vectors[:1], spec={})
    try:
        method = resolve_method(name, bare)
    except CuratorError as error:
        assert isinstance(error, BankError)
        assert name in str(error) and "bank b" in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(scored(bank, method, images_near(bank.vectors)).log_odds).all()
        assert not method.needs.masses


@pytest.mark.parametrize("rule", ["even_odds", "label_for_label"])
def test_the_default_cut_tells_the_two_sides_apart_or_is_refused(name, bank, rule):
    method = resolve_method(name, bank)
    if name not in NATURAL_CUT:
        with pytest.raises(UsageError, match="no natural threshold") as caught:
            method.default_min_log_odds(10, 300, rule)
        assert "curator calibrate" in (caught.value.hint or "")
        return
    cut = method.default_min_log_odds(10, 300, rule)
    assert (scored(bank, method, images_near(bank.id_vectors)).log_odds >= cut).all()
    assert (scored(bank, method, images_near(bank.negative_vectors)).log_odds < cut).all()
