"""ANTS, frozen: which images count as negative, which classes are asked about, and how both sides are weighed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import BankError, ConfigError
from curator.generators.requests import Picture
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.members.ants import adaptive_weight, negative_threshold, side_score
from curator.systems.ants.images import below_threshold, distinct_places, drawn_over, level_shares, spaced
from curator.systems.ants.learn import choose_classes, cosines_to, ens_weight, learn_frozen
from curator.systems.ants.questions import ENS, VSNL, without_named
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
    found, account = below_threshold(sample_of(scores), lake_of(), AntsSettings(threshold="share", widen=0))
    assert found.id_score.tolist() == [0.1, 0.5], "half of the four below 0.9"
    assert account["below_threshold"] == 2 and account["upper"] == 0.9


def test_by_the_codes_rule_the_histogram_sets_the_threshold():
    history = [0.98, 0.97, 0.99, 0.96, 0.95, 0.93, 0.91, 0.88, 0.72, 0.55, 0.41, 0.36, 0.33, 0.28, 0.12, 0.97]
    found, account = below_threshold(sample_of(history), lake_of(), AntsSettings(threshold="histogram", widen=0))
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
    found, account = below_threshold(whole, lake_of(neighbours=neighbours, look_up=look_up), settings)
    assert found.id_score.tolist() == [0.1, 0.2, 0.4], "0.97 is above gamma, the others are too far"
    assert account["widened"] == 3


def test_images_that_nearly_coincide_count_once():
    vectors = unit(np.repeat(RANDOM.normal(size=(3, 16)), 4, axis=0) + 1e-3 * RANDOM.normal(size=(12, 16)))
    images = sample_of(np.linspace(0, 1, 12), vectors=vectors)
    assert distinct_places(images, 0.98).tolist() == [0, 4, 8]
    drawn, clusters = drawn_over(images, AntsSettings())
    assert drawn.id_score.tolist() == [0.0, images.id_score[4], images.id_score[8]] and clusters == 1


def test_what_is_described_covers_what_the_candidates_show_and_all_of_their_scores():
    """Of 6,000 candidates most score next to nothing; some kinds are rare."""
    sizes = [3000, 1500, 900, 400, 150, 50]
    middles = unit(RANDOM.normal(size=(6, 16)))
    kinds = np.repeat(np.arange(6), sizes)
    vectors = unit(middles[kinds] + 0.08 * RANDOM.normal(size=(6000, 16)))
    scores = np.where(RANDOM.random(6000) < 0.7, 0.01 * RANDOM.random(6000), 0.9 * RANDOM.random(6000))
    candidates = sample_of(scores, labels=kinds, vectors=vectors).lowest_first()
    drawn, clusters = drawn_over(candidates, AntsSettings(images=600, clusters=6, duplicate_cosine=1.0))
    assert len(drawn) == len(set(drawn.image_ids)) == 600 and clusters == 6
    assert (np.diff(drawn.id_score) >= 0).all()
    assert np.bincount(drawn.id_label).tolist() == [110] * 5 + [50], "as equal as the kinds' sizes allow"
    shares = [np.quantile(drawn.id_score, share) for share in (0.1, 0.5, 0.8, 0.95)]
    whole = [np.quantile(candidates.id_score, share) for share in (0.1, 0.5, 0.8, 0.95)]
    np.testing.assert_allclose(shares, whole, atol=0.05)
    assert 0.25 < ((drawn.id_score > 0.1) & (drawn.id_score < 0.9)).mean() < 0.35
    again, _ = drawn_over(candidates, AntsSettings(images=600, clusters=6, duplicate_cosine=1.0))
    assert again.image_ids == drawn.image_ids


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 100))
def test_groups_give_as_equally_as_their_sizes_allow(sizes, total):
    given_ = level_shares(sizes, total)
    assert sum(given_) == min(total, sum(sizes))
    assert all(0 <= count <= size for count, size in zip(given_, sizes, strict=True))
    short = [count for count, size in zip(given_, sizes, strict=True) if count < size]
    assert not short or max(given_) - min(short) <= 1, "who has more gives no less than the others, but for a remainder"


@given(st.integers(0, 50), st.integers(0, 60))
def test_places_are_spread_and_each_is_another(count, wanted):
    places = spaced(count, wanted).tolist()
    assert len(places) == len(set(places)) == min(count, wanted) and places == sorted(places)
    assert all(0 <= place < count for place in places)
    gaps = np.diff(places)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1


def test_no_negative_image_is_said_in_one_line():
    with pytest.raises(BankError, match="none of 3 images scores below") as caught:
        below_threshold(sample_of([0.99, 0.98, 0.97]), lake_of(), AntsSettings(threshold="share"))
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


def named_bank() -> Bank:
    labels = (Label("cat", "id", "labels.txt"), Label("sea_horse", "id", "labels.txt"))
    lineage = {"id": {"synonyms": {"cat": ["tabby"]}}}
    return Bank("b", "0" * 32, "t@1", 30.0, labels, np.eye(16, dtype=np.float32)[:2], {}, lineage)


@pytest.mark.parametrize(
    ("drop_named", "kept"),
    [("own", ["a catalogue", "a sea horse", "horse"]), ("any", ["a catalogue", "horse"])],
)
def test_a_sentence_that_calls_its_image_by_the_predicted_class_is_no_negative(drop_named, kept):
    texts = ["a grey cat", "two Cats on a wall", "an old tabby", "a catalogue", "a sea horse", "horse"]
    proposals = [Proposal(text, text, ENS, concerns="cat") for text in texts]
    found, named = without_named(proposals, named_bank(), AntsSettings(drop_named=drop_named))
    assert [item.text for item in found] == kept and named == len(texts) - len(kept)


class SmallLake:
    """40 images of a lake without neighbours, around a bank of four ID labels; the 20 lowest are negative."""

    def __init__(self, make_cleaner, encode):
        texts = ["harbour", "valley", "meadow", "gate"]
        labels = tuple(Label(text, "id", "labels.txt") for text in texts)
        self.parent = Bank("base", "0" * 32, "letters@1", 20.0, labels, encode(texts), {"id": {"template": "plain"}})
        self.encode, self.suspects = encode, None
        self.images = sample_of(np.linspace(0.0, 0.95, 40), vectors=encode([f"image {n}" for n in range(40)]))
        self.guard = make_cleaner(*texts, max_cosine=0.9)

    def sample_ids(self, most):
        return list(self.images.image_ids)

    def look_up(self, image_ids):
        return self.images.take(np.array([self.images.image_ids.index(name) for name in image_ids], dtype=np.intp))

    def cleaner(self, rules):
        return self.guard

    def picture(self, image_id, vector):
        return Picture(image_id, lambda: b"", vector)


def said_of(role, request):
    """Sentences about scenes; of every fourth image one that calls it by its predicted class."""
    if role == "reasoner":
        return [f"{request.slots['label']} lane", "quarry"]
    number = int(request.pictures[0].image_id, 16)
    scene = "a harbour at dawn" if number % 4 == 0 else f"people {number} in a wide valley"
    return [scene]


def test_scenes_are_kept_though_they_hold_names_of_other_classes_and_what_is_dropped_is_counted(
    make_cleaner, encode, scripted
):
    lake, asking = SmallLake(make_cleaner, encode), scripted(said_of)
    learned = learn_frozen(lake, asking, AntsSettings(suspects="published", images=10, widen=0))
    sentences = [item.text for item in learned.negatives if item.source == ENS]
    counts = learned.account["sentences"]
    assert counts["said"] == 10 == learned.account["described"]["answered"]
    assert 0 < counts["naming_a_class"] < 10 and counts["too_near_a_class"] == 0
    assert len(sentences) == 10 - counts["naming_a_class"]
    assert all("valley" in text for text in sentences), "another class than the predicted one"


def test_the_weight_is_over_all_negative_images_of_which_some_are_described(make_cleaner, encode, scripted):
    lake, asking = SmallLake(make_cleaner, encode), scripted(said_of)
    learned = learn_frozen(lake, asking, AntsSettings(suspects="published", images=4, widen=0))
    assert learned.account["drawn"] == 4 and learned.account["below_threshold"] == 19
    sides = {
        source: encode([item.prompt for item in learned.negatives if item.source == source]) for source in (ENS, VSNL)
    }
    means = []
    for side in (ENS, VSNL):
        images = lake.images.vectors[:19]
        inside, outside = cosines_to(images, lake.parent.id_vectors), cosines_to(images, sides[side])
        means.append(side_score(inside, outside, scale=20.0).mean())
    assert learned.facts["ens_weight"] == pytest.approx(adaptive_weight(*means), abs=1e-6)


@pytest.mark.parametrize(("variant", "side", "weight"), [("ens", ENS, 1.0), ("vsnl", VSNL, 0.0)])
def test_one_side_alone_asks_only_for_itself(make_cleaner, encode, scripted, variant, side, weight):
    asking = scripted(said_of)
    settings_ = AntsSettings(suspects="published", variant=variant, widen=0)
    learned = learn_frozen(SmallLake(make_cleaner, encode), asking, settings_)
    assert {item.source for item in learned.negatives} == {side} and learned.facts["ens_weight"] == weight
    assert [role for role, _ in asking.batches] == list(settings_.roles)


@pytest.mark.parametrize(
    "table", [{"eta": 0}, {"gamma": 2}, {"names": 0}, {"weight": "half"}, {"choose": "best"}, {"x": 1}]
)
def test_what_cannot_be_is_refused_by_its_name(table):
    with pytest.raises(ConfigError) as caught:
        AntsSettings.resolve(table, source="banks/a.toml")
    assert next(iter(table)) in str(caught.value) and "banks/a.toml" in str(caught.value)
