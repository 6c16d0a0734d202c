"""Banks of few labels are scored exactly: the pure form's values, the same bits in any batch, and no torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import EncoderError, UsageError
from curator.methods import BankScorer, ScoreTable, resolve_method, score
from curator.methods.kernels import exact_pass
from curator.methods.kernels.exact_pass import ExactPass

METHODS = ("neglabel:group_count=1", "neglabel:group_size=7,remainder=join", "mcm", "energy", "eoe", "max_logit")


@pytest.fixture(autouse=True)
def small_banks(monkeypatch):
    monkeypatch.setattr(exact_pass, "LABELS", 100_000)


@pytest.fixture(scope="module")
def bank(make_bank):
    return make_bank(6, 60)


@pytest.fixture(scope="module")
def vectors(unit):
    return unit(np.random.default_rng(3).normal(size=(40, 64)))


def test_few_labels_take_this_way(bank):
    assert isinstance(BankScorer(bank, [resolve_method("mcm", bank)])._kernel, ExactPass)


def test_it_is_the_pure_form(bank, vectors):
    cosines = vectors.astype(np.float64) @ bank.vectors.T.astype(np.float64)
    table = BankScorer(bank, [resolve_method("neglabel:group_count=1,scale=100", bank)]).score(vectors)[0]
    expected = score("neglabel", cosines[:, :6], cosines[:, 6:], scale=100, group_count=1)
    np.testing.assert_allclose(table.id_score, expected, rtol=1e-5)  # cosines on a grid of 2^-25
    np.testing.assert_array_equal(table.negative_label, 6 + cosines[:, 6:].argmax(axis=1))


@given(data=st.data())
def test_a_row_has_the_same_bits_in_any_batch(make_bank, unit, data):
    bank = make_bank(data.draw(st.integers(2, 9)), data.draw(st.integers(7, 300)))
    vectors = unit(np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=(30, 64)))
    scorer = BankScorer(bank, [resolve_method(text, bank) for text in METHODS])
    whole = scorer.score(vectors)
    rows = data.draw(st.lists(st.integers(0, 29), min_size=1, max_size=12))
    for all_rows, some in zip(whole, scorer.score(vectors[rows]), strict=True):
        for name in ScoreTable.__slots__:
            np.testing.assert_array_equal(getattr(some, name), getattr(all_rows, name)[rows])


def test_a_vector_that_is_not_of_unit_norm_is_refused(bank, vectors):
    with pytest.raises(EncoderError, match="norm"):
        BankScorer(bank, [resolve_method("mcm", bank)]).score(2 * vectors)


def test_an_unknown_precision_is_refused(bank):
    with pytest.raises(UsageError, match="precision cannot be"):
        BankScorer(bank, [resolve_method("mcm", bank)], precision="half")


def test_it_needs_no_torch():
    code = (
        "import sys, numpy as np; from curator.methods import BankScorer, resolve_method; "
        "from curator.types import Bank, Label; "
        "labels = tuple(Label(str(i), 'id' if i < 2 else 'negative', 't') for i in range(4)); "
        "bank = Bank('b', '0', 'e', 30.0, labels, np.eye(4, dtype=np.float32), {}); "
        "BankScorer(bank, [resolve_method('neglabel', bank)]).score(np.eye(4, dtype=np.float32)); "
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
