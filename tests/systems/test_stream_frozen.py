"""What streams freeze, scored by the methods of the same names: the same numbers, while nothing more is learnt."""

from __future__ import annotations

import numpy as np
import pytest

from curator.methods import resolve_method
from curator.methods.members.ants import side_score
from curator.systems.adaneg.settings import AdaNegSettings
from curator.systems.adaneg.stream import AdaNegStream
from curator.systems.ants.settings import AntsSettings
from curator.systems.ants.stream import AntsStream
from curator.systems.stream import batches
from curator.systems.tanl.settings import TanlSettings
from curator.systems.tanl.stream import TanlStream
from curator.types import Bank, Label
from tests.methods.scored import score_vectors
from tests.systems.conftest import score_stream
from tests.systems.test_stream_ants import CODE

SCALE = 20.0


def bank_of(ids, sides, *, parameters=None, learned=None):
    """A bank of ID vectors and negatives (source, vectors), in order."""
    labels = [Label(f"id {n}", "id", "test") for n in range(len(ids))]
    labels += [Label(f"{source} {n}", "negative", source) for source, rows in sides for n in range(len(rows))]
    vectors = np.concatenate([ids, *(rows for _, rows in sides)])
    return Bank("b", "0" * 32, "e", SCALE, tuple(labels), vectors, {"learned": learned or {}}, {}, parameters or {})


@pytest.mark.parametrize("mode", ["task", "sample"])
def test_adaneg_scores_its_last_batch_as_the_frozen_method_does(drawn, mode):
    ids, negatives, images = drawn(4, seed=1), drawn(20, seed=2), drawn(90, seed=3)
    stream = AdaNegStream(ids, negatives, AdaNegSettings(slots=4, proxies=mode), scale=SCALE)
    last = [stream.feed(batch) for batch in batches(images, 30)][-1]
    bank = bank_of(ids, [("wordnet", negatives)], parameters=stream.parameters())
    table = score_vectors(images[60:], bank, resolve_method(f"adaneg:mode={mode}", bank))
    np.testing.assert_allclose(table.id_score, last, rtol=0, atol=1e-6)
    assert len(stream.memory.slots()[1]) > 4


def test_t4_holds_for_the_frozen_method(unit):
    ids, negatives = unit([[1, 0, 0.2], [0, 1, 0.2]]), unit([[0.3, 0.3, 1], [-0.2, 0.4, 1]])
    images = unit([[1, 0.1, 0.4], [0.2, 0.3, 1], [0.9, 0.2, 0.3], [0.05, 0.25, 1]])
    stream = AdaNegStream(ids, negatives, AdaNegSettings(slots=3, group_count=1), scale=10.0)
    stream.feed(images)
    bank = bank_of(ids, [("wordnet", negatives)], parameters=stream.parameters())
    expected = {
        "task": [1.087200, 0.007332, 1.089613, 0.003238],
        "sample": [1.083994, 0.008455, 1.086881, 0.003540],
    }
    for mode, scores in expected.items():
        table = score_vectors(images, bank, resolve_method(f"adaneg:mode={mode},scale=10,group_count=1", bank))
        np.testing.assert_allclose(table.id_score, scores, rtol=0, atol=1e-6)


@pytest.mark.parametrize("initialised", [False, True])
@pytest.mark.parametrize("variant", ["ada", "ens", "vsnl"])
def test_ants_scores_its_last_batch_as_the_frozen_method_does(drawn, unit, initialised, variant):
    ids, base, images = drawn(4, seed=1), drawn(6, seed=2), drawn(90, seed=3)

    def static(vectors):
        inside, outside = (vectors.astype(np.float64) @ side.T.astype(np.float64) for side in (ids, base))
        return side_score(inside, outside, scale=SCALE), inside.argmax(axis=1)

    given = {"cache_size": 10, "first_class_batch": 1, "class_interval": 1, "initialise": initialised}
    stream = AntsStream(
        ids,
        static,
        AntsSettings(**CODE, **given, variant=variant),
        scale=SCALE,
        describe=lambda candidates: unit(images[[candidate.image for candidate in candidates]] + 0.1),
        look_alikes=lambda labels: {label: drawn(3, seed=100 + label) for label in labels},
        base_negatives=base,
    )
    last = [stream.feed(batch) for batch in batches(images, 30)][-1]
    kept = stream.frozen()
    sides = [("ants:ens", kept.ens), ("ants:vsnl", kept.vsnl)] + [("ants:base", base)] * initialised
    learned = {"ens_weight": stream.weight, "initialised": initialised}
    bank = bank_of(ids, sides, learned=learned)
    table = score_vectors(images[60:], bank, resolve_method(f"ants:variant={variant}", bank))
    np.testing.assert_allclose(table.id_score, last, rtol=0, atol=1e-6)


def test_tanl_keeps_the_candidates_in_the_order_in_which_the_method_takes_them(drawn):
    ids, candidates, images = drawn(4, seed=1), drawn(40, seed=2), drawn(90, seed=3)
    stream = TanlStream(ids, candidates, TanlSettings(negatives=15, alpha=1.0), scale=SCALE, noise=drawn(3, seed=4))
    score_stream(stream, images, batch_rows=30)
    bank = bank_of(ids, [("tanl", candidates[stream.frozen_order()])])
    table = score_vectors(images, bank, resolve_method("tanl", bank))
    again = stream.feed(images)  # ordered by the queues as they were frozen
    np.testing.assert_allclose(table.id_score, again, rtol=0, atol=1e-6)
