"""The fused pass against the pure forms, its stated precision, and that a row's bits depend on nothing but the row."""

from __future__ import annotations

from contextlib import contextmanager
from functools import reduce
from operator import or_

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import EncoderError, UsageError
from curator.methods import BankScorer, ScoreTable, resolve_method
from curator.methods.grouping import Grouping
from curator.methods.kernels import float_pass as kernel_module
from curator.methods.kernels import integers as integer_module
from curator.methods.kernels.float_pass import Kernel
from curator.methods.kernels.integers import PARTS, to_integers
from curator.methods.statistics import Needs, exact_statistics

TEXTS = [
    "mcm",
    "max_logit",
    "energy",
    "energy:temperature=1",
    "neglabel",
    "neglabel:group_count=1",
    "neglabel:group_count=7,remainder=join,seed=3",
    "neglabel:group_size=50,temperature=2",
    "eoe",
    "eoe:variant=energy",
    "eoe:variant=msp,temperature=0.01",
]
FAST, FULL = 3e-3, 2e-5  # of a log-odds divided by the scale, from 64 dimensions on; see the test that measures them


@contextmanager
def patched(**constants):
    """Smaller tiles and blocks, so that few labels and images make many of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in constants.items():
            patch.setattr(kernel_module, name, value)
        yield


def methods_of(bank, texts=TEXTS):
    return [resolve_method(text, bank) for text in texts]


def exact(vectors, bank, *methods):
    cosines = vectors.astype(np.float64) @ bank.vectors.T.astype(np.float64)
    needs = reduce(or_, (method.needs for method in methods))
    return exact_statistics(cosines[:, : bank.id_count], cosines[:, bank.id_count :], needs)


def scale_of(method):
    """How much of a change of all cosines can reach the log-odds."""
    if method.name == "energy" or getattr(method, "variant", "") == "energy":
        return 1.0
    return 1 / method.temperature if method.name == "eoe" else method.scale / getattr(method, "temperature", 1.0)


def rows_of(table, rows):
    return ScoreTable(*(getattr(table, name)[rows] for name in ScoreTable.__slots__))


def same(left, right, message=""):
    for name in ScoreTable.__slots__:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=f"{message} {name}")


def worst_cosine_error(images, labels, *, fine):
    """From the steps alone: each entry errs by half a step; `fine` leaves out the product of the low parts."""
    rows, columns = (to_integers(torch.from_numpy(vectors), fine=fine) for vectors in (images, labels))
    width, part = rows.high.shape[1], PARTS if fine else 1
    image, label = float(rows.step.max()), float(columns.step.max())
    return width**0.5 / 2 * (image + label) / part + width / 4 * image * label + 2e-6


@settings(max_examples=25, deadline=None)
@given(
    dimension=st.sampled_from([3, 64, 100]) | st.integers(2, 130),
    ids=st.integers(2, 70),
    negatives=st.integers(1, 300),
    scale=st.sampled_from([1.0, 30.0, 100.0]),
    precision=st.sampled_from(["fast", "full"]),
    seed=st.integers(0, 2**32 - 1),
    tile=st.sampled_from([11, 64, 16_384]),
    rows=st.sampled_from([(32, 4), (64, 32), (512, 64)]),
)
def test_log_odds_lie_within_what_the_steps_allow(
    make_bank, unit, dimension, ids, negatives, scale, precision, seed, tile, rows
):
    """A log-sum-exp moves by no more than its largest term, a log-odds by two of them; where a label as near within
    the error is taken for the nearest, by five."""
    drawn = np.random.default_rng(seed)
    bank = make_bank(ids, negatives, scale=scale, vectors=drawn.normal(size=(ids + negatives, dimension)))
    vectors = unit(drawn.normal(size=(37, dimension)))
    error = worst_cosine_error(vectors, bank.vectors, fine=precision == "full")
    methods = methods_of(
        bank, ["mcm", "max_logit", "energy", "neglabel", "neglabel:group_size=50", "eoe:variant=energy"]
    )
    with patched(TILE=tile, BLOCK_ROWS={"cpu": rows[0]}, SLAB_CELLS={"cpu": 1}, SMALLEST_SLAB=rows[1]):
        tables = BankScorer(bank, methods, precision=precision).score(vectors)
    nearest = exact(vectors, bank, *methods)
    for method, table in zip(methods, tables, strict=True):
        expected = method.log_odds(nearest)
        allowed = 5 * error * scale_of(method) + 1e-6
        assert np.isfinite(table.log_odds).all()
        np.testing.assert_allclose(table.log_odds, expected, rtol=0, atol=allowed, err_msg=method.method_id)
        assert (nearest.id_cosine - table.id_cosine <= 2 * error + 1e-6).all()
        assert (nearest.negative_cosine - table.negative_cosine <= 2 * error + 1e-6).all()


@pytest.mark.parametrize("dimension", [64, 512, pytest.param(768, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["random", "clip_like"])
def test_the_precision_is_the_stated_one(make_bank, unit, clip_like, kind, dimension):
    """Measured, largest of 512 images and all methods, 40 ID labels, 1,300 negatives, scales 1 to 100: fast 2e-3 at 64
    dimensions, 6e-4 at 512; full 1.2e-5 and 6e-6. The errors of the entries are independent after the rotation, so
    they fall with the square root of the dimension. The exact cosines of the nearest labels keep the top exact."""
    draw = (
        clip_like if kind == "clip_like" else lambda n, d, seed: unit(np.random.default_rng(seed).normal(size=(n, d)))
    )
    labels, vectors = draw(1_340, dimension, 1), draw(128, dimension, 2)
    share = (64 / dimension) ** 0.5
    for scale in (1.0, 100.0):
        bank = make_bank(40, 1_300, scale=scale, vectors=labels)
        methods = methods_of(bank)
        expected = exact(vectors, bank, *methods)
        for precision, bound in (("fast", FAST), ("full", FULL)):
            with patched(BLOCK_ROWS={"cpu": 128}):
                tables = BankScorer(bank, methods, precision=precision).score(vectors)
            for method, table in zip(methods, tables, strict=True):
                error = np.abs(table.log_odds - method.log_odds(expected)).max() / scale_of(method)
                assert error <= bound * max(share, 0.4), (precision, scale, method.method_id)


def test_cosines_err_by_the_stated_root_mean_square(unit):
    """6e-4 in 8 bits and 6e-6 in 15, at 512 dimensions, of which the products left out are the larger part."""
    vectors = unit(np.random.default_rng(3).normal(size=(400, 512)))
    true = vectors[:200].astype(np.float64) @ vectors[200:].T.astype(np.float64)
    for fine, stated in ((False, 6e-4), (True, 6e-6)):
        error = approximate(vectors[:200], vectors[200:], fine=fine) - true
        assert stated / 2 < error.std() < stated * 1.1
        assert abs(error.mean()) < stated / 10


def approximate(images, labels, *, fine):
    """Cosines as the kernel takes them from integers."""
    rows, columns = (to_integers(torch.from_numpy(vectors), fine=fine) for vectors in (images, labels))
    high, other = rows.high.double(), columns.high.double()
    products = high @ other.T
    if fine:
        products += (high @ columns.low.double().T + rows.low.double() @ other.T) / PARTS
    return (products * rows.step.double()[:, None] * columns.step.double()).numpy()


@pytest.mark.parametrize("dimension", [512, 768])
def test_the_rotation_takes_the_harm_out_of_dominating_dimensions(clip_like, monkeypatch, dimension):
    images, labels = clip_like(200, dimension, 1), clip_like(200, dimension, 2)
    true = images.astype(np.float64) @ labels.T.astype(np.float64)
    for fine in (False, True):
        rotated = np.abs(approximate(images, labels, fine=fine) - true).max()
        with monkeypatch.context() as patch:
            patch.setattr(integer_module, "rotate", lambda vectors: vectors.clone())
            plain = np.abs(approximate(images, labels, fine=fine) - true).max()
        assert plain > 2.5 * rotated


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_the_rotation_keeps_cosines_and_norms(dimension, seed):
    vectors = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, dimension)).astype(np.float32))
    rotated = integer_module.rotate(vectors)
    assert rotated.shape == (5, -(-dimension // 64) * 64)
    torch.testing.assert_close(rotated @ rotated.T, vectors @ vectors.T, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("precision", ["fast", "full"])
@pytest.mark.parametrize("dimension", [3, 100, pytest.param(512, marks=pytest.mark.slow)])
def test_a_row_is_the_same_bit_for_bit_whatever_stands_around_it(make_bank, unit, dimension, precision):
    """Alone, elsewhere in its block, in another block, with other methods."""
    bank = make_bank(40, 1_337, dimension)
    vectors = unit(np.random.default_rng(9).normal(size=(300, dimension)))
    methods = methods_of(bank)
    order = np.random.default_rng(10).permutation(300)
    with patched(BLOCK_ROWS={"cpu": 128}):
        scorer = BankScorer(bank, methods, precision=precision)
        whole, moved, single = (scorer.score(vectors[rows]) for rows in (slice(None), order, slice(211, 212)))
        for number, method in enumerate(methods):
            same(moved[number], rows_of(whole[number], order), method.method_id)
            same(single[number], rows_of(whole[number], slice(211, 212)), method.method_id)
            alone = BankScorer(bank, [method], precision=precision).score(vectors)[0]
            same(alone, whole[number], f"alone {method.method_id}")


def test_a_row_is_the_same_bit_for_bit_with_any_number_of_threads(make_bank, unit):
    """Three divide a slab's entries at no round number, where vectorised loops end in scalar ones."""
    bank = make_bank(40, 1_337)
    vectors = unit(np.random.default_rng(9).normal(size=(64, 64)))
    order = np.random.default_rng(10).permutation(64)
    threads = torch.get_num_threads()
    tables = []
    with patched(BLOCK_ROWS={"cpu": 64}):
        scorer = BankScorer(bank, methods_of(bank))
        try:
            for number in (1, 2, 3):
                torch.set_num_threads(number)
                tables.append((scorer.score(vectors), scorer.score(vectors[order])))
        finally:
            torch.set_num_threads(threads)
    for whole, moved in tables:
        for number, first in enumerate(tables[0][0]):
            same(whole[number], first)
            same(moved[number], rows_of(first, order))


