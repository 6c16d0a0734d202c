from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from curator.banks.text_cache import TextCache
from curator.encoders import EncoderOptions, load_encoder
from curator.errors import UsageError
from curator.generators import GeneratorOptions, make_generator
from curator.generators.embedded.answering import Refused
from curator.generators.embedded.centring import unit_rows
from curator.generators.embedded.painter import (
    FeaturePainter,
    SynthesisSettings,
    boundary_rows,
    knn_distance,
    synthesise_outliers,
)
from curator.generators.painter_settings import TASKS
from curator.generators.prompts import load_prompt
from curator.generators.requests import Picture, Request
from curator.generators.surroundings import Surroundings


def mixture(d, *, size=60, classes=3, spread=0.15, seed=0):
    """Unit vectors around as many axes as there are classes, and their classes."""
    draws = np.random.default_rng(seed)
    centres = np.eye(d)[np.arange(classes) % d] * np.where(np.arange(classes) < d, 1, -1)[:, None]
    labels = np.repeat(np.arange(classes), size)
    return unit_rows(centres[labels] + draws.normal(0, spread, (len(labels), d))).astype(np.float32), labels


def test_the_distance_is_that_to_the_kth_nearest():
    square = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    assert knn_distance(square[:1], square, 1) == pytest.approx([0])
    assert knn_distance(square[:1], square, 2) == pytest.approx([2**0.5])
    assert knn_distance(square, square, 3, apart=True) == pytest.approx([2] * 4)
    assert knn_distance(square[:1], square, 99, apart=True) == pytest.approx([2])  # the furthest, where k is too large


def test_a_vector_alone_has_no_distance():
    with pytest.raises(ValueError, match="no vector"):
        knn_distance(np.eye(2, dtype=np.float32)[:1], np.eye(2, dtype=np.float32)[:1], 1, apart=True)


