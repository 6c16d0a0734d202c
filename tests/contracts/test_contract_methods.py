"""What every registered method must do. A new line in METHODS is picked up here by itself."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from curator.errors import BankError, CuratorError, UsageError
from curator.methods import METHODS, BankScorer, ScoreTable, resolve_method, score
from curator.methods.attribution import attribute
from curator.methods.grouping import Grouping
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.exact_pass import LayerCosines, even_statistics
from curator.methods.layers import WHOLE
from curator.methods.measures import KnownImages
from curator.methods.spec import MethodSpec, ReferenceMethod, needs_of
from curator.types import Bank, Label

MEASURED = {"text_mean", "text_deviation", "image_mean", "image_deviation"}  # on reference images
MEASURED |= {"reference", "classes", "residual_weight"}
NATURAL_CUT = {"mcm", "neglabel", "csp", "adaneg", "ants", "interneg", "synood", "tanl"}
PROBABILITY = {"mcm", "neglabel", "csp", "ants", "interneg", "synood", "tanl"}
# Methods whose other ways go by other layers.
WAYS = ["adaneg:mode=sample", "ants:variant=vsnl", "mmood:mix=scores", "synood:projection=off,group_count=3"]
WAYS += ["oodd:base=mcm,own=include,k=2", "mahalanobis:variant=relative,shrinkage=0.1", "vim:origin=mean,dimensions=20"]
SOURCES = ["ants:ens"] * 210 + ["ants:vsnl"] * 30 + ["mmood:near"] * 35 + ["mmood:far"] * 25


@pytest.fixture(params=[*METHODS.names(), *WAYS])
def text(request) -> str:
    return str(request.param)


@pytest.fixture
def name(text) -> str:
    return text.partition(":")[0]


# ID label and negative of each pair that a bank keeps: all with half of the negatives.
PAIR_PLACES = np.stack([axis.ravel() for axis in np.meshgrid(np.arange(10), np.arange(0, 300, 2))], axis=1)


def joined(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def drawn_bank() -> Bank:
    """Ten ID labels and three hundred negatives around two separate directions, in 48 dimensions."""
    vectors = 0.05 * np.random.default_rng(11).normal(size=(310, 48))
    vectors[:10, :10] += 4 * np.eye(10)
    vectors[10:, 20] += 4
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [Label(f"label {n}", "id", "test") for n in range(10)]
    labels += [Label(f"label {10 + n}", "negative", source) for n, source in enumerate(SOURCES)]
    spec = {"mining": {"method": "csp"}, "learned": {"ens_weight": 0.7}}
    bank = Bank("b", "0" * 32, "test@1", 30.0, tuple(labels), vectors.astype(np.float32), spec)
    return replace(bank, parameters=drawn_parameters(bank.vectors))


def drawn_parameters(vectors):
    """What methods learn: proxies and stored images near their labels, a projection that moves little, tuned rows."""
    drawn = np.random.default_rng(14)
    stored = np.repeat([0, 3, 40, 41, 200], [3, 1, 9, 2, 1])
    return {
        "proxies": images_near(vectors, seed=15),
        "memory.slots": images_near(vectors[stored], seed=16),
        "memory.classes": stored,
        "projection.weight": drawn.normal(size=(48, 48)).astype(np.float32),
        "projection.bias": drawn.normal(size=48).astype(np.float32),
        "projection.gain": np.full(48, 0.02, dtype=np.float32),
        "projection.shift": np.zeros(48, dtype=np.float32),
        "pairs.labels": PAIR_PLACES,
        "pairs.vectors": joined(vectors[PAIR_PLACES[:, 0]] + vectors[10 + PAIR_PLACES[:, 1]]),
        "dictionary.vectors": images_near(vectors[10::11], seed=18),
        "tuned.labels": np.arange(10, 310, 7),
        "tuned.vectors": 3 * images_near(vectors[10::7], seed=17),
    }


def with_ids_moved(bank, order):
    """The bank with its labels in another order, whatever is kept by label with them."""
    back, kept = np.argsort(order), dict(bank.parameters)
    kept["proxies"] = kept["proxies"][order]
    kept["pairs.labels"] = np.stack([back[kept["pairs.labels"][:, 0]], kept["pairs.labels"][:, 1]], axis=1)
    kept["memory.classes"] = back[kept["memory.classes"]]
    kept["tuned.labels"] = back[kept["tuned.labels"]]
    return replace(bank, labels=tuple(bank.labels[n] for n in order), vectors=bank.vectors[order], parameters=kept)


def images_near(vectors, seed=12):
    images = vectors + 0.01 * np.random.default_rng(seed).normal(size=vectors.shape)
    return (images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float32)


BANK = drawn_bank()
REFERENCES = images_near(np.repeat(BANK.id_vectors, 12, axis=0), seed=13)
KNOWN = KnownImages(REFERENCES, np.repeat(np.arange(10), 12), "own")


@pytest.fixture
def bank() -> Bank:
    return BANK


def cosines(vectors, others):
    """The same whatever the other rows."""
    return exact_cosines(on_grid(vectors), on_grid(others))


def resolved(text, bank):
    """The method, fitted on the reference where it is of that kind."""
    method = resolve_method(text, bank)
    return method.fitted(bank, KNOWN) if isinstance(method, ReferenceMethod) else method


def scored(bank, method, vectors, *, precision="fast") -> ScoreTable:
    neighbours = -np.sort(-cosines(vectors, REFERENCES), axis=1)[:, : max(method.needs.neighbours, 1)]
    return BankScorer(bank, [method], precision=precision, reference=KNOWN).score(vectors, neighbours)[0]


def pure_arguments(bank, method, vectors):
    """What the pure form takes, by a method's name: cosines of the labels it is about, and parameters."""
    layers = {layer: LayerCosines(bank, layer)(vectors) for layer in needs_of([method])}
    ids, negatives, _ = layers[WHOLE]
    given = {key: value for key, value in MethodSpec.of(method).parameters.items() if key not in ("seed", "reference")}
    if method.name == "ants":
        sides = {side: layers[method.layer(side)].negatives for side in method.sides}
        grouping = Grouping(size=100)
        for side, columns in sides.items():
            given[f"{side}_permutation"] = grouping.order(columns.shape[1])
        given["vsnl_cosines"] = sides.get("vsnl")
        del given["base"]
        return (ids, sides.get("ens")), given
    if method.name == "adaneg":
        adaptive = layers[method.layer]
        given["adaptive_cosines"] = np.hstack([adaptive.ids, adaptive.negatives])
        given["permutation"] = method.text.grouping.order(300)
        return (ids, negatives), {key: value for key, value in given.items() if key not in ("mode", "beta")}
    if method.name == "synood":
        given["permutation"] = method.text.grouping.order(300)
        moved = layers[method.layer]
        return (moved.ids, moved.negatives), {k: v for k, v in given.items() if k not in ("projection", "labels")}
    if method.name == "mmood" and method.mix == "scores":
        near, far = (layers[layer].negatives for layer in method.layer_needs)
        return (ids, near), {**given, "far_cosines": far}
    if method.name == "negrefine":
        places, texts = bank.parameters["pairs.labels"], bank.parameters["pairs.vectors"]
        given["pair_cosines"] = np.full((len(vectors), 10, 300), -np.inf)
        given["pair_cosines"][:, places[:, 0], places[:, 1]] = cosines(vectors, texts)
    if method.name == "oodd":
        given["dictionary_cosines"] = cosines(vectors, bank.parameters["dictionary.vectors"])
        del given["own"]
    if isinstance(method, ReferenceMethod):
        given |= {"vectors": on_grid(vectors), "reference_vectors": on_grid(REFERENCES)}
        given = {key: value for key, value in given.items() if key not in MEASURED}
        given |= {"classes": KNOWN.classes} if method.needs.by_class else {}
        given |= {"reference_cosines": cosines(REFERENCES, bank.id_vectors)} if method.name == "vim" else {}
    if "seed" in {field.name for field in fields(method)}:
        given["permutation"] = next(iter(method.needs.masses))[1].order(300) if method.needs.masses else None
    if method.needs.neighbours:
        given["reference_cosines"] = cosines(vectors, REFERENCES)
    return (ids, negatives), given