def test_the_nearest_negative_does_not_depend_on_the_grouping_of_many_tiles(make_bank, unit):
    """Labels so alike that 8 bits do not tell them apart: what is found must still be the same for every grouping."""
    directions = np.random.default_rng(1).normal(size=16)
    bank = make_bank(3, 500, vectors=directions + 0.02 * np.random.default_rng(2).normal(size=(503, 16)))
    vectors = unit(directions + 0.5 * np.random.default_rng(3).normal(size=(400, 16)))
    texts = ["mcm", "neglabel:group_count=1", "neglabel:group_count=9", "neglabel:group_size=120,remainder=join"]
    with patched(TILE=100):
        tables = [BankScorer(bank, methods_of(bank, [text])).score(vectors)[0] for text in texts]
    for table in tables[1:]:
        np.testing.assert_array_equal(table.negative_label, tables[0].negative_label)
        np.testing.assert_array_equal(table.negative_cosine, tables[0].negative_cosine)
    assert (tables[0].negative_label != 3 + exact(vectors, bank, methods_of(bank, ["eoe"])[0]).negative_label).any()


@pytest.mark.parametrize(
    "constants",
    [{"TILE": 100}, {"TILE": 40}, {"BLOCK_ROWS": {"cpu": 32}, "SLAB_CELLS": {"cpu": 1}, "SMALLEST_SLAB": 16}],
)
def test_smaller_tiles_and_blocks_change_no_more_than_the_precision(make_bank, unit, constants):
    bank = make_bank(40, 1_337, 64, scale=30.0)
    vectors = unit(np.random.default_rng(4).normal(size=(100, 64)))
    methods = methods_of(bank)
    whole = BankScorer(bank, methods, precision="full").score(vectors)
    with patched(**constants):
        parts = BankScorer(bank, methods, precision="full").score(vectors)
    for method, left, right in zip(methods, whole, parts, strict=True):
        np.testing.assert_allclose(left.log_odds, right.log_odds, rtol=0, atol=FULL * scale_of(method))
        np.testing.assert_array_equal(left.id_label, right.id_label)


