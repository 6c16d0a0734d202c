"""Methods that are fitted on reference images: conformance values (`newer-methods.md`, D and E), and that fits are the
same to the bit whatever the threads, the blocks and the other images."""

from __future__ import annotations

import numpy as np
import pytest

from curator.errors import UsageError
from curator.methods import BankScorer, resolve_method, score
from curator.methods.kernels import exact_product
from curator.methods.kernels.cosines import on_grid
from curator.methods.kernels.exact_product import ExactMatrix, second_moment
from curator.methods.kernels.principal import published_dimensions
from curator.methods.kernels.spectrum import inverse_factor, principal_axes
from curator.methods.measures import FOLDS, KnownImages, Measuring

V = [(1, 0.1, 0.4), (0.2, 0.3, 1), (0.9, 0.2, 0.3), (0.05, 0.25, 1), (0.3, 1, 0.2), (0.1, 0.8, 0.9)]
TEXTS = [(0.9, -0.3, -0.4), (-0.3, 0.9, -0.5), (0.5, 0.5, -0.6)]
KNOWN = [(1, 0.2, 0.3), (0.9, 0.1, 0.2), (0.8, 0.1, 0.4), (0.2, 0.9, 0.3), (0.1, 1, 0.2)]
KNOWN += [(0.7, 0.8, 0.3), (0.8, 0.6, 0.1), (0.6, 0.7, 0.2)]
CLASSES = np.array([0, 0, 0, 1, 1, 2, 2, 2])


def divided(rows):
    found = np.array(rows, dtype=float)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


IMAGES = {"vectors": divided(V), "reference_vectors": divided(KNOWN)}
COSINES, KNOWN_COSINES = divided(V) @ divided(TEXTS).T, divided(KNOWN) @ divided(TEXTS).T


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [-2.754744, -283.382654, -5.264029, -472.268250, -11.759186, -138.574588]),
        ({"variant": "relative"}, [-0.191109, -224.598295, -4.166624, -403.996851, -10.047464, -105.286331]),
        ({"shrinkage": 0.1}, [-2.073092, -219.354362, -3.443247]),
        ({"shrinkage": 0.1, "variant": "relative"}, [0.254498, -181.157629, -2.322297]),
    ],
)
def test_d1_mahalanobis_distances(parameters, expected):
    found = score("mahalanobis", COSINES, **IMAGES, classes=CLASSES, **parameters)
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=0, atol=1e-6)


def test_e1_residual_and_virtual_logit():
    found = score("residual", COSINES, **IMAGES, dimensions=1)
    expected = [-0.531591, -0.817405, -0.431832, -0.889987, -0.551729, -0.739304]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    both = {**IMAGES, "reference_cosines": KNOWN_COSINES, "scale": 10, "dimensions": 1}
    expected = [-1.722948, -14.304171, -0.191564, -15.929362, -1.859315, -9.391450]
    np.testing.assert_allclose(score("vim", COSINES, **both), expected, rtol=0, atol=1e-6)
    about_the_mean = score("vim", COSINES, **both, origin="mean")[:3]
    np.testing.assert_allclose(about_the_mean, [-0.281712, -45.954614, 4.568401], rtol=0, atol=1e-6)


def test_the_principal_space_has_the_published_dimensions():
    assert [published_dimensions(size) for size in (2048, 1024, 768, 512, 256)] == [1000, 512, 512, 256, 128]


def drawn(rows=400, size=40, seed=1):
    """Images around four directions, unevenly spread, and the direction of each."""
    numbers = np.random.default_rng(seed)
    classes = numbers.integers(4, size=rows)
    middles = np.random.default_rng(0).normal(size=(4, size))
    spread = 0.6 * np.geomspace(1, 0.05, size)
    return divided(middles[classes] + spread * numbers.normal(size=(rows, size))).astype(np.float32), classes