def test_scores_are_finite_float64_one_per_image(text, name, bank):
    table = scored(bank, resolved(text, bank), images_near(bank.vectors))
    for scores in (table.id_score, table.log_odds):
        assert scores.shape == (310,) and scores.dtype == np.float64 and np.isfinite(scores).all()
    if name in PROBABILITY:
        assert (table.id_score >= 0).all() and (table.id_score <= 1).all()


def test_images_of_id_labels_score_higher_than_images_of_negatives(text, bank):
    method = resolved(text, bank)
    inside = scored(bank, method, images_near(bank.id_vectors))
    outside = scored(bank, method, images_near(bank.negative_vectors))
    assert inside.log_odds.min() > outside.log_odds.max()


def test_log_odds_rank_images_as_their_scores_do(text, name, bank):
    table = scored(bank, resolved(text, bank), images_near(bank.vectors))
    order = np.argsort(table.log_odds)
    assert (np.diff(table.id_score[order]) >= -1e-15).all()
    if name in PROBABILITY:
        unsaturated = (table.id_score > 1e-9) & (table.id_score < 1 - 1e-6)
        logit = np.log(table.id_score[unsaturated]) - np.log1p(-table.id_score[unsaturated])
        np.testing.assert_allclose(table.log_odds[unsaturated], logit, atol=1e-6)


