"""The pure forms of newer methods against conformance values: `newer-methods.md`, A3, C2."""

from __future__ import annotations

import numpy as np
import pytest

from curator.errors import UsageError
from curator.methods import BankScorer, resolve_method, score
from curator.methods.grouping import Grouping

ID = np.array([[0.28, 0.21, 0.19], [0.20, 0.22, 0.17], [0.25, 0.24, 0.18], [0.15, 0.19, 0.16]])
NEGATIVE = np.array(
    [[0.24, 0.22, 0.18, 0.26], [0.27, 0.25, 0.16, 0.23], [0.21, 0.23, 0.20, 0.19], [0.29, 0.18, 0.24, 0.22]]
)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [(1, [0.895247, 0.008815, 0.918071, 0.000064]), (2, [0.900567, 0.111576, 0.922944, 0.002120])],
)
def test_c2_balanced_score(groups, expected):
    found = score("interneg", ID, NEGATIVE, scale=100, group_count=groups)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_the_balanced_score_is_one_half_where_all_labels_are_as_near_however_many_there_are():
    for negatives in (1, 7, 1000):
        even = score("interneg", np.full((1, 3), 0.2), np.full((1, negatives), 0.2), scale=100)
        np.testing.assert_allclose(even, 0.5, atol=1e-12)
    with pytest.raises(UsageError, match="needs negative labels"):
        score("interneg", ID, None, scale=100)


def test_the_plain_form_is_neglabels(make_bank, unit):
    bank = make_bank(6, 83)
    images = unit(np.random.default_rng(3).normal(size=(40, 64)))
    methods = [resolve_method(text, bank) for text in ("interneg:form=plain", "neglabel:group_count=5", "interneg")]
    plain, neglabel, balanced = (table.log_odds for table in BankScorer(bank, methods).score(images))
    np.testing.assert_array_equal(plain, neglabel)
    assert Grouping(count=5).sizes(83) == [16] * 5 and (balanced > plain).all()