@pytest.mark.parametrize("precision", ["fast", "full"])
@pytest.mark.parametrize("dimension", [100, 1100])
def test_without_integer_units_the_bits_are_the_same(make_bank, unit, monkeypatch, precision, dimension):
    """Above 1040 dimensions the fallback multiplies in float64."""
    bank = make_bank(12, 301, dimension)
    vectors = unit(np.random.default_rng(5).normal(size=(70, dimension)))
    methods = methods_of(bank)
    if not integer_module.has_integer_units("cpu"):
        pytest.skip("this processor has none: the fallback is all there is")
    with_units = BankScorer(bank, methods, precision=precision).score(vectors)
    monkeypatch.setattr(integer_module, "has_integer_units", lambda device: False)
    for left, right in zip(with_units, BankScorer(bank, methods, precision=precision).score(vectors), strict=True):
        same(left, right)


@pytest.mark.parametrize("width", [1_024, 1_088])
def test_products_of_integers_are_exact_at_their_largest(monkeypatch, width):
    """On either side of 1040, where float32 sums stop being exact."""
    rows = torch.full((20, width), 127, dtype=torch.int8)
    rows[:, 0] = torch.arange(100, 120)
    columns = torch.full((24, width), -127, dtype=torch.int8)
    columns[1::2] = 127
    expected = rows.long() @ columns.long().T
    for units in (integer_module.has_integer_units("cpu"), False):
        monkeypatch.setattr(integer_module, "has_integer_units", lambda device, units=units: units)
        buffer = integer_module.integer_buffer(480, torch.device("cpu"))
        assert torch.equal(integer_module.multiply(rows, columns, buffer).long(), expected)