def test_the_kernel_gives_what_the_pure_form_gives(text, name, bank):
    """To 2e-5 of the logit scale: the stated precision."""
    method = resolved(text, bank)
    vectors = images_near(bank.vectors)
    sides, parameters = pure_arguments(bank, method, vectors)
    expected = score(name, *sides, **parameters)
    inside = cosines(vectors, bank.id_vectors)
    found = scored(bank, method, vectors, precision="full")
    np.testing.assert_allclose(found.id_score, expected, rtol=0, atol=2e-5 * bank.logit_scale)
    np.testing.assert_array_equal(found.id_label, inside.argmax(axis=1))


def test_a_score_does_not_depend_on_the_other_images(text, bank):
    images = images_near(bank.vectors)
    method = resolved(text, bank)
    whole = scored(bank, method, images)
    order = np.random.default_rng(1).permutation(310)
    for rows in (slice(0, 7), slice(303, 310), slice(100, 101), order):
        part = scored(bank, method, images[rows])
        for column in ScoreTable.__slots__:
            np.testing.assert_array_equal(getattr(part, column), getattr(whole, column)[rows])


def test_all_methods_in_one_pass_give_what_each_gives_alone(bank):
    images = images_near(bank.vectors)
    methods = [resolved(name, bank) for name in [*METHODS.names(), *WAYS]]
    neighbours = -np.sort(-cosines(images, REFERENCES), axis=1)[:, :10]
    for method, table in zip(
        methods, BankScorer(bank, methods, reference=KNOWN).score(images, neighbours), strict=True
    ):
        alone = scored(bank, method, images)
        for column in ScoreTable.__slots__:
            np.testing.assert_array_equal(getattr(table, column), getattr(alone, column), err_msg=method.name)


def test_the_order_of_id_labels_changes_which_is_named_and_no_score(text, bank):
    order = np.concatenate([np.random.default_rng(2).permutation(10), np.arange(10, 310)])
    moved = with_ids_moved(bank, order)
    images = images_near(bank.vectors)
    before = scored(bank, resolved(text, bank), images, precision="full")
    after = scored(moved, resolved(text, moved), images, precision="full")
    np.testing.assert_allclose(after.log_odds, before.log_odds, rtol=0, atol=2e-5 * bank.logit_scale)
    np.testing.assert_array_equal(order[after.id_label], before.id_label)


def test_the_id_names_every_parameter_and_reads_back(text, name, bank):
    """What is measured on reference images is in the id, but not for users to set."""
    method = resolve_method(text, bank)
    assert type(method) is METHODS.get(name)
    assert method.method_id.startswith(f"{name}(") and method.method_id.endswith(")")
    spec = MethodSpec.parse(method.method_id)
    assert spec.name == name
    assert set(spec.parameters) == {field.name for field in fields(method) if getattr(method, field.name) is not None}
    given = {key: value for key, value in spec.parameters.items() if key not in MEASURED}
    assert resolve_method(MethodSpec(name, given), replace(bank, logit_scale=77.0)) == method
    for key in MEASURED & set(spec.parameters):
        with pytest.raises(UsageError, match="reference"):
            resolve_method(MethodSpec(name, {key: "7"}), bank)


