"""What changed between two banks, on lists small enough to read."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curator.banks.diff import LabelChange, diff_banks, dotted
from curator.types import Bank, Label


def make_bank(labels, **spec):
    return Bank(
        name="b",
        digest="0" * 32,
        encoder_id="e@1",
        logit_scale=1.0,
        labels=tuple(labels),
        vectors=np.zeros((len(labels), 2), np.float32),
        spec=spec,
    )


def label(text, role="negative", prompt="The nice {}."):
    return Label(text, role, "spec", prompt=prompt.format(text))


def test_labels_added_removed_and_changed():
    old = make_bank([label("tram", "id"), label("kite"), label("rope"), label("oak")])
    new = make_bank([label("tram", "id"), label("rope", "id"), label("oak", prompt="a {}"), label("elm"), label("ash")])
    diff = diff_banks(old, new)
    assert diff.changes == (
        LabelChange("removed", "negative", "kite"),
        LabelChange("role", "id", "rope", "negative", "id"),
        LabelChange("prompt", "negative", "oak", "The nice oak.", "a oak"),
        LabelChange("added", "negative", "elm"),
        LabelChange("added", "negative", "ash"),
    )
    assert diff.moved == 0
    assert (diff.count("added", "negative"), diff.count("added", "id"), diff.count("role", "id")) == (2, 0, 1)


def test_a_bank_does_not_differ_from_itself():
    bank = make_bank([label("tram", "id"), label("kite"), label("kite")], mining={"fraction": 0.15})
    diff = diff_banks(bank, bank)
    assert (diff.changes, diff.moved, diff.spec) == ((), 0, {})


def test_a_text_twice_is_two_labels():
    old, new = make_bank([label("kite")]), make_bank([label("kite"), label("kite")])
    assert diff_banks(old, new).changes == (LabelChange("added", "negative", "kite"),)
    assert diff_banks(new, old).changes == (LabelChange("removed", "negative", "kite"),)


def test_spec_keys_that_differ():
    old = make_bank([], mining={"fraction": 0.15, "limit": None}, negatives={"wordnet": {"include": []}})
    lists = [{"file": "a.txt"}, {"file": "b.txt"}]
    new = make_bank([], mining={"fraction": 0.2}, negatives={"wordnet": {"include": ["noun.shape"]}, "lists": lists})
    assert diff_banks(old, new).spec == {
        "mining.fraction": (0.15, 0.2),
        "negatives.wordnet.include": ([], ["noun.shape"]),
        "negatives.lists.0.file": (None, "a.txt"),
        "negatives.lists.1.file": (None, "b.txt"),
    }


def test_dotted_keeps_lists_of_values_and_empty_tables():
    assert dotted({"a": {"b": [1, 2], "c": {}}, "d": []}) == {"a.b": [1, 2], "a.c": {}, "d": []}


@given(st.permutations(range(6)))
def test_moved_is_the_fewest_labels_out_of_order(order):
    labels = [label(f"word {number}") for number in range(6)]
    old = make_bank(labels)
    new = replace(old, labels=tuple(labels[number] for number in order))
    in_order = (part for size in range(6, 0, -1) for part in combinations(order, size) if sorted(part) == list(part))
    assert diff_banks(old, new).moved == 6 - len(next(in_order))
    assert diff_banks(old, new).changes == ()


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_the_way_back_adds_what_was_removed(first, second):
    old, new = (make_bank([label(text) for text in sorted(texts)]) for texts in (first, second))
    there, back = diff_banks(old, new), diff_banks(new, old)
    assert there.count("added", "negative") == back.count("removed", "negative") == len(second - first)
    assert there.count("removed", "negative") == back.count("added", "negative") == len(first - second)
