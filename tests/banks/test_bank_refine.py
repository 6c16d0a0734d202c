"""NegRefine's filter: conformance values (`newer-methods.md`, A1, A2), and what of a bank stays."""

from __future__ import annotations

import numpy as np
import pytest

from curator.banks.refine import cleaned_words, nearest_labels, refine, refined_bank, shown
from curator.errors import BankError
from curator.types import Bank, Label

IDS = ("dog", "car", "oak")
WORDS = ["wheel", "lisbon", "beagle", "dog"]
COSINES = np.array([[0.2, 0.8, 0.3], [0.4, 0.3, 0.2], [0.7, 0.1, 0.6], [0.9, 0.2, 0.1]])


class Says:
    """A judge that says yes to these words and pairs, and remembers what it was asked."""

    def __init__(self, *yes):
        self.yes, self.questions, self.unanswered = set(yes), [], 0

    @property
    def asked(self):
        return len(self.questions)

    def proper(self, words):
        self.questions += words
        return [word in self.yes for word in words]

    def subcategories(self, pairs):
        self.questions += pairs
        return [pair in self.yes for pair in pairs]


def test_a1_cleaning():
    words = ["oak_tree", "R2-D2", "a4", "st. john's wort", "oak_tree", "b-52"]
    assert cleaned_words(words) == ["oak_tree", "R-D", "st johns wort"]
    assert [shown(word) for word in words] == ["oak tree", "R-D", "a4", "st johns wort", "oak tree", "b-52"]


def test_a2_filter():
    judge = Says("lisbon", ("beagle", "dog"), ("wheel", "dog"))
    nearest = np.argsort(-COSINES, axis=1, kind="stable")[:, :2]
    refined = refine(WORDS, nearest, IDS, judge)
    assert [WORDS[place] for place in refined.kept] == ["wheel"]
    assert refined.dropped == {
        1: ("refined_proper_noun", None),
        2: ("refined_subcategory", "dog"),
        3: ("refined_equal", "dog"),
    }
    assert judge.asked == 7 and ("wheel", "dog") not in judge.questions
    assert refined.account(WORDS, judge)["dropped_for"] == {"beagle": "dog", "dog": "dog"}
    spared = refine(WORDS, nearest, IDS, judge, spared=("Lisbon", "beagle"))
    assert [WORDS[place] for place in spared.kept] == ["wheel", "lisbon", "beagle"]


def test_of_equally_near_labels_the_first_is_asked_about(unit):
    labels = unit(np.eye(4)[[0, 1, 1]])
    assert nearest_labels(unit(np.eye(4)[[1]]), labels, 10).tolist() == [[1, 2, 0]]


def test_a_refined_bank_keeps_its_order_and_lists_what_went(unit):
    labels = [Label(text, "id", "spec") for text in IDS] + [Label(text, "negative", "wordnet") for text in WORDS]
    vectors = unit(np.random.default_rng(0).normal(size=(7, 5)))
    lineage = {"dropped": {"x": ["y"]}}
    bank = Bank("b", "0" * 32, "e", 10.0, tuple(labels), vectors, {"mining": {"refine": True}}, lineage)
    refined = refine(WORDS, np.argsort(-COSINES, axis=1), IDS, Says("lisbon"))
    made = refined_bank(bank, refined, {"asked": 3})
    assert [label.text for label in made.labels] == [*IDS, "wheel", "beagle"] and made.digest != bank.digest
    np.testing.assert_array_equal(made.vectors, vectors[[0, 1, 2, 3, 5]])
    assert made.lineage["dropped"]["refined_proper_noun"] == ["lisbon"] and made.lineage["dropped"]["x"] == ["y"]
    with pytest.raises(BankError, match="drops all 4 negatives"):
        refined_bank(bank, refine(WORDS, np.argsort(-COSINES, axis=1), IDS, Says(*WORDS)), {})