@given(seed=st.integers(0, 99), k=st.integers(1, 7), part=st.integers(1, 59))
@settings(max_examples=25, deadline=None)
def test_distances_are_those_of_a_plain_search_and_the_same_in_any_batch(seed, k, part):
    vectors, _ = mixture(8, size=20, seed=seed)
    found = knn_distance(vectors, vectors, k, apart=True)
    plain = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.fill_diagonal(plain, np.inf)
    np.testing.assert_allclose(found, np.sort(plain, axis=1)[:, k - 1], atol=2e-4)
    whole = knn_distance(vectors, vectors, k)
    parts = [knn_distance(vectors[:part], vectors, k), knn_distance(vectors[part:], vectors, k)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_boundary_rows_have_the_largest_distances():
    distances = np.array([0.1, 0.9, 0.5, 0.9, 0.2])
    assert boundary_rows(distances, 0.4).tolist() == [1, 3]
    assert boundary_rows(distances, 0.01).tolist() == [1]
    assert boundary_rows(distances, 1.0).tolist() == [1, 3, 2, 4, 0]


@given(seed=st.integers(0, 99), d=st.sampled_from([2, 8]), row=st.integers(0, 39))
@settings(max_examples=40, deadline=None)
def test_what_is_kept_lies_outside_the_boundary_of_id(seed, d, row):
    vectors, labels = mixture(d, size=20, classes=2, seed=seed)
    own = knn_distance(vectors, vectors, 5, apart=True)
    boundary = float(own[labels == labels[row]].max())
    given_settings = SynthesisSettings(count=4, candidates=60)
    found = synthesise_outliers(vectors[row], vectors, boundary, np.random.default_rng(seed), given_settings)
    assert found is not None
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(np.ones(len(found.vectors)), abs=1e-5)
    assert (knn_distance(found.vectors, vectors, 5) >= boundary).all()
    assert found.distances.tolist() == sorted(found.distances.tolist(), reverse=True)
    assert 1 <= len(found.vectors) <= 4 and found.tried % 60 == 0


def test_inward_candidates_are_rejected():
    vectors, _ = mixture(8)
    tight = SynthesisSettings(noise=1e-3, widenings=0)
    inner = vectors[knn_distance(vectors, vectors, 5, apart=True).argmin()]
    assert synthesise_outliers(inner, vectors, 0.5, np.random.default_rng(0), tight) is None
    wider = synthesise_outliers(inner, vectors, 0.5, np.random.default_rng(0), replace(tight, widenings=20))
    assert wider is not None and wider.noise > 1e-3 and wider.tried > 200


def test_the_same_draws_give_the_same_outliers():
    vectors, _ = mixture(8)
    first, second, other = (
        synthesise_outliers(vectors[0], vectors, 0.3, np.random.default_rng(seed), SynthesisSettings())
        for seed in (3, 3, 4)
    )
    assert np.array_equal(first.vectors, second.vectors)
    assert not np.array_equal(first.vectors, other.vectors)


@pytest.mark.parametrize(
    "given_settings",
    [{"k": 0}, {"k": 2.5}, {"noise": "much"}, {"count": True}, {"boundary_share": 0}, {"count": 5, "candidates": 4}],
)
def test_settings_that_cannot_be_are_refused(given_settings):
    with pytest.raises(Refused):
        SynthesisSettings.resolve("inpaint", given_settings)


def test_settings_of_diffusion_models_are_passed_over():
    given_settings = {"steps": 20, "strength": 0.6, "k": 3, "noise": 1}
    assert SynthesisSettings.resolve("inpaint", given_settings) == SynthesisSettings(k=3, noise=1)
    assert SynthesisSettings.resolve("draw", {"width": 512, "guidance": 7.5}) == SynthesisSettings()


def test_settings_that_no_painter_knows_there_are_refused():
    for prompt, name in (("inpaint", "stepz"), ("draw", "strength"), ("inpaint", "width"), ("look-alikes", "steps")):
        with pytest.raises(Refused, match=f"{prompt} has no setting {name}: known are k, "):
            SynthesisSettings.resolve(prompt, {name: 1, "k": 3})


@pytest.mark.parametrize("prompt", TASKS)
def test_its_own_settings_have_names_that_diffusion_models_do_not_use(prompt):
    own, theirs = ({item.name for item in fields(kind)} for kind in (SynthesisSettings, TASKS[prompt]))
    assert own.isdisjoint(theirs)


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    encoder = load_encoder(EncoderOptions("mini", dtype="float32", device="cpu", offline=True))
    texts = ("dog", "truck", "apple")
    id_vectors = encoder.encode_texts([f"The nice {text}." for text in texts])
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 30)
    images = unit_rows(id_vectors[labels] + 0.5 * id_vectors.mean(axis=0) + draws.normal(0, 0.03, (90, 256)))
    return Surroundings(
        lambda: encoder,
        encoder.encoder_id,
        TextCache(tmp_path_factory.mktemp("texts")),
        texts,
        id_vectors,
        id_image_vectors=lambda: images.astype(np.float32),
        id_image_labels=lambda: labels,
    )


def inpaint(around, row, context="a wet street", **given_settings):
    picture = Picture(f"{row:032x}", lambda: b"", around.id_image_vectors()[row])
    return Request(load_prompt("inpaint"), {"context": context}, (picture,), settings=given_settings)


def ask(painter, *requests):
    return list(painter.replies(requests, allow=lambda: True))


def test_the_artefact_holds_outliers_near_the_picture(around):
    [reply] = ask(FeaturePainter(around), inpaint(around, 4, count=3))
    vectors = load(reply.artefact)["vectors"]
    assert reply.suffix == ".safetensors" and vectors.shape == (3, 256) and vectors.dtype == np.float32
    distances = knn_distance(vectors, around.id_image_vectors(), 5)
    assert reply.facts["knn_distances"] == pytest.approx(distances.tolist(), abs=1e-5)
    assert min(distances) >= reply.facts["boundary_distance"] and reply.facts["candidates"] >= 200
    assert (around.id_image_vectors() @ vectors[0]).argmax() < 30  # the class of the picture is still the nearest


