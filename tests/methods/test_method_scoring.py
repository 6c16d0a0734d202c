"""score_vectors: what a row holds, exactness, independence of batches, refusals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import EncoderError, UsageError
from curator.methods import ScoreTable, resolve_method, score, score_vectors
from curator.methods.cosines import exact_cosines, on_grid
from curator.types import Bank, Label

GENERATOR = np.random.default_rng(7)


def unit(rows):
    vectors = np.asarray(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_bank(ids, negatives, dimension=64):
    labels = [Label(f"id {n}", "id", "test") for n in range(ids)]
    labels += [Label(f"negative {n}", "negative", "test") for n in range(negatives)]
    vectors = unit(np.random.default_rng(ids).normal(size=(len(labels), dimension)))
    return Bank("b", "0" * 32, "test@1", 30.0, tuple(labels), vectors, {})


BANK = make_bank(40, 1_337)
VECTORS = unit(GENERATOR.normal(size=(301, 64)))


def same(left: ScoreTable, right: ScoreTable) -> None:
    for name in ScoreTable.__slots__:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


def test_a_row_holds_scores_and_the_nearest_labels():
    table = score_vectors(VECTORS, BANK, resolve_method("neglabel", BANK))
    cosines = VECTORS.astype(np.float64) @ BANK.vectors.T.astype(np.float64)
    np.testing.assert_array_equal(table.id_label, cosines[:, :40].argmax(axis=1))
    np.testing.assert_array_equal(table.negative_label, 40 + cosines[:, 40:].argmax(axis=1))
    np.testing.assert_allclose(table.id_cosine, cosines[:, :40].max(axis=1), rtol=0, atol=1e-7)
    np.testing.assert_allclose(table.negative_cosine, cosines[:, 40:].max(axis=1), rtol=0, atol=1e-7)
    dtypes = {name: getattr(table, name).dtype for name in ScoreTable.__slots__}
    assert dtypes == {
        "id_score": np.float64,
        "log_odds": np.float64,
        "id_label": np.int32,
        "id_cosine": np.float32,
        "negative_labels": np.int32,
        "negative_cosines": np.float32,
    }


def test_scores_agree_with_the_pure_form_of_the_method():
    cosines = VECTORS.astype(np.float64) @ BANK.vectors.T.astype(np.float64)
    method = resolve_method("neglabel", BANK)
    order = method.permutation(1_337)
    expected = score("neglabel", cosines[:, :40], cosines[:, 40:], scale=30, permutation=order)
    np.testing.assert_allclose(score_vectors(VECTORS, BANK, method).id_score, expected, rtol=1e-5)
    mcm = score_vectors(VECTORS, BANK, resolve_method("mcm", BANK))
    np.testing.assert_allclose(mcm.id_score, score("mcm", cosines[:, :40], scale=30), rtol=1e-5)


@pytest.mark.parametrize("text", ["neglabel", "neglabel:group_count=7,remainder=join", "neglabel:group_count=1", "mcm"])
def test_a_row_is_the_same_bit_for_bit_alone_in_any_block_and_in_any_place(text):
    method = resolve_method(text, BANK)
    whole = score_vectors(VECTORS, BANK, method, top_negatives=3)
    for block_rows in (1, 5, 64, 300):
        same(score_vectors(VECTORS, BANK, method, block_rows=block_rows, top_negatives=3), whole)
    order = GENERATOR.permutation(len(VECTORS))
    moved = score_vectors(VECTORS[order], BANK, method, top_negatives=3)
    same(moved, ScoreTable(*(getattr(whole, name)[order] for name in ScoreTable.__slots__)))
    same(
        score_vectors(VECTORS[200:201], BANK, method, top_negatives=3),
        ScoreTable(*(getattr(whole, name)[200:201] for name in ScoreTable.__slots__)),
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=20)
def test_cosines_are_exact_sums_of_the_rounded_entries(seed, dimension):
    left, right = (on_grid(unit(rows)) for rows in np.random.default_rng(seed).normal(size=(2, 2, dimension)))
    found = exact_cosines(left, right)
    for row in range(2):
        for column in range(2):
            exact = sum(Fraction(a) * Fraction(b) for a, b in zip(left[row], right[column], strict=True))
            assert Fraction(found[row, column]) == exact


def test_rounding_of_entries_costs_less_than_a_float32_product_would():
    true = VECTORS.astype(np.longdouble) @ BANK.vectors.T.astype(np.longdouble)
    error = np.abs(exact_cosines(on_grid(VECTORS), on_grid(BANK.vectors)) - true).max()
    assert error < 1e-7
    assert error <= 2 * np.abs(VECTORS @ BANK.vectors.T - true).max()


def test_more_negatives_come_nearest_first_and_are_filled_up():
    bank = make_bank(3, 2)
    table = score_vectors(VECTORS[:, :64], bank, resolve_method("neglabel", bank), top_negatives=4)
    assert set(map(tuple, table.negative_labels.tolist())) == {(3, 4, -1, -1), (4, 3, -1, -1)}
    assert (table.negative_cosines[:, 0] >= table.negative_cosines[:, 1]).all()
    assert np.isnan(table.negative_cosines[:, 2:]).all()


def test_equal_labels_are_settled_by_their_order():
    vectors = unit([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    labels = tuple(Label(str(n), "id" if n < 2 else "negative", "test") for n in range(5))
    bank = Bank("b", "0" * 32, "test@1", 30.0, labels, vectors, {})
    table = score_vectors(unit([[1, 1]]), bank, resolve_method("neglabel", bank), top_negatives=3)
    assert table.id_label.tolist() == [0]
    assert table.negative_labels.tolist() == [[2, 3, 4]]


def test_a_bank_without_negatives_gives_minus_one_and_nan():
    bank = make_bank(3, 0)
    table = score_vectors(VECTORS[:5], bank, resolve_method("mcm", bank))
    assert table.negative_label.tolist() == [-1] * 5
    assert np.isnan(table.negative_cosine).all()


def test_no_vectors_give_an_empty_table():
    table = score_vectors(VECTORS[:0], BANK, resolve_method("neglabel", BANK), top_negatives=2)
    assert len(table) == 0
    assert table.negative_labels.shape == (0, 2)
    assert table.id_label.dtype == np.int32


def test_vectors_at_half_precision_are_accepted():
    halved = VECTORS.astype(np.float16).astype(np.float32)
    method = resolve_method("neglabel", BANK)
    found = score_vectors(halved, BANK, method)
    np.testing.assert_allclose(found.log_odds, score_vectors(VECTORS, BANK, method).log_odds, atol=0.02)


@pytest.mark.parametrize("fault", [np.nan, 3.0, 0.0])
def test_a_vector_that_is_not_of_unit_norm_is_refused_by_its_number(fault):
    vectors = VECTORS[:20].copy()
    vectors[11] = fault
    with pytest.raises(EncoderError, match="vector 11 of 20 has norm"):
        score_vectors(vectors, BANK, resolve_method("mcm", BANK))


def test_vectors_of_another_encoder_are_refused():
    with pytest.raises(UsageError, match=r"\(301, 32\) do not fit bank b of dimension 64"):
        score_vectors(VECTORS[:, :32], BANK, resolve_method("mcm", BANK))
    with pytest.raises(UsageError, match="at least 1"):
        score_vectors(VECTORS, BANK, resolve_method("mcm", BANK), top_negatives=0)
