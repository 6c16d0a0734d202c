"""ANTS, frozen: which images count as negative, which classes are asked about, and how both sides are weighed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from curator.errors import BankError, ConfigError
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.members.ants import adaptive_weight, negative_threshold, side_score
from curator.systems.ants.learn import choose_classes, ens_weight, negative_images, without_duplicates
from curator.systems.ants.questions import ENS, VSNL, without_id_names
from curator.systems.ants.settings import AntsSettings
from curator.systems.proposals import Proposal
from curator.systems.world import LakeSample
from curator.types import Bank, Label

RANDOM = np.random.default_rng(5)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def sample_of(scores, *, labels=None, vectors=None) -> LakeSample:
    scores = np.asarray(scores, dtype=float)
    count = len(scores)
    drawn = unit(np.random.default_rng(1).normal(size=(count, 16))) if vectors is None else vectors
    ids = tuple(f"{number:032x}" for number in range(count))
    return LakeSample(ids, drawn, scores, np.zeros(count, np.int32) if labels is None else np.array(labels, np.int32))


def lake_of(*, neighbours=lambda vectors, k: [[] for _ in vectors], look_up=lambda ids: sample_of([])):
    return SimpleNamespace(neighbours=neighbours, look_up=look_up)


def bank_of(id_vectors) -> Bank:
    labels = tuple(Label(f"class {number}", "id", "labels.txt") for number in range(len(id_vectors)))
    return Bank("base", "0" * 32, "test@1", 30.0, labels, id_vectors, {"id": {"template": "The nice {}."}})


def test_by_the_papers_rule_the_lowest_share_of_those_below_gamma_are_negative():
    scores = [0.95, 0.99, 0.85, 0.1, 0.5, 0.7, 0.92]
    found, account = negative_images(sample_of(scores), AntsSettings(threshold="share", widen=0), lake_of())
    assert found.id_score.tolist() == [0.1, 0.5], "half of the four below 0.9"
    assert account["below_threshold"] == 2 and account["upper"] == 0.9


def test_by_the_codes_rule_the_histogram_sets_the_threshold():
    history = [0.98, 0.97, 0.99, 0.96, 0.95, 0.93, 0.91, 0.88, 0.72, 0.55, 0.41, 0.36, 0.33, 0.28, 0.12, 0.97]
    found, account = negative_images(sample_of(history), AntsSettings(threshold="histogram", widen=0), lake_of())
    assert account["threshold"] == pytest.approx(0.385) == negative_threshold(np.array(history), 0.5)[1]
    assert found.id_score.tolist() == [0.12, 0.28, 0.33, 0.36]


def test_neighbours_join_as_far_as_they_are_doubtful_too():
    scores = [0.1, 0.2, 0.3, 0.8, 0.95]
    whole = sample_of(scores)
    beyond = LakeSample(
        ("a" * 32, "b" * 32), unit(RANDOM.normal(size=(2, 16))), np.array([0.4, 0.97]), np.zeros(2, np.int32)
    )

    def neighbours(vectors, k):
        return [[("a" * 32, 0.95), ("b" * 32, 0.96), (whole.image_ids[4], 0.5)] for _ in vectors]

    def look_up(ids):
        return beyond.take(np.array([beyond.image_ids.index(image_id) for image_id in ids], dtype=np.intp))

    settings = AntsSettings(threshold="share", widen=2, widen_cosine=0.9)
    found, account = negative_images(whole, settings, lake_of(neighbours=neighbours, look_up=look_up))
    assert found.id_score.tolist() == [0.1, 0.2, 0.4], "0.97 is above gamma, the others are too far"
    assert account["widened"] == 3


def test_images_that_nearly_coincide_count_once_and_the_number_is_capped():
    vectors = unit(np.repeat(RANDOM.normal(size=(3, 16)), 4, axis=0) + 1e-3 * RANDOM.normal(size=(12, 16)))
    images = sample_of(np.linspace(0, 1, 12), vectors=vectors)
    assert without_duplicates(images, AntsSettings()).id_score.tolist() == [0.0, images.id_score[4], images.id_score[8]]
    assert len(without_duplicates(images, AntsSettings(images=2))) == 2


def test_no_negative_image_is_said_in_one_line():
    with pytest.raises(BankError, match="none of 3 images scores below") as caught:
        negative_images(sample_of([0.99, 0.98, 0.97]), AntsSettings(threshold="share"), lake_of())
    assert "scan images that do not belong" in (caught.value.hint or "")


def test_classes_are_chosen_by_frequency_by_neighbours_or_by_both():
    parent = bank_of(np.eye(16, dtype=np.float32)[:6])
    sample = sample_of([0.5] * 10, labels=[0] * 7 + [1] * 3)
    near_five = sample_of([0.1] * 2, vectors=unit(np.eye(16, dtype=np.float32)[[5, 5]] + 0.01))

    def chosen(choose, count=1):
        return choose_classes(sample, near_five, parent, AntsSettings(choose=choose, class_count=count))

    assert chosen("frequency") == [0] and chosen("frequency", 9) == [0, 1], "a class that is never predicted is not"
    assert chosen("neighbours") == [5]
    assert set(chosen("both", 2)) == {0, 5}


@pytest.mark.parametrize(
    ("id_count", "given", "wanted"), [(1000, {}, 80), (100, {}, 40), (5, {}, 5), (1000, {"class_count": 40}, 40)]
)
def test_the_number_of_classes_is_the_papers_share_or_the_codes_number(id_count, given, wanted):
    assert AntsSettings(**given).wanted_classes(id_count) == wanted


def test_the_weight_is_the_papers_over_the_negative_images():
    parent = bank_of(unit(RANDOM.normal(size=(5, 16))))
    sides = {ENS: unit(RANDOM.normal(size=(7, 16))), VSNL: unit(RANDOM.normal(size=(4, 16)))}
    negatives = sample_of([0.1, 0.2, 0.3])
    inside = exact_cosines(on_grid(negatives.vectors), on_grid(parent.id_vectors))
    means = [
        side_score(inside, exact_cosines(on_grid(negatives.vectors), on_grid(sides[side])), scale=30.0).mean()
        for side in (ENS, VSNL)
    ]
    found = ens_weight(sample_of([0.5] * 4), negatives, parent, sides, AntsSettings())
    assert found == pytest.approx(adaptive_weight(*means), abs=1e-6)
    assert ens_weight(negatives, negatives, parent, sides, AntsSettings(weight=0.25)) == 0.25
    assert 0 <= ens_weight(sample_of([0.5] * 4), negatives, parent, sides, AntsSettings(weight="all")) <= 1


@pytest.mark.parametrize(("missing", "weight"), [(ENS, 0.0), (VSNL, 1.0)])
def test_a_side_without_labels_has_no_weight(missing, weight):
    parent = bank_of(unit(RANDOM.normal(size=(5, 16))))
    sides = {ENS: unit(RANDOM.normal(size=(7, 16))), VSNL: unit(RANDOM.normal(size=(4, 16)))}
    sides[missing] = sides[missing][:0]
    assert ens_weight(sample_of([0.5]), sample_of([0.1]), parent, sides, AntsSettings()) == weight


def test_a_sentence_that_names_an_id_class_is_no_negative_and_a_longer_word_is():
    parent = bank_of(np.eye(16, dtype=np.float32)[:1])
    labels = (Label("cat", "id", "labels.txt"), Label("sea_horse", "id", "labels.txt"))
    parent = Bank("b", "0" * 32, "t@1", 30.0, labels, np.eye(16, dtype=np.float32)[:2], parent.spec)
    texts = ["a grey cat", "two Cats on a wall", "a catalogue", "a sea horse", "horse"]
    kept, named = without_id_names([Proposal(text, text, ENS) for text in texts], parent)
    assert [item.text for item in kept] == ["a catalogue", "horse"] and named == 3


@pytest.mark.parametrize(
    "table", [{"eta": 0}, {"gamma": 2}, {"names": 0}, {"weight": "half"}, {"choose": "best"}, {"x": 1}]
)
def test_what_cannot_be_is_refused_by_its_name(table):
    with pytest.raises(ConfigError) as caught:
        AntsSettings.resolve(table, source="banks/a.toml")
    assert next(iter(table)) in str(caught.value) and "banks/a.toml" in str(caught.value)