@pytest.mark.parametrize("precision", ["fast", "full"])
def test_of_two_equal_labels_the_first_is_named_and_both_count(make_bank, unit, precision):
    drawn = np.random.default_rng(6).normal(size=(400, 32))
    drawn[[17, 333]] = drawn[[5, 60]]  # an ID label and a negative once more, in other chunks and groups
    bank = make_bank(40, 360, vectors=drawn)
    images = unit(drawn[[5, 60]] + 0.01)
    methods = methods_of(bank, ["mcm", "neglabel:group_count=4", "eoe"])
    for method, table in zip(methods, BankScorer(bank, methods, precision=precision).score(images), strict=True):
        assert table.id_label[0] == 5 and table.negative_label[1] == 60
        np.testing.assert_allclose(table.log_odds, method.log_odds(exact(images, bank, method)), rtol=0, atol=0.2)
    mcm = BankScorer(bank, methods_of(bank, ["mcm:scale=1000"]), precision=precision).score(images[:1])[0]
    assert mcm.log_odds[0] == pytest.approx(0.0, abs=1e-6)  # two halves


def test_order_survives_where_the_score_has_rounded_to_one(make_bank, unit):
    """Images on the way from an ID label to a negative, at scale 1000: all but the last score 1."""
    steps = np.linspace(0, 0.4, 15)
    bank = make_bank(2, 2, scale=1000.0, vectors=np.eye(4, 64))
    images = unit([np.cos(step) * np.eye(64)[0] + np.sin(step) * np.eye(64)[2] for step in steps])
    for text in ("neglabel:group_count=1", "neglabel:group_count=2", "mcm", "eoe:temperature=0.001"):
        table = BankScorer(bank, methods_of(bank, [text])).score(images)[0]
        assert (np.diff(table.log_odds) < 0).all(), text
        assert (table.id_score == 1.0).sum() >= 10


def test_labels_and_images_that_are_no_unit_vectors_are_refused(make_bank, unit):
    labels = unit(np.random.default_rng(7).normal(size=(9, 16)))
    for fault, message in ((np.nan, "has norm nan"), (3.0, "has norm"), (0.0, "has norm 0")):
        wrong = labels.copy()
        wrong[4] = fault
        with pytest.raises(EncoderError, match=f"label vector 4 of 9 {message}"):
            Kernel(wrong, 3, Needs())
        with pytest.raises(EncoderError, match=f"^vector 4 of 9 {message}"):
            Kernel(labels, 3, Needs()).statistics(wrong)
    with pytest.raises(UsageError, match="needs negative labels"):
        Kernel(labels, 9, Needs(masses=frozenset({(1.0, Grouping())})))


@pytest.mark.parametrize(("ids", "negatives"), [(1, 0), (1, 1), (2, 0), (1, 64), (65, 2), (129, 127)])
def test_any_number_of_labels_will_do(make_bank, unit, ids, negatives):
    vectors = np.random.default_rng(8).normal(size=(ids + negatives, 24))
    bank = make_bank(ids, negatives, vectors=vectors)
    images = unit(np.random.default_rng(9).normal(size=(11, 24)))
    texts = ["max_logit", "energy", *(["neglabel", "eoe"] if negatives else []), *(["mcm"] if ids > 1 else [])]
    methods = methods_of(bank, texts)
    for method, table in zip(methods, BankScorer(bank, methods, precision="full").score(images), strict=True):
        expected = method.log_odds(exact(images, bank, method))
        np.testing.assert_allclose(table.log_odds, expected, rtol=0, atol=2 * FULL * 30)
        assert (table.negative_label == -1).all() if not negatives else (table.negative_label >= ids).all()


def test_memory_does_not_grow_with_the_number_of_images(make_bank, unit, monkeypatch):
    """Every product and every sum is at most one block by one tile."""
    bank = make_bank(40, 500, 64)
    sizes = []
    original = kernel_module.multiply

    def recorded(rows, columns, buffer):
        sizes.append((len(rows), len(columns)))
        return original(rows, columns, buffer)

    monkeypatch.setattr(kernel_module, "multiply", recorded)
    with patched(TILE=128, BLOCK_ROWS={"cpu": 32}):
        BankScorer(bank, methods_of(bank)).score(unit(np.random.default_rng(1).normal(size=(100, 64))))
    assert {rows for rows, _ in sizes} == {32}
    assert max(columns for _, columns in sizes) == 128
