"""AdaNeg on a stream: conformance T4, and that it is a plain transcription of the published steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import ConfigError
from curator.methods.kernels.cosines import on_grid
from curator.methods.kernels.memory import SampleProxies
from curator.systems.adaneg.settings import AdaNegSettings
from curator.systems.adaneg.stream import AdaNegStream, adaptive_cuts
from tests.systems.conftest import score_stream

T4_ID, T4_NEGATIVE = [[1, 0, 0.2], [0, 1, 0.2]], [[0.3, 0.3, 1], [-0.2, 0.4, 1]]
T4_IMAGES = [[1, 0.1, 0.4], [0.2, 0.3, 1], [0.9, 0.2, 0.3], [0.05, 0.25, 1]]
T4 = {"slots": 3, "group_count": 1}


@pytest.fixture
def t4(unit):
    def make(**given):
        return AdaNegStream(unit(T4_ID), unit(T4_NEGATIVE), AdaNegSettings(**{**T4, **given}), scale=10.0)

    return make


def test_t4_the_static_score(t4, unit):
    """With a gap that no image is beyond nothing is stored, and the score is the texts' times 1.1."""
    stream = t4(gap=1.0)
    found = stream.feed(unit(T4_IMAGES)) / 1.1
    np.testing.assert_allclose(found, [0.972431, 0.004406, 0.976151, 0.002570], rtol=0, atol=1e-6)
    assert stream.memory.stored == {}


def test_t4_which_images_are_stored_and_with_which_entropy(t4, unit):
    stream = t4()
    stream.feed(unit(T4_IMAGES))
    stored = {label: [image.entropy for image in images] for label, images in stream.memory.stored.items()}
    assert {label: 1 + len(images) for label, images in stored.items()} == {0: 3, 2: 3}
    np.testing.assert_allclose(stored[0], [0.002620, 0.006798], rtol=0, atol=1e-6)
    np.testing.assert_allclose(stored[2], [0.637844, 0.692320], rtol=0, atol=1e-6)


def test_t4_task_proxies_and_final_scores(t4, unit):
    stream = t4()
    found = stream.feed(unit(T4_IMAGES))
    np.testing.assert_allclose(found, [1.087200, 0.007332, 1.089613, 0.003238], rtol=0, atol=1e-6)
    proxies = stream.parameters()["proxies"]
    np.testing.assert_allclose(proxies[0], [0.950632, 0.100229, 0.293690], rtol=0, atol=1e-6)
    np.testing.assert_allclose(proxies[2], [0.171740, 0.268156, 0.947944], rtol=0, atol=1e-6)
    np.testing.assert_allclose(proxies[[1, 3]], unit([T4_ID[1], T4_NEGATIVE[1]]), rtol=0, atol=1e-7)
    alone = t4(static_weight=0.0).feed(unit(T4_IMAGES))
    np.testing.assert_allclose(alone, [0.989957, 0.006892, 0.991998, 0.002981], rtol=0, atol=1e-6)
    np.testing.assert_allclose((found - alone) / 0.1, [0.972431, 0.004406, 0.976151, 0.002570], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("beta", "weight", "expected"),
    [
        (5, 0.0, [0.986751, 0.008014, 0.989266, 0.003283]),
        (5, 0.1, [1.083994, 0.008455, 1.086881, 0.003540]),
        (5.5, 0.0, [0.986436, 0.008113, 0.988999, 0.003309]),
    ],
)
def test_t4_sample_proxies(t4, unit, beta, weight, expected):
    found = t4(proxies="sample", beta=beta, static_weight=weight).feed(unit(T4_IMAGES))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_t4_cuts_of_the_adaptive_gap():
    assert adaptive_cuts(0.6, 0.5, (0.75, 0.25)) == (0.75, pytest.approx(0.20))
    assert adaptive_cuts(0.4, 0.5, (0.75, 0.25)) == (pytest.approx(0.80), 0.25)
    assert adaptive_cuts(0.5, 0.5, (0.75, 0.25)) == (0.75, 0.25)


def test_a_label_without_a_slot_for_images_is_refused():
    with pytest.raises(ConfigError, match=r"adaneg\.slots is 1 .give a whole number from 2 up"):
        AdaNegSettings.resolve({"slots": 1})


def test_the_adaptive_gap_counts_the_window_and_adds_both_scores(drawn):
    ids, negatives = drawn(3, seed=1), drawn(6, seed=2)
    images = np.concatenate([ids, ids, ids, drawn(200, seed=3)])
    fixed, adaptive = (
        AdaNegStream(ids, negatives, given, scale=20.0)
        for given in (
            AdaNegSettings(group_count=1, static_weight=1.0),
            AdaNegSettings(group_count=1, static_weight=1.0, adaptive_gap=True, window=12),
        )
    )
    first, second = (score_stream(stream, images, batch_rows=10) for stream in (fixed, adaptive))
    assert len(adaptive._window) == 12
    assert not np.array_equal(first, second)
    fixed_count, adaptive_count = (len(stream.memory.slots()[1]) for stream in (fixed, adaptive))
    assert adaptive_count <= fixed_count


