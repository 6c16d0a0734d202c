"""OODD's dictionary: conformance values (`newer-methods.md`, B1, B2), and what a bank keeps of it."""

from __future__ import annotations

import numpy as np
import pytest

from curator.methods import resolve_method, score
from curator.methods.kernels.cosines import on_grid
from curator.methods.kernels.dictionary import kth_cosines
from curator.systems.oodd.settings import OoddSettings
from curator.systems.oodd.stream import HeldImages, OoddStream
from curator.systems.stream import batches
from tests.methods.scored import score_vectors
from tests.methods.test_method_reference_fits import V, divided
from tests.systems.test_stream_frozen import SCALE, bank_of

BASE = np.array([0.90, 0.20, 0.85, 0.10, 0.35, 0.15])
INCLUDE = [-0.091691, -0.347909, -0.141691, -0.889044, -0.145575, -0.753114]
OWN = ("include", "exclude")
EXCLUDE = [0.352091, -0.323951, 0.326049, -0.786158, -0.145575, -0.736158]


def fed(own):
    """The scores of B1, and the stream as it ended."""
    texts = np.eye(3, dtype=np.float32)
    stream = OoddStream(texts, texts[:1], OoddSettings(length=3, k=2, own=own), scale=10.0)
    rows = on_grid(divided(V))
    scores = [stream.against_held(rows[part], BASE[part]) for part in (slice(0, 3), slice(3, 6))]
    return np.concatenate(scores), stream


@pytest.mark.parametrize(("own", "expected"), [("include", INCLUDE), ("exclude", EXCLUDE)])
def test_b1_a_batch_enters_the_dictionary_and_is_scored_against_it(own, expected):
    scores, stream = fed(own)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(stream.held.rows, on_grid(divided(V))[[3, 5, 1]])
    assert stream.held.scores.tolist() == [0.10, 0.15, 0.20]


def test_b2_the_frozen_dictionary():
    images, (_, stream) = divided([(0.8, 0.3, 0.2), (0.1, 0.2, 0.7)]), fed("include")
    cosines = images @ stream.held.rows.T
    found = np.array([0.7, 0.3]) - kth_cosines(cosines, 2)
    np.testing.assert_allclose(found, [0.228428, -0.695578], rtol=0, atol=1e-6)


def test_fewer_held_images_than_asked_for_give_the_smallest_cosine_and_none_gives_zero():
    cosines = np.array([[0.2, 0.9, -np.inf], [0.5, -np.inf, -np.inf], [-np.inf] * 3])
    assert kth_cosines(cosines, 5).tolist() == [0.2, 0.5, 0.0]
    assert kth_cosines(np.zeros((2, 0)), 5).tolist() == [0.0, 0.0]


def test_of_equal_scores_the_newest_leaves_first():
    held = HeldImages(2, 3)
    for place in range(4):
        held.insert(np.eye(4, 3)[[place]], np.array([0.5]))
    np.testing.assert_array_equal(held.rows, np.eye(3)[:2])


@pytest.mark.parametrize("base", ["neglabel", "mcm"])
def test_oodd_scores_its_last_batch_as_the_frozen_method_does(drawn, base):
    ids, negatives, images = drawn(4, seed=1), drawn(120, seed=2), drawn(90, seed=3)
    stream = OoddStream(ids, negatives, OoddSettings(length=30, base=base, own="exclude"), scale=SCALE)
    last = [stream.feed(batch) for batch in batches(images, 30)][-1]
    held = {"dictionary.vectors": stream.held.rows.astype(np.float32)}
    bank = bank_of(ids, [("wordnet", negatives)], parameters=held, learned={"base": base, "k": 5})
    method = resolve_method("oodd", bank)
    assert (method.base, method.own) == (base, "exclude")
    np.testing.assert_allclose(score_vectors(images[60:], bank, method).id_score, last, rtol=0, atol=1e-6)


def test_an_image_that_is_held_does_not_count_for_itself_and_one_beside_it_does(drawn):
    ids, negatives, images = drawn(4, seed=1), drawn(20, seed=2), drawn(3, seed=3)
    bank = bank_of(ids, [("wordnet", negatives)], parameters={"dictionary.vectors": images})
    both = [score_vectors(images, bank, resolve_method(f"oodd:k=1,own={own}", bank)).id_score for own in OWN]
    cosines = images.astype(float) @ images.T.astype(float)
    others = np.where(np.eye(3) > 0, -np.inf, cosines)
    np.testing.assert_allclose(both[0] - both[1], others.max(axis=1) - 1, atol=1e-6)
    ids_cosines = images @ ids.T
    expected = score("oodd", ids_cosines, images @ negatives.T, dictionary_cosines=others, scale=SCALE, k=1)
    np.testing.assert_allclose(both[1], expected, atol=1e-3)  # the grouping of twenty is one to a group
