"""BankScorer: what a row holds, blocks, refusals. Precision and bits: test_method_kernel.py."""

from __future__ import annotations

import numpy as np
import pytest

from curator.errors import EncoderError, UsageError
from curator.methods import BankScorer, ScoreTable, resolve_method, score
from curator.methods.kernels import float_pass as kernel_module
from tests.methods.scored import score_vectors


@pytest.fixture(scope="module")
def bank(make_bank):
    return make_bank(40, 1_337)


@pytest.fixture(scope="module")
def vectors(unit):
    return unit(np.random.default_rng(7).normal(size=(301, 64)))


def same(left: ScoreTable, right: ScoreTable) -> None:
    for name in ScoreTable.__slots__:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


def test_a_row_holds_scores_and_the_nearest_labels(bank, vectors):
    table = score_vectors(vectors, bank, resolve_method("neglabel", bank), precision="full")
    cosines = vectors.astype(np.float64) @ bank.vectors.T.astype(np.float64)
    np.testing.assert_array_equal(table.id_label, cosines[:, :40].argmax(axis=1))
    np.testing.assert_array_equal(table.negative_label, 40 + cosines[:, 40:].argmax(axis=1))
    np.testing.assert_allclose(table.id_cosine, cosines[:, :40].max(axis=1), rtol=0, atol=1e-7)
    np.testing.assert_allclose(table.negative_cosine, cosines[:, 40:].max(axis=1), rtol=0, atol=1e-7)
    assert {name: getattr(table, name).dtype for name in ScoreTable.__slots__} == {
        "id_score": np.float64,
        "log_odds": np.float64,
        "id_label": np.int32,
        "id_cosine": np.float32,
        "negative_label": np.int32,
        "negative_cosine": np.float32,
    }


@pytest.mark.parametrize("text", ["neglabel", "mcm", "csp", "eoe"])
def test_a_method_marked_full_is_scored_on_finer_cosines(bank, vectors, text):
    marked = resolve_method(f"{text}:precision=full", bank)
    assert "precision=full" in marked.method_id and resolve_method(marked.method_id, bank) == marked
    plain, fine = resolve_method(text, bank), score_vectors(vectors, bank, marked)
    same(fine, score_vectors(vectors, bank, plain, precision="full"))
    assert (fine.log_odds != score_vectors(vectors, bank, plain).log_odds).any()


@pytest.mark.parametrize("precision", ["fast", "full"])
def test_a_named_label_comes_with_its_own_cosine_whatever_the_precision(bank, vectors, precision):
    table = score_vectors(vectors, bank, resolve_method("neglabel", bank), precision=precision)
    cosines = vectors.astype(np.float64) @ bank.vectors.T.astype(np.float64)
    rows = np.arange(len(vectors))
    np.testing.assert_allclose(table.id_cosine, cosines[rows, table.id_label], rtol=0, atol=1e-7)
    np.testing.assert_allclose(table.negative_cosine, cosines[rows, table.negative_label], rtol=0, atol=1e-7)


def test_scores_agree_with_the_pure_form_of_the_method(bank, vectors):
    cosines = vectors.astype(np.float64) @ bank.vectors.T.astype(np.float64)
    method = resolve_method("neglabel", bank)
    order = method.grouping.order(1_337)
    expected = score("neglabel", cosines[:, :40], cosines[:, 40:], scale=30, permutation=order)
    found = score_vectors(vectors, bank, method, precision="full")
    np.testing.assert_allclose(found.id_score, expected, rtol=0, atol=2e-4)
    mcm = score_vectors(vectors, bank, resolve_method("mcm", bank), precision="full")
    np.testing.assert_allclose(mcm.id_score, score("mcm", cosines[:, :40], scale=30), rtol=0, atol=2e-4)


def test_blocks_are_joined_in_the_order_of_the_rows(bank, vectors, monkeypatch):
    monkeypatch.setitem(kernel_module.BLOCK_ROWS, "cpu", 64)
    methods = [resolve_method(text, bank) for text in ("neglabel", "mcm")]
    scorer = BankScorer(bank, methods)
    whole = scorer.score(vectors)
    assert [len(table) for table in whole] == [301, 301]
    for start, stop in ((0, 64), (60, 70), (300, 301)):
        for table, part in zip(whole, scorer.score(vectors[start:stop]), strict=True):
            same(part, ScoreTable(*(getattr(table, name)[start:stop] for name in ScoreTable.__slots__)))


def test_the_seed_draws_the_grouping_and_nothing_else(bank, vectors):
    texts = [f"neglabel:group_count={count},seed={seed}" for count in (4, 1) for seed in (0, 1)]
    tables = BankScorer(bank, [resolve_method(text, bank) for text in texts], precision="full").score(vectors)
    assert not np.allclose(tables[0].log_odds, tables[1].log_odds, atol=1e-4)
    same(tables[2], tables[3])
    again = score_vectors(vectors, bank, resolve_method(texts[1], bank), precision="full")
    same(again, tables[1])


def test_a_bank_without_negatives_gives_minus_one_and_nan(make_bank, vectors):
    bank = make_bank(3, 0)
    table = score_vectors(vectors[:5], bank, resolve_method("mcm", bank))
    assert table.negative_label.tolist() == [-1] * 5
    assert np.isnan(table.negative_cosine).all()


def test_no_vectors_give_an_empty_table(bank, vectors):
    table = score_vectors(vectors[:0], bank, resolve_method("neglabel", bank))
    assert len(table) == 0
    assert table.id_score.shape == table.negative_cosine.shape == (0,)
    assert table.id_label.dtype == table.negative_label.dtype == np.int32


def test_vectors_at_half_precision_are_accepted(bank, vectors):
    halved = vectors.astype(np.float16).astype(np.float32)
    method = resolve_method("neglabel", bank)
    found = score_vectors(halved, bank, method)
    np.testing.assert_allclose(found.log_odds, score_vectors(vectors, bank, method).log_odds, atol=0.1)


@pytest.mark.parametrize("fault", [np.nan, 3.0, 0.0])
def test_a_vector_that_is_not_of_unit_norm_is_refused_by_its_number(bank, vectors, fault):
    wrong = vectors[:20].copy()
    wrong[11] = fault
    with pytest.raises(EncoderError, match="vector 11 of 20 has norm"):
        score_vectors(wrong, bank, resolve_method("mcm", bank))


def test_vectors_of_another_encoder_are_refused(bank, vectors):
    with pytest.raises(UsageError, match=r"\(301, 32\) do not fit bank b of dimension 64"):
        score_vectors(vectors[:, :32], bank, resolve_method("mcm", bank))
    with pytest.raises(UsageError, match="no method to score with"):
        BankScorer(bank, [])


def test_reference_images_must_be_there_for_each_image(bank, vectors):
    scorer = BankScorer(bank, [resolve_method("knn:k=4", bank), resolve_method("mcm", bank)])
    enough = np.tile(np.linspace(0.9, 0.1, 5, dtype=np.float32), (301, 1))
    for neighbours in (None, enough[:, :3], enough[:300]):
        with pytest.raises(UsageError, match="4 reference images are needed for each image"):
            scorer.score(vectors, neighbours)
    knn = scorer.score(vectors, enough)[0]
    np.testing.assert_allclose(knn.log_odds, -np.sqrt(2 - 2 * 0.3), rtol=1e-6)
    with pytest.raises(UsageError, match="are needed"):
        score_vectors(vectors, bank, resolve_method("knn", bank))
