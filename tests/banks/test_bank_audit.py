"""Doubtful labels: every reason on banks small enough to check by hand, and the pairs against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.banks import TextCache, build_bank, parse_spec
from curator.banks.audit import SAME_DISTANCE, audit_bank, coinciding_pairs
from curator.banks.wordnet import load_wordnet
from curator.types import Bank, Label


def make_bank(ids, negatives, *, degrees=None, synonyms=None):
    """A bank in the plane: each label's vector at an angle; without angles all labels are 360 / n degrees apart."""
    count = len(ids) + len(negatives)
    angles = np.radians(degrees if degrees is not None else 360 * np.arange(count) / count)
    return Bank(
        name="hand",
        digest="0" * 32,
        encoder_id="plane@1",
        logit_scale=1.0,
        labels=tuple(
            [Label(text, "id", "spec") for text in ids] + [Label(text, "negative", "w") for text in negatives]
        ),
        vectors=np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32),
        spec={"id": {"synonyms": synonyms or {}}},
    )


def doubts_of(bank, **options):
    """(label, reason, steps, label concerned) in the audit's order."""
    audit = audit_bank(bank, load_wordnet(), **options)
    texts = [label.text for label in bank.labels]
    return [(texts[doubt.label], doubt.reason, doubt.steps, texts[doubt.concerns]) for doubt in audit.doubts]


@pytest.mark.parametrize(
    ("negative", "expected"),
    [
        ("dogs", ("equal", None, "dog")),
        ("domestic dog", ("synonym", None, "dog")),
        ("canine", ("hypernym", 1, "dog")),
        ("carnivore", ("hypernym", 2, "dog")),
        ("puppy", ("hyponym", 1, "dog")),
        ("toy spaniel", ("hyponym", 2, "dog")),
        ("seahorse", ("equal", None, "sea horse")),
        ("harrys streetcar", ("synonym", None, "tram")),
        ("mammal", None),
        ("telephone directory", None),
    ],
)
def test_relation_of_a_negative_to_an_id_label(negative, expected):
    bank = make_bank(["dog", "sea horse", "tram"], [negative], synonyms={"Tram": ["Harry's streetcar"]})
    found = doubts_of(bank, min_cosine=1.0)
    assert found == ([] if expected is None else [(negative, *expected)])


def test_only_the_closest_relation_is_told_and_of_equally_close_labels_the_nearest():
    ids = ["spaniel", "toy spaniel", "corgi"]  # spaniel is a dog, a toy spaniel two steps below, a corgi a dog as well
    bank = make_bank(ids, ["dog"], degrees=[0, 120, 50, 40])
    assert doubts_of(bank, min_cosine=1.0) == [("dog", "hypernym", 1, "corgi")]


def test_a_negative_is_near_from_the_median_of_the_id_labels_own_neighbours():
    ids = ["w", "x", "y"]  # at 0, 10 and 40 degrees: nearest neighbours at 10, 10 and 30
    bank = make_bank(ids, ["far", "edge", "close"], degrees=[0, 10, 40, 90, 50.5, 49.5])
    audit = audit_bank(bank, load_wordnet())
    assert audit.min_cosine == pytest.approx(np.cos(np.radians(10)))
    assert doubts_of(bank) == [("close", "near", None, "y")]
    assert [item[0] for item in doubts_of(bank, min_cosine=0.5)] == ["close", "edge", "far"]
    assert audit.doubts[0].cosine == pytest.approx(np.cos(np.radians(9.5)), abs=1e-6)
    assert (audit.count("negative"), audit.count("negative", "equal", "synonym"), audit.count("id")) == (1, 0, 0)


def test_a_lone_id_label_has_no_neighbours_to_measure_by():
    bank = make_bank(["w"], ["x", "y"], degrees=[0, 18, 19])  # cosine 0.951 and 0.946
    assert doubts_of(bank) == [("x", "near", None, "w")]
    assert doubts_of(make_bank(["w", "y"], [])) == []


def test_texts_and_vectors_that_occur_twice():
    bank = make_bank(["w"], ["Ice_cream", "ice cream", "gelato", "y"], degrees=[0, 90, 100, 90, 0])
    first, *others = doubts_of(bank, min_cosine=1.1)
    assert first == ("ice cream", "same_text", None, "Ice_cream")
    assert sorted(others) == [("gelato", "same_vector", None, "Ice_cream"), ("y", "same_vector", None, "w")]


def test_a_text_that_occurs_twice_with_one_vector_is_told_once():
    bank = make_bank(["w"], ["y", "y"], degrees=[0, 90, 90])
    assert doubts_of(bank) == [("y", "same_text", None, "y")]


def test_id_labels_that_mean_the_same_are_told_once_whichever_side_knows():
    ids = ["couch", "tower", "sofas", "lookout"]
    bank = make_bank(ids, [], synonyms={"lookout": ["tower"]})
    assert doubts_of(bank) == [("sofas", "synonym", None, "couch"), ("lookout", "synonym", None, "tower")]


def test_kinds_of_each_other_are_no_doubt_among_id_labels():
    assert doubts_of(make_bank(["dog", "puppy", "corgi"], [])) == []


def test_id_labels_above_the_fence_of_their_neighbours_are_near():
    degrees = [0, 30, 60, 90, 120, 150, 180, 181]
    bank = make_bank([f"x{number}" for number in range(8)], [], degrees=degrees)
    assert doubts_of(bank) == [("x7", "near", None, "x6")]


@pytest.mark.parametrize("remove", [True, False])
def test_a_bank_is_built_without_names_of_id_labels_unless_the_spec_keeps_them(encoder, tmp_path, remove):
    tables = {
        "name": "b",
        "id": {"labels": ["circle", "square", "tetragon"]},
        "negatives": {"wordnet": {"include": ["noun.shape"], "words": "all"}},
        "mining": {"fraction": 1.0, "remove_id_names": remove},
    }
    bank = build_bank(
        parse_spec(tables, where="b.toml"), encoder, root=tmp_path, text_cache=TextCache(tmp_path / "cache")
    )
    audit = audit_bank(bank, load_wordnet())
    named = {bank.labels[doubt.label].text for doubt in audit.doubts if doubt.reason in ("equal", "synonym")}
    by_name = {"circle", "square", "foursquare", "solid", "tetragon", "quadrangle", "quadrilateral"}
    assert named == (set() if remove else by_name)
    reasons = [doubt.reason for doubt in audit.doubts]
    assert "hyponym" in reasons and "hypernym" in reasons


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 1), st.integers(0, 2)), min_size=1, max_size=30))
def test_coinciding_pairs_equal_brute_force(points):
    """Vectors on a coarse lattice, each moved by far less or a little more than the distance that counts."""
    rows = np.array([[x, y, 1.0, 0.9 * SAME_DISTANCE * shift] for x, y, shift in points], dtype=np.float64)
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    expected = {(i, j) for i, j in np.argwhere(distance <= SAME_DISTANCE).tolist() if i < j}
    found = coinciding_pairs(rows)
    assert {tuple(pair) for pair in found.tolist()} == expected
    assert len(found) == len(expected)
