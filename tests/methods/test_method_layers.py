"""Layers of a bank: which labels and vectors they are, the projection's exactness, and a row's independence in each."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import BankError, EncoderError
from curator.methods import BankScorer, ScoreTable, resolve_method
from curator.methods.attribution import attribute, scale_of
from curator.methods.kernels import exact_pass as exact_module
from curator.methods.kernels.cosines import GRID, on_grid
from curator.methods.kernels.exact_pass import ExactPass, LayerCosines, even_statistics
from curator.methods.kernels.projection import Projection, on_weight_grid, projected
from curator.methods.kernels.scoring import ready_pass
from curator.methods.layers import WHOLE, Layer, layer_vectors, negatives_from
from curator.methods.members.tanl import tanl_log_odds
from curator.methods.spec import needs_of
from curator.methods.statistics import Needs
from tests.methods.scored import score_vectors

D = 32
TEXTS = ["synood", "adaneg", "adaneg:mode=sample", "ants", "tanl:step=2", "mmood:mix=scores", "neglabel"]


def projection_parameters(seed, dimension=D, spread=1.0):
    drawn = np.random.default_rng(seed)
    return {
        "projection.weight": (spread * drawn.normal(size=(dimension, dimension))).astype(np.float32),
        "projection.bias": drawn.normal(size=dimension).astype(np.float32),
        "projection.gain": (0.1 * drawn.normal(size=dimension)).astype(np.float32),
        "projection.shift": (0.01 * drawn.normal(size=dimension)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def bank(make_bank, unit):
    """Five ID labels and 300 negatives of all kinds, with everything that methods learn."""
    made = make_bank(5, 300, D)
    sources = ["ants:ens"] * 120 + ["ants:vsnl:tram"] * 40 + ["ants:base:wordnet"] * 20
    sources += ["mmood:near"] * 60 + ["mmood:far"] * 60
    labels = [replace(label, source=source) for label, source in zip(made.labels[5:], sources, strict=True)]
    drawn = np.random.default_rng(5)
    parameters = {
        **projection_parameters(6),
        "proxies": unit(made.vectors + 0.1 * drawn.normal(size=made.vectors.shape)),
        "memory.slots": unit(drawn.normal(size=(7, D))),
        "memory.classes": np.array([4, 9, 9, 9, 100, 4, 304]),
        "tuned.labels": np.array([5, 77, 304]),
        "tuned.vectors": (3 * drawn.normal(size=(3, D))).astype(np.float32),
    }
    return replace(made, labels=(*made.labels[:5], *labels), parameters=parameters)


@pytest.fixture(scope="module")
def vectors(unit):
    return unit(np.random.default_rng(7).normal(size=(90, D)))


def test_negatives_are_chosen_by_how_their_source_begins(bank):
    assert negatives_from(bank, None).tolist() == list(range(300))
    assert negatives_from(bank, ("ants:vsnl",)).tolist() == list(range(120, 160))
    assert negatives_from(bank, ("ants:vsnl", "ants:base")).tolist() == list(range(120, 180))
    assert negatives_from(bank, ("nothing",)).tolist() == []
    chosen = layer_vectors(bank, Layer(negatives=("mmood:far",)))
    np.testing.assert_array_equal(chosen, bank.vectors[[*range(5), *range(245, 305)]])


def test_tuned_rows_take_the_place_of_their_labels_and_are_divided_by_their_norm(bank):
    tuned = layer_vectors(bank, Layer(tuned=True))
    np.testing.assert_allclose(np.linalg.norm(tuned, axis=1), 1, rtol=1e-6)
    rows = bank.parameters["tuned.labels"]
    changed = np.flatnonzero((tuned != bank.vectors).any(axis=1))
    np.testing.assert_array_equal(changed, rows)
    np.testing.assert_allclose(tuned[rows] * np.linalg.norm(bank.parameters["tuned.vectors"], axis=1)[:, None],
                               bank.parameters["tuned.vectors"], rtol=1e-5)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("synood", "tuned.labels", np.array([0, 77, 304])),
        ("synood", "tuned.labels", np.array([5, 77])),
        ("synood", "tuned.vectors", np.ones((3, 7), dtype=np.float32)),
        ("synood", "projection.weight", np.ones((D, 7), dtype=np.float32)),
        ("synood", "projection.gain", np.ones(7, dtype=np.float32)),
        ("adaneg", "proxies", np.ones((3, D), dtype=np.float32)),
        ("adaneg:mode=sample", "memory.classes", np.array([0, 0, 0, 0, 0, 0, 305])),
        ("adaneg:mode=sample", "memory.slots", np.ones((2, D), dtype=np.float32)),
    ],
)
def test_parameters_that_do_not_fit_are_refused_when_the_method_is_named(bank, text, name, value):
    with pytest.raises(BankError, match=f"bank b: (its parameter )?({name}|tuned.vectors|memory.slots)"):
        resolve_method(text, replace(bank, parameters={**bank.parameters, name: value}))


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("synood", "projection.bias"),
        ("synood", "tuned.vectors"),
        ("synood:projection=off", "tuned.labels"),
        ("adaneg", "proxies"),
        ("adaneg:mode=sample", "memory.classes"),
    ],
)
def test_a_missing_parameter_is_named(bank, text, missing):
    kept = {name: values for name, values in bank.parameters.items() if name != missing}
    with pytest.raises(BankError, match=rf"needs the parameters {missing} \(bank b has none"):
        resolve_method(text, replace(bank, parameters=kept))
    without = replace(bank, parameters={})
    assert resolve_method("synood:projection=off,labels=fixed", without).layer == WHOLE


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), spread=st.sampled_from([0.01, 0.5, 1.3, 20.0]))
def test_the_products_of_the_projection_are_exact(unit, seed, spread):
    """Whatever the norm of the rows of W: the grid grows with it."""
    weight = on_weight_grid(projection_parameters(seed, 12, spread)["projection.weight"])
    rows = on_grid(unit(np.random.default_rng(seed + 1).normal(size=(3, 12))))
    found = rows @ weight.T
    for row in range(3):
        for column in range(12):
            exact = sum(Fraction(a) * Fraction(b) for a, b in zip(rows[row], weight[column], strict=True))
            assert Fraction(found[row, column]) == exact


@pytest.mark.parametrize("dimension", [3, 32, 512])
def test_a_projected_row_is_the_same_bit_for_bit_whatever_stands_around_it(make_bank, unit, dimension):
    bank = replace(make_bank(2, 2, dimension), parameters=projection_parameters(1, dimension))
    project = Projection.of(bank)
    vectors = unit(np.random.default_rng(2).normal(size=(70, dimension)))
    whole = project(vectors)
    assert (whole * GRID == np.rint(whole * GRID)).all()
    np.testing.assert_allclose(whole, projected(vectors, *(bank.parameters[f"projection.{name}"] for name in
                               ("weight", "bias", "gain", "shift"))), rtol=0, atol=1e-6)  # fmt: skip
    order = np.random.default_rng(3).permutation(70)
    for rows in (order, slice(0, 1), slice(69, 70), slice(3, 40)):
        np.testing.assert_array_equal(project(vectors[rows]), whole[rows])
    with pytest.raises(EncoderError, match="norm"):
        project(2 * vectors)


@pytest.mark.parametrize("exact_up_to", [0, 256, 10_000])
@pytest.mark.parametrize("text", TEXTS)
def test_a_row_is_the_same_bit_for_bit_in_every_layer(bank, vectors, monkeypatch, text, exact_up_to):
    monkeypatch.setattr(exact_module, "LABELS", exact_up_to)
    method = resolve_method(text, bank)
    scorer = BankScorer(bank, [method])
    whole = scorer.score(vectors)[0]
    for rows in (slice(7, 8), slice(80, 90), np.random.default_rng(1).permutation(90)):
        part = scorer.score(vectors[rows])[0]
        for column in ScoreTable.__slots__:
            np.testing.assert_array_equal(getattr(part, column), getattr(whole, column)[rows])


@pytest.mark.parametrize("tile", [11, 64, 16_384])
@pytest.mark.parametrize("step", [1, 7, 100, 299, 1000])
def test_the_kernel_sums_consecutive_negatives_whatever_its_tiles(bank, vectors, monkeypatch, step, tile):
    """A last smaller chunk, chunks of one, and chunks larger than a tile or than the bank."""
    monkeypatch.setattr("curator.methods.kernels.float_pass.TILE", tile)
    method = resolve_method(f"tanl:step={step}", bank)
    cosines = vectors.astype(np.float64) @ bank.vectors.T.astype(np.float64)
    expected = tanl_log_odds(cosines[:, :5], cosines[:, 5:], scale=30.0, step=step)
    found = score_vectors(vectors, bank, method, precision="full").log_odds
    np.testing.assert_allclose(found, expected, rtol=0, atol=5 * 2e-5 * 30)


def test_methods_that_mean_the_same_layer_share_its_pass(bank):
    texts = ["synood", "synood:scale=50", "synood:labels=fixed", "ants", "ants:variant=ens", "neglabel"]
    scorer = BankScorer(bank, [resolve_method(text, bank) for text in texts])
    expected = {
        WHOLE,
        Layer(projection=True, tuned=True),
        Layer(projection=True),
        Layer(negatives=("ants:ens",)),
        Layer(negatives=("ants:vsnl",)),
    }
    assert set(scorer._passes) == expected == set(needs_of(scorer.methods))


def test_the_nearest_labels_stay_those_of_the_texts_of_the_whole_bank(bank, vectors):
    plain = score_vectors(vectors, bank, resolve_method("neglabel", bank))
    for text in TEXTS:
        found = score_vectors(vectors, bank, resolve_method(text, bank))
        for column in ("id_label", "id_cosine", "negative_label", "negative_cosine"):
            np.testing.assert_array_equal(getattr(found, column), getattr(plain, column))


def test_proxies_made_for_each_image_are_passed_over_exactly_however_many_labels(bank, vectors):
    layer, needs = Layer(memory=5.0), Needs(frozenset({30.0}))
    assert isinstance(ready_pass(bank, layer, needs, "fast", "cpu"), ExactPass)
    cosines = LayerCosines(bank, layer)(vectors)
    plain = LayerCosines(bank, WHOLE)(vectors)
    written = {4, 9, 100, 304}
    changed = np.flatnonzero(~(np.hstack(cosines[:2]) == np.hstack(plain[:2])).all(axis=0))
    assert set(changed.tolist()) == written


def test_blocks_of_an_exact_pass_are_joined_in_order(bank, vectors, monkeypatch):
    whole = ExactPass(bank, WHOLE, resolve_method("neglabel", bank).needs)
    expected = whole.statistics(vectors)
    monkeypatch.setattr(ExactPass, "block_rows", 17)
    found = whole.statistics(vectors)
    for name in ("id_label", "id_cosine", "negative_label", "negative_cosine"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for key, values in expected.masses.items():
        np.testing.assert_array_equal(found.masses[key], values)


@pytest.mark.parametrize("text", ["ants", "synood", "adaneg", "adaneg:mode=sample", "tanl", "neglabel"])
def test_an_image_equally_far_from_all_labels_stands_at_the_cut_of_label_for_label(bank, text):
    method = resolve_method(text, bank)
    even = even_statistics(bank, method)
    assert method.default_min_log_odds(even, "even_odds") == 0.0
    cut = method.default_min_log_odds(even, "label_for_label")
    assert cut == method.log_odds(even)[0] and np.isfinite(cut)
    if text == "ants":  # P / (P + N) with 5 ID labels, and groups of 120 and 40, half and half
        expected = (5 / 125 + 5 / 45) / 2
        assert cut == pytest.approx(np.log(expected / (1 - expected)))


def test_a_label_that_is_left_out_is_left_out_of_its_layers_only(bank, vectors):
    """A negative of one side of ANTS, and one of neither."""
    method = resolve_method("ants", bank)
    image = vectors[:1]
    layers = {layer: LayerCosines(bank, layer)(image) for layer in method.layer_needs}
    ids, negatives, _ = LayerCosines(bank, WHOLE)(image)
    found = attribute(method, ids[0], negatives[0], scale=30.0, k=300, layers=layers)
    for part in found.negatives:
        source = bank.labels[part.label].source
        counted = source.startswith(("ants:ens", "ants:vsnl"))
        assert part.log_odds_without == found.log_odds or counted
        if counted and part.share > 0.05:
            assert part.log_odds_without > found.log_odds
    assert scale_of(method, 7.0) == 30.0


def test_ants_falls_back_to_the_side_that_is_there(bank, make_bank, vectors):
    without = [label for label in bank.labels if not label.source.startswith("ants:vsnl")]
    rows = [n for n, label in enumerate(bank.labels) if label in without]
    less = replace(bank, labels=tuple(without), vectors=bank.vectors[rows])
    method = resolve_method("ants", less)
    assert method.variant == "ens" and method == resolve_method("ants:variant=ens", less)
    with pytest.raises(BankError, match="ants:vsnl, bank b has none"):
        resolve_method("ants:variant=vsnl", less)
    with pytest.raises(BankError, match="ants:ens or ants:vsnl, bank b has none"):
        resolve_method("ants", make_bank(3, 4))


def test_ants_takes_weight_and_base_from_what_the_bank_learnt(bank):
    learned = replace(bank, spec={**bank.spec, "learned": {"ens_weight": 0.25, "initialised": True}})
    method = resolve_method("ants", learned)
    assert method.weight == 0.25 and method.base == "shared"
    assert method.layer("vsnl").negatives == ("ants:vsnl", "ants:base")
    assert resolve_method("ants:weight=0.9,base=none", learned).weight == 0.9
    assert resolve_method("ants", bank).weight == 0.5


@pytest.mark.parametrize(
    ("text", "source"), [("mmood", "mmood:"), ("mmood:mix=scores", "mmood:near"), ("mmood:mix=scores", "mmood:far")]
)
def test_mmood_needs_labels_of_its_branches(bank, text, source):
    rows = [n for n, label in enumerate(bank.labels) if not label.source.startswith(source)]
    less = replace(bank, labels=tuple(bank.labels[n] for n in rows), vectors=bank.vectors[rows])
    with pytest.raises(BankError, match=f"source begins {source}, bank b has none"):
        resolve_method(text, less)