def test_the_context_moves_the_outlier_towards_it(around):
    painter = FeaturePainter(around)
    replies = ask(painter, *(inpaint(around, row, "a wet street", context_weight=0.4) for row in range(8)))
    plain = ask(painter, *(inpaint(around, row, "a wet street", context_weight=0.0) for row in range(8)))
    text = painter._direction("a wet street")
    moved = [load(reply.artefact)["vectors"][0] @ text for reply in replies]
    assert np.mean(moved) > np.mean([load(reply.artefact)["vectors"][0] @ text for reply in plain]) + 0.1


def test_replies_depend_on_neither_order_nor_company(around):
    requests = [inpaint(around, 1), inpaint(around, 70), inpaint(around, 40), inpaint(around, 1, "a boat")]
    together = ask(FeaturePainter(around), *requests)
    assert [reply.position for reply in together] == [0, 1, 2, 3]
    backwards = ask(FeaturePainter(around), *requests[::-1])[::-1]
    alone = [ask(FeaturePainter(around), request)[0] for request in requests]
    for replies in (backwards, alone):
        assert [reply.artefact for reply in replies] == [reply.artefact for reply in together]
    assert ask(FeaturePainter(around), replace(requests[0], seed=1))[0].artefact != alone[0].artefact


def test_what_it_cannot_paint_is_a_final_fault(around):
    painter = FeaturePainter(around)
    blind = Request(load_prompt("inpaint"), {"context": "street"}, (Picture("0" * 32, lambda: b""),))
    other = Request(load_prompt("draw"), {"label": "boat"})
    replies = ask(painter, blind, other, inpaint(around, 0, k=0), inpaint(around, 0))
    assert [reply.final for reply in replies] == [True, True, True, False]
    [lonely] = ask(FeaturePainter(replace(around, id_image_vectors=lambda: np.zeros((0, 0)))), blind)
    assert lonely.final and "no ID images" in lonely.fault


def test_what_synood_sends_is_painted_and_a_setting_that_nobody_knows_is_a_final_fault(around):
    sent = {"size": 512, "steps": 20, "strength": 0.6, "guidance": 8.0, "passes": 3, "learning_rate": 5.0}
    sent |= {"loss": "energy_hinge", "m_out": -20.0, "tau": 1.0}
    painted, unknown = ask(FeaturePainter(around), inpaint(around, 4, **sent), inpaint(around, 4, **sent, sigma=1))
    assert painted.fault is None and len(load(painted.artefact)["vectors"]) == 1
    assert unknown.final and "no setting sigma" in unknown.fault


def test_it_asks_before_each_request(around):
    allowed = iter([True, False])
    replies = list(FeaturePainter(around).replies([inpaint(around, 4)] * 3, allow=lambda: next(allowed)))
    assert len(replies) == 1


def test_the_revision_follows_encoder_labels_and_images(around):
    revision = FeaturePainter(around).revision
    moved = around.id_image_vectors().copy()
    moved[0, 0] += 0.01
    others = [
        replace(around, encoder_id="mini@other"),
        replace(around, id_texts=("dog", "truck", "pear")),
        replace(around, id_image_vectors=lambda: moved),
        replace(around, id_image_labels=lambda: np.zeros(90, np.int64)),
    ]
    assert FeaturePainter(around).revision == revision
    assert len({revision, *(FeaturePainter(other).revision for other in others)}) == 5


def test_it_is_a_painter_only(around):
    with pytest.raises(UsageError, match="no describer is called 'features'"):
        make_generator("describer", "features", GeneratorOptions(), around)
    with pytest.raises(UsageError, match="takes nothing behind its name"):
        make_generator("painter", "features:model", GeneratorOptions(), around)
