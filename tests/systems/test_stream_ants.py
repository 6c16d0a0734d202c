"""ANTS on a stream: when it describes, asks and weighs, by a describer and a namer that are made up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.methods.members.ants import adaptive_weight, balanced_scores, side_score
from curator.systems.ants import stream as ants_stream
from curator.systems.ants.settings import AntsSettings
from curator.systems.ants.stream import AntsStream
from curator.systems.stream import batches
from tests.systems.conftest import score_stream

SCALE = 20.0
CODE = {"threshold": "histogram", "weight": "all"}
PAPER = {"threshold": "share", "weight": "negatives", "initialise": True, "class_count": 1, "group_size": 10_000}


class World:
    """ID labels along the first axes, negatives along the last; sentences lie where the images they are of lie."""

    def __init__(self, drawn, unit, *, seed=0, images=120):
        self.ids, self.base = unit(np.eye(8)[:3] + 0.01), unit(np.eye(8)[5:] + 0.01)
        noise = np.random.default_rng(seed).normal(size=(images, 8))
        middles = np.eye(8)[np.random.default_rng(seed + 1).choice([0, 1, 2, 5, 6], images)]
        self.images = unit(middles + 0.25 * noise)
        self.described, self.asked, self.unit = [], [], unit

    def static(self, vectors):
        inside, outside = (vectors.astype(np.float64) @ side.T.astype(np.float64) for side in (self.ids, self.base))
        return side_score(inside, outside, scale=SCALE), inside.argmax(axis=1)

    def describe(self, candidates):
        self.described.append(candidates)
        return self.unit(self.images[[candidate.image for candidate in candidates]] + 0.05)

    def look_alikes(self, labels):
        self.asked.append(list(labels))
        return {label: self.unit(np.eye(8)[[label] * 3] + 0.6 * np.eye(8)[[3, 4, 4]]) for label in labels}

    def stream(self, **given):
        form = PAPER if given.pop("paper", False) else CODE
        given = {**form, "cache_size": 10, "first_class_batch": 2, "class_interval": 2, **given}
        return AntsStream(
            self.ids,
            self.static,
            AntsSettings(**given),
            scale=SCALE,
            describe=self.describe,
            look_alikes=self.look_alikes,
            base_negatives=self.base,
        )


@pytest.fixture
def world(drawn, unit):
    return World(drawn, unit)


def test_the_numbers_that_code_and_paper_share_are_the_defaults(world):
    given = AntsSettings()
    assert (given.start, given.gamma, given.initialise) == (0.8, 0.9, False)
    assert (given.cache_size, given.eta, given.updates, given.queue_cap, given.names) == (200, 0.5, 20, 10_000, 5)
    assert (given.first_class_batch, given.class_interval, given.group_size) == (10, 40, 100)
    assert AntsSettings(class_count=40).wanted_classes(1000) == 40 and given.wanted_classes(7) == 7
    assert given.wanted_classes(1000) == 80
    assert (world.stream().threshold, world.stream(paper=True).threshold) == (0.8, 0.9)


def test_without_banks_the_score_is_the_static_one(world):
    stream = world.stream(cache_size=10_000, first_class_batch=100)
    np.testing.assert_array_equal(score_stream(stream, world.images, batch_rows=25), world.static(world.images)[0])
    assert world.described == world.asked == []


def test_a_full_cache_is_described_once_and_the_threshold_moves_for_later_images(world):
    stream = world.stream()
    static = world.static(world.images)[0]
    stream.feed(world.images[:60])
    (candidates,) = world.described
    expected = np.flatnonzero(static[:60] < 0.8)
    assert [candidate.image for candidate in candidates] == expected.tolist()
    assert [candidate.score for candidate in candidates] == static[expected].tolist()
    assert stream.cache == [] and stream.updates == 1
    edge, threshold = stream.history.negative_threshold(0.5)
    assert stream.threshold == threshold < 0.8
    assert threshold == pytest.approx(np.percentile(static[:60][static[:60] < edge], 50), abs=8e-6)
    stream.feed(world.images[60:])
    later = [c.image for c in (*stream.cache, *(c for call in world.described[1:] for c in call))]
    assert later == [n for n in range(60, 120) if static[n] < threshold]


def test_in_the_paper_only_the_lowest_are_described_and_the_threshold_is_that_of_the_history(world):
    stream = world.stream(paper=True)
    static = world.static(world.images)[0]
    stream.feed(world.images[:60])
    below = np.sort(static[:60][static[:60] < 0.9])
    (candidates,) = world.described
    median = below[-(-len(below) // 2) - 1]
    assert median < stream.threshold <= median + 2e-5
    assert sorted(c.score for c in candidates) == below[below < stream.threshold].tolist()
    assert stream.frozen().base_kept == 3


class ScoresAlone(World):
    """Each image scores what its first coordinate says, whatever is learnt: as many images of a lake as one wants."""

    def static(self, vectors):
        return np.clip(vectors[:, 0].astype(np.float64), 0, 1), np.zeros(len(vectors), np.int64)

    def describe(self, candidates):
        self.described.append(candidates)
        return self.unit(np.eye(8)[[6]])


@pytest.mark.parametrize(("rule", "start"), [("share", 0.9), ("histogram", 0.8)])
def test_the_threshold_is_found_under_the_original_score_and_does_not_fall_with_every_description(unit, rule, start):
    """A lake whose scores below 0.9 have their median at 0.71: by what was collected alone it would halve each time."""
    world = ScoresAlone(None, unit, images=1)
    draws = np.random.default_rng(3)
    scores = np.where(draws.random(30_000) < 0.3, 0.9 * draws.beta(2.6, 1.0, 30_000), 0.9 + 0.1 * draws.random(30_000))
    rows = np.zeros((30_000, 8), dtype=np.float32)
    rows[:, 0], rows[:, 1] = scores, np.sqrt(1 - scores**2)
    stream = world.stream(threshold=rule, cache_size=200, first_class_batch=10_000)
    thresholds = []
    for batch in batches(rows, 256):
        stream.feed(batch)
        thresholds.append(stream.threshold)
    assert stream.updates == len(world.described) == 20 and thresholds[0] == start
    moved = thresholds[int(np.flatnonzero(np.array(thresholds) != start)[0]) :]
    assert 0.65 < min(moved) <= max(moved) < 0.78
    described = [candidate.score for candidates in world.described for candidate in candidates]
    assert len(described) > 3000 and np.mean(np.array(described) > 0.4) > 0.5, "not only what the parent is sure of"


@pytest.mark.parametrize("variant", ["ens", "vsnl"])
def test_one_side_alone_scores_and_asks_only_for_itself(world, variant):
    stream = world.stream(variant=variant)
    score_stream(stream, world.images, batch_rows=30)
    assert (bool(world.described), bool(world.asked)) == (variant == "ens", variant == "vsnl")
    assert stream.weight == float(variant == "ens")
    kept = stream.frozen()
    assert (len(kept.ens) > 0, len(kept.vsnl) > 0) == (variant == "ens", variant == "vsnl")


def test_nothing_is_collected_once_all_descriptions_are_made(world):
    stream = world.stream(updates=1)
    score_stream(stream, world.images, batch_rows=30)
    assert len(world.described) == 1 and stream.cache == []


def test_look_alikes_are_asked_for_once_a_class_and_at_the_right_batches(world):
    stream = world.stream(class_count=2)
    for number in range(6):
        stream.feed(world.images[number * 20 : number * 20 + 20])
        assert len(world.asked) == 0 if number == 0 else len(world.asked) >= 1
    asked = [label for labels in world.asked for label in labels]
    assert len(world.asked[0]) == 2
    counts = np.bincount(world.static(world.images)[1], minlength=3)
    np.testing.assert_array_equal(stream.class_counts, counts)
    kept = stream.frozen()
    assert set(stream._names) <= set(asked) and len(stream._names) == 2
    assert len(kept.vsnl) == 4  # three names of two classes, two of them the same


def test_a_class_that_left_the_foremost_is_forgotten_and_asked_for_again(world):
    stream = world.stream(class_count=1, first_class_batch=1, class_interval=1)
    for label, times in ((0, 2), (1, 4), (0, 6)):
        stream.feed(np.repeat(world.ids[[label]], times, axis=0))
    assert world.asked == [[0], [1], [0]]


def test_the_weight_is_that_of_the_running_means(world):
    stream = world.stream()
    score_stream(stream, world.images[:60], batch_rows=30)
    part = world.images[60:]
    before, weighed = stream._sums.copy(), stream._weighed
    found = stream.feed(part)
    inside = part.astype(np.float64) @ world.ids.T.astype(np.float64)
    ens, vsnl = (part.astype(np.float64) @ bank.T for bank in (stream._ens, stream.vsnl))
    balanced = [side.sum() for side in balanced_scores(inside, ens, vsnl, scale=SCALE, group_size=3)]
    means = (before + balanced) / (weighed + 60)
    assert stream.weight == pytest.approx(adaptive_weight(*means), abs=1e-6)
    sides = []
    for variant in ("ens", "vsnl"):
        other = World(None, world.unit)
        alone = other.stream(variant=variant)
        score_stream(alone, world.images[:60], batch_rows=30)
        sides.append(alone.feed(part))
    np.testing.assert_allclose(found, stream.weight * sides[0] + (1 - stream.weight) * sides[1], rtol=0, atol=1e-12)


def test_the_paper_weighs_over_the_images_below_the_threshold(world):
    stream = world.stream(paper=True, cache_size=10_000)
    score_stream(stream, world.images, batch_rows=30)
    assert stream._weighed == (world.static(world.images)[0] < 0.9).sum()


def test_a_full_bank_keeps_the_newest_sentences(world):
    stream = world.stream(queue_cap=15)
    score_stream(stream, world.images, batch_rows=30)
    kept = stream.frozen()
    total = sum(map(len, world.described))
    assert len(world.described) > 1 and total > 15
    last = len(world.described[-1])
    newest = np.arange(total - last, total)[:15]
    np.testing.assert_array_equal(kept.ens_numbers[: len(newest)], newest)
    assert len(kept.ens) == 15


def test_given_negatives_are_on_both_sides_until_sentences_push_them_out(world):
    stream = world.stream(initialise=True, queue_cap=20)
    assert len(stream._ens) == len(stream.vsnl) == 3
    score_stream(stream, world.images, batch_rows=30)
    assert stream.frozen().base_kept == 0 and len(stream.frozen().ens) == 20


def test_activation_scores_by_the_sentences_of_the_batch_or_falls_back(world, unit, monkeypatch):
    monkeypatch.setattr(ants_stream, "ACTIVATION_STEP", 1)
    plain, aware = (World(None, unit).stream(variant="ens", activation=given) for given in (False, True))
    for stream in (plain, aware):
        stream.feed(world.images[:60])
    first, second = (stream.feed(world.images[60:]) for stream in (plain, aware))
    assert not np.allclose(first, second) and (second >= 0).all() and (second <= 1).all()
    alike = np.repeat(world.ids[:1], 4, axis=0)  # all of one kind: nothing to compare
    np.testing.assert_array_equal(plain.feed(alike), aware.feed(alike))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), batch=st.integers(5, 60), paper=st.booleans(), aware=st.booleans())
def test_scores_are_probabilities_and_weights_too(unit, seed, batch, paper, aware):
    world = World(None, unit, seed=seed, images=80)
    stream = world.stream(paper=paper, activation=aware)
    found = score_stream(stream, world.images, batch_rows=batch)
    assert found.shape == (80,) and (found >= 0).all() and (found <= 1).all()
    assert 0 <= stream.weight <= 1
    assert all(candidate.score < (0.9 if paper else 0.8) for candidates in world.described for candidate in candidates)