class Naive:
    """The published steps, slot by slot and proxy by proxy."""

    def __init__(self, ids, negatives, *, scale, slots, mode, beta):
        self.texts = np.concatenate([ids, negatives]).astype(np.float64)
        self.c, self.scale, self.mode, self.beta, self.slots = len(ids), scale, mode, beta, slots
        self.memory = np.zeros((len(self.texts), slots + 1, self.texts.shape[1]))
        self.memory[:, 0] = self.texts
        self.entropy, self.next = np.zeros((len(self.texts), slots + 1)), np.ones(len(self.texts), dtype=int)

    def feed(self, images):
        images = images.astype(np.float64)
        logits = self.scale * images @ self.texts.T
        static = self.share(logits)
        for image, row, score in zip(images, logits, static, strict=True):
            if score > 0.75:
                side, first = row[: self.c], 0
            elif score < 0.25:
                side, first = row[self.c :], self.c
            else:
                continue
            p = np.exp(side) / np.exp(side).sum()
            self.insert(first + int(side.argmax()), -(p * np.log(p + 1e-8)).sum(), image)
        if self.mode == "task":
            proxies = self.memory.mean(axis=1)
            cosines = images @ (proxies / np.linalg.norm(proxies, axis=1, keepdims=True)).T
        else:
            near = np.einsum("nd,kld->nkl", images, self.memory)
            proxies = np.einsum("nkl,kld->nkd", np.exp(-self.beta * (1 - near)), self.memory)
            proxies /= np.linalg.norm(proxies, axis=2, keepdims=True)
            cosines = np.einsum("nd,nkd->nk", images, proxies)
        return self.share(self.scale * cosines) + 0.1 * static

    def insert(self, k, h, image):
        n = self.next[k]
        if n < self.slots:
            self.memory[k, n], self.entropy[k, n] = image, h
            self.next[k] += 1
        elif (h < self.entropy[k, 1:n]).any():  # the text's slot and the empty one never win
            worst = 1 + self.entropy[k, 1:n].argmax()
            self.memory[k, worst], self.entropy[k, worst] = image, h

    def share(self, logits):
        powers = np.exp(logits)
        return powers[:, : self.c].sum(axis=1) / powers.sum(axis=1)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    ids=st.integers(2, 4),
    negatives=st.integers(2, 6),
    slots=st.integers(2, 4),
    mode=st.sampled_from(["task", "sample"]),
    batch=st.integers(1, 20),
)
def test_it_is_the_naive_transcription(drawn, seed, ids, negatives, slots, mode, batch):
    inside, outside = drawn(ids, 4, seed=seed), drawn(negatives, 4, seed=seed + 1)
    images = drawn(40, 4, seed=seed + 2)
    given = AdaNegSettings(slots=slots, group_count=1, proxies=mode)
    stream = AdaNegStream(inside, outside, given, scale=15.0)
    naive = Naive(inside, outside, scale=15.0, slots=slots, mode=mode, beta=5)
    for start in range(0, 40, batch):
        part = images[start : start + batch]
        np.testing.assert_allclose(stream.feed(part), naive.feed(part), rtol=0, atol=2e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), beta=st.sampled_from([0.0, 1.0, 5.0, 30.0]))
def test_cosines_with_sample_proxies_are_those_of_the_proxies_themselves(drawn, seed, beta):
    texts, slots, images = drawn(5, seed=seed), drawn(7, seed=seed + 1), drawn(3, seed=seed + 2)
    classes = np.random.default_rng(seed).integers(0, 4, 7)
    static = images.astype(np.float64) @ texts.T.astype(np.float64)
    found = SampleProxies(texts, slots, classes).cosines(on_grid(images), static, beta)
    for row, image in enumerate(images.astype(np.float64)):
        for label in range(5):
            held = np.concatenate([texts[[label]], slots[classes == label]]).astype(np.float64)
            proxy = np.exp(-beta * (1 - held @ image)) @ held
            expected = image @ proxy / np.linalg.norm(proxy)
            assert found[row, label] == pytest.approx(expected, abs=1e-6)
    assert (found[:, 4] == static[:, 4]).all()  # never written to


def test_what_is_frozen_are_the_parameters_of_the_method(drawn):
    stream = AdaNegStream(drawn(3, seed=1), drawn(6, seed=2), AdaNegSettings(slots=3), scale=20.0)
    empty = stream.parameters()
    assert empty["memory.slots"].shape == (0, 8) and empty["memory.classes"].shape == (0,)
    score_stream(stream, drawn(60, seed=3), batch_rows=16)
    kept = stream.parameters()
    assert set(kept) == {"proxies", "memory.slots", "memory.classes"}
    assert kept["proxies"].shape == (9, 8) and kept["proxies"].dtype == np.float32
    assert np.bincount(kept["memory.classes"]).max() <= 2
    np.testing.assert_allclose(np.linalg.norm(kept["memory.slots"], axis=1), 1, atol=1e-6)
