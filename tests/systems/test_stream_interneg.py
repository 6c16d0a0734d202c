"""InterNeg's selection and retrieval: conformance values (`newer-methods.md`, C1, C3, C4), and what a bank keeps."""

from __future__ import annotations

import numpy as np
import pytest

from curator.methods import resolve_method
from curator.systems.interneg.selection import Prototypes, Selection
from curator.systems.interneg.settings import InterNegSettings
from curator.systems.interneg.stream import InterNegStream
from curator.systems.stream import batches
from tests.methods.scored import score_vectors
from tests.methods.test_method_reference_fits import CLASSES, KNOWN, TEXTS, V, divided
from tests.systems.test_stream_frozen import bank_of

CANDIDATES = [(0.1, 0.1, 1), (-0.2, 0.3, 1), (0.5, 0.4, 0.9), (0.9, 0.3, 0.1), (-0.5, 0.2, 0.8), (0.3, -0.6, 0.7)]
CANDIDATES += [(0.2, 0.3, 0.9), (-0.1, 0.5, 0.8)]
ADJECTIVES = [False] * 6 + [True] * 2
FIRST = np.array([5, 4, 1])


@pytest.fixture
def prototypes():
    return Prototypes.of(divided(KNOWN), CLASSES, divided(TEXTS))


@pytest.fixture
def selection(prototypes):
    return Selection.of(divided(CANDIDATES), prototypes)


def test_c1_selection(prototypes, selection):
    np.testing.assert_allclose(prototypes.vectors[0], [0.938899, 0.136500, 0.315970], atol=1e-6)
    np.testing.assert_allclose(prototypes.base, [0.658212, 0.641082, 0.621014], atol=1e-6)
    assert np.flatnonzero(selection.passes).tolist() == [0, 1, 4, 5, 6]
    separation = [0.269793, 0.344279, -0.052498, -0.135143, 0.613708, 0.640054, 0.096554, 0.174235]
    np.testing.assert_allclose(selection.separation, separation, atol=1e-6)
    assert selection.chosen(ADJECTIVES, 3).tolist() == [5, 4, 1]
    assert selection.chosen(ADJECTIVES, 3, counts="tins").tolist() == [6, 5, 4, 1]


def fed(selection, unit, **settings):
    given = InterNegSettings(dynamic=True, threshold=0.5, retrieved=2, group_count=1, **settings)
    texts, candidates = (unit(np.array(rows)) for rows in (TEXTS, CANDIDATES))
    stream = InterNegStream(texts, candidates, selection, FIRST, given, scale=10.0)
    return stream, texts, candidates


def test_c3_retrieval_and_c4_the_frozen_bank(selection, unit):
    stream, texts, candidates = fed(selection, unit)
    images = unit(np.array(V))
    np.testing.assert_allclose(stream._score(images[:3].astype(float)), [0.802465, 0.000013, 0.921776], atol=1e-6)
    np.testing.assert_allclose(stream.feed(images[:3]), [0.760014, 0.000007, 0.873892], atol=1e-6)
    assert stream.retrieved.tolist() == [0]
    np.testing.assert_allclose(stream.feed(images[3:]), [0.000003, 0.818670, 0.000571], atol=1e-6)
    assert sorted(stream.retrieved.tolist()) == [0, 6]
    sides = [("interneg:static", candidates[FIRST]), ("interneg:stream", candidates[stream.retrieved])]
    bank = bank_of(texts, sides)
    table = score_vectors(
        unit(np.array([(0.8, 0.3, 0.2), (0.1, 0.2, 0.7)])),
        bank,
        resolve_method("interneg:scale=10,group_count=1", bank),
    )
    np.testing.assert_allclose(table.id_score, [0.838807, 0.000004], atol=1e-6)


def test_the_bank_is_a_set_of_the_most_separate_that_were_retrieved(selection, unit):
    stream, *_ = fed(selection, unit)
    stream.settings = InterNegSettings(dynamic=True, threshold=1.0, retrieved=1, group_count=1)
    for batch in batches(unit(np.array(V)), 2):
        stream.feed(batch)
    assert stream.retrieved.tolist() == [0], "of 0 and 6 that which separates more"


def test_classes_without_images_veto_nothing(unit):
    some = CLASSES != 1
    prototypes = Prototypes.of(divided(KNOWN)[some], CLASSES[some], divided(TEXTS))
    assert prototypes.classes.tolist() == [0, 2]
    np.testing.assert_allclose(prototypes.base, [0.658212, 0.621014], atol=1e-6)
    assert Selection.of(divided(CANDIDATES), prototypes).vetoes.shape == (2,)