def test_every_parameter_changes_the_id_and_none_is_lost(text, name, bank):
    method = resolve_method(text, bank)
    other = {"variant": "msp", "remainder": "join", "seed": "5", "k": "3", "group_count": "9", "beta": "0.5"}
    other |= {"step": "2", "group_size": "70", "form": "plain", "joined": "3", "base": "shared", "labels": "fixed"}
    other |= {"mix": "scores" if text == "mmood" else "labels", "mode": "sample" if text == "adaneg" else "task"}
    other |= {"projection": "on" if "off" in text else "off"} | ({"variant": "ens"} if name == "ants" else {})
    other |= {"own": "exclude" if "own" in text else "include"}
    other |= {"base": "neglabel" if "base" in text else "mcm"} if name == "oodd" else {}
    other |= {"dimensions": "7", "origin": "zero" if "origin" in text else "mean"}
    other |= {"variant": "class" if "relative" in text else "relative"} if name == "mahalanobis" else {}
    given = MethodSpec.parse(text).parameters
    for key in set(MethodSpec.of(method).parameters) - MEASURED:
        beside = {} if key in ("mode", "mix") else given
        changed = resolve_method(MethodSpec(name, {**beside, key: other.get(key, "0.25")}), bank)
        assert changed.method_id != method.method_id and f"{key}=" in changed.method_id
        assert getattr(changed, key) != getattr(method, key)


@pytest.mark.parametrize("parameter", ["nonsense=1", "=", "scale=", "temperature=warm", "k=-1", "beta=nan", "weight=2"])
def test_what_cannot_be_is_refused_in_one_line(name, bank, parameter):
    with pytest.raises(UsageError) as caught:
        resolve_method(f"{name}:{parameter}", bank)
    assert str(caught.value).startswith(("method ", f"{name}: ")) and "\n" not in str(caught.value)


def test_a_bank_that_will_not_do_is_refused_in_one_line_that_names_it(name, bank):
    """One ID label and no negatives: enough for some methods, and said clearly by the others."""
    bare = replace(bank, labels=bank.labels[:1], vectors=bank.vectors[:1], spec={}, parameters={})
    try:
        method = resolve_method(name, bare)
    except CuratorError as error:
        assert isinstance(error, BankError)
        assert name in str(error) and "bank b" in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(scored(bank, method, images_near(bank.vectors)).log_odds).all()
        assert not method.needs.masses


@pytest.mark.parametrize("rule", ["even_odds", "label_for_label"])
def test_the_default_cut_tells_the_two_sides_apart_or_is_refused(text, name, bank, rule):
    method = resolved(text, bank)
    even = even_statistics(bank, method)
    if name not in NATURAL_CUT:
        with pytest.raises(UsageError, match="no natural threshold") as caught:
            method.default_min_log_odds(even, rule)
        assert "curator calibrate" in (caught.value.hint or "")
        return
    cut = method.default_min_log_odds(even, rule)
    assert (scored(bank, method, images_near(bank.id_vectors)).log_odds >= cut).all()
    assert (scored(bank, method, images_near(bank.negative_vectors)).log_odds < cut).all()


def test_an_explanation_begins_with_the_score_and_leaves_a_label_out_of_every_layer(text, bank):
    """Against a bank in which that label is as far away as a label can be, in whatever layer."""
    method = resolved(text, bank)
    image = images_near(bank.vectors[[40]])
    layers = {layer: LayerCosines(bank, layer)(image) for layer in method.layer_needs}
    measuring = BankScorer(bank, [method], reference=KNOWN).measuring
    measures = {measure: numbers[0] for measure, numbers in measuring(image, None).items()}
    inside, outside = cosines(image, bank.id_vectors)[0], cosines(image, bank.negative_vectors)[0]
    references = cosines(image, REFERENCES)[0]
    found = attribute(method, inside, outside, scale=30.0, k=3, neighbours=references, layers=layers, measures=measures)
    assert found.log_odds == pytest.approx(scored(bank, method, image, precision="full").log_odds[0], abs=2e-3)
    assert found.negatives[0].label == 40 and len(found.ids) == len(found.negatives) == 3
    for part in found.negatives:
        if part.log_odds_without is not None and method.name not in ("eoe", "mmood"):
            assert part.log_odds_without >= found.log_odds - 1e-9
    changing = {"csp", "neglabel", "interneg", "negrefine", "adaneg", "synood", "tanl", "fusion", "eoe"}
    changes = method.name in changing or text in ("ants", "mmood")
    if changes:
        assert found.negatives[0].log_odds_without != found.log_odds