def test_factors_are_those_of_lapack():
    vectors, _ = drawn()
    matrix = np.cov(vectors.T, bias=True) + 1e-3 * np.eye(40)
    inverse = inverse_factor(matrix)
    np.testing.assert_allclose(inverse.T @ inverse, np.linalg.inv(matrix), rtol=1e-9)
    assert inverse_factor(np.diag([1.0, 0.0])) is None
    axes, (_, expected) = principal_axes(matrix, 12), np.linalg.eigh(matrix)
    np.testing.assert_allclose(axes @ axes.T, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(np.abs(np.sum(axes * expected[:, ::-1].T[:12], axis=1)), 1, atol=1e-10)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_smallest_matrices_have_axes_too(size):
    found = principal_axes(np.diag(np.arange(1.0, size + 1)), size)
    np.testing.assert_allclose(np.abs(found), np.eye(size)[::-1], atol=1e-15)


def test_moments_and_products_are_exact(monkeypatch):
    """As sums of integers, which Python adds without rounding; in whatever blocks."""
    rows = on_grid(drawn(60, 5)[0])
    integers = np.rint(rows * 2.0**25).astype(int).astype(object)
    expected = np.array((integers.T @ integers) / 2**50, dtype=float)
    np.testing.assert_allclose(second_moment(rows), expected, rtol=1e-16)
    whole = second_moment(rows)
    monkeypatch.setattr(exact_product, "BLOCK_ROWS", 7)
    assert (second_moment(rows) == whole).all() and (second_moment(rows[::-1]) == whole).all()
    matrix = np.random.default_rng(2).normal(size=(30, 5)) * 1e3
    product = ExactMatrix(matrix)
    np.testing.assert_allclose(product(rows), rows @ matrix.T, rtol=1e-12, atol=1e-10)
    assert (product(rows)[[3, 50]] == product(rows[[3, 50]])).all()


@pytest.mark.parametrize("name", ["mahalanobis", "residual", "vim"])
def test_an_image_of_the_reference_is_measured_by_a_fit_on_the_others(make_bank, name):
    """So a calibration on them keeps as many new ID images as it says; a fit on all would find them too near."""
    vectors, classes = drawn(120, 40)
    bank = make_bank(4, 20, 40)
    known = KnownImages(vectors, classes)
    method = resolve_method(name, bank).fitted(bank, known)
    scorer = BankScorer(bank, [method], reference=known)
    within = scorer.score(vectors)[0].log_odds
    crossed = scorer.score(vectors, folds=known.folds)[0].log_odds
    fresh = scorer.score(drawn(400, 40, seed=7)[0])[0].log_odds
    kept = [(fresh >= np.quantile(scores, 0.1)).mean() for scores in (within, crossed)]
    assert kept[0] < 0.8 < kept[1]
    alone = BankScorer(bank, [method], reference=known.without(2)).score(vectors[2::FOLDS])[0].log_odds
    np.testing.assert_array_equal(crossed[2::FOLDS], alone)


def test_classes_without_images_and_images_without_a_class_are_left_out(make_bank):
    vectors, classes = drawn(300, 20)
    bank = make_bank(9, 20, 20)
    method = resolve_method("mahalanobis", bank)
    some = KnownImages(vectors, np.where(classes == 2, -1, classes))
    kept = KnownImages(vectors[classes != 2], 2 * classes[classes != 2])  # whatever the classes are called
    found = [Measuring(method.needs.measures, bank, known)(vectors, None)[method.measure] for known in (some, kept)]
    np.testing.assert_array_equal(*found)


def test_too_few_images_are_refused_in_one_line(make_bank):
    vectors, classes = drawn(50, 40)
    bank, known = make_bank(4, 20, 40), KnownImages(vectors, classes)
    for text in ("mahalanobis", "residual:dimensions=39", "vim:dimensions=40"):
        with pytest.raises(UsageError, match=r"too few|leaves nothing") as caught:
            resolve_method(text, bank).fitted(bank, KnownImages(vectors[:42], classes[:42]))
        assert "\n" not in str(caught.value) and caught.value.hint
    shrunk = resolve_method("mahalanobis:shrinkage=0.1", bank).fitted(bank, known)
    assert np.isfinite(BankScorer(bank, [shrunk], reference=known).score(vectors)[0].log_odds).all()
    with pytest.raises(UsageError, match="there are none"):
        BankScorer(bank, [shrunk])
    flat = vectors.copy()
    flat[:, 20:] = 0
    with pytest.raises(UsageError, match="no inverse"):
        BankScorer(bank, [resolve_method("mahalanobis", bank)], reference=KnownImages(divided(flat), classes))
