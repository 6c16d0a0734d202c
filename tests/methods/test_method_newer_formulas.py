"""The pure forms of newer methods against conformance values: `newer-methods.md`, A3, C2."""

from __future__ import annotations

import numpy as np
import pytest

from curator.errors import UsageError
from curator.methods import BankScorer, resolve_method, score
from curator.methods.grouping import Grouping
from curator.methods.kernels.pairs import nearest_places
from curator.methods.maths import sigmoid
from curator.methods.members.negrefine import best_pair

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


def test_a3_joined_score():
    i, j = np.arange(3)[:, None], np.arange(4)[None]
    pairs = 0.45 * ID[:, :, None] + 0.55 * NEGATIVE[:, None] + 0.02 * ((i + 2 * j) % 3) - 0.01
    gains = best_pair(ID, NEGATIVE, pairs, 2)
    np.testing.assert_allclose(100 * gains, [0.8, 0.75, 3.9, 0.75], atol=1e-6)
    np.testing.assert_allclose(sigmoid(100 * gains), [0.689974, 0.679179, 0.980160, 0.679179], atol=1e-6)
    given = {"pair_cosines": pairs, "scale": 100, "joined": 2}
    one, two = (score("negrefine", ID, NEGATIVE, group_count=count, **given) for count in (1, 2))
    np.testing.assert_allclose(one, [2.244991, 1.364983, 2.853985, 1.358406], atol=1e-6)
    np.testing.assert_allclose(two, [2.310209, 1.509552, 2.906513, 1.361531], atol=1e-6)
    np.testing.assert_allclose(np.log(one / (3 - one)), [1.089727, -0.180511, 2.972764, -0.189356], atol=2e-6)


def test_without_pairs_negrefine_is_neglabel():
    plain = score("neglabel", ID, NEGATIVE, scale=100, group_count=2)
    np.testing.assert_array_equal(score("negrefine", ID, NEGATIVE, scale=100, group_count=2, alpha=0), plain)
    missing = np.full((4, 3, 4), -np.inf)
    found = score("negrefine", ID, NEGATIVE, scale=100, group_count=2, pair_cosines=missing)
    np.testing.assert_allclose(found, plain, rtol=1e-9)
    with pytest.raises(UsageError, match="pairs, or alpha = 0"):
        score("negrefine", ID, NEGATIVE, scale=100)


def test_the_nearest_places_are_the_largest_and_of_equal_ones_the_first():
    cosines = np.array([[0.1, 0.5, 0.5, 0.5, 0.2], [0.3, 0.3, 0.3, 0.3, 0.3]])
    assert nearest_places(cosines, 2).tolist() == [[1, 2], [0, 1]]
    assert nearest_places(cosines, 9).tolist() == [[1, 2, 3, 4, 0], [0, 1, 2, 3, 4]]
