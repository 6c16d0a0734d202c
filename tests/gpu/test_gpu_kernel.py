"""A GPU gives the scores that a processor gives: its integers are the same, only its sums of exponentials differ."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from curator.methods import BankScorer, ScoreTable, resolve_method
from curator.types import Bank, Label

pytestmark = pytest.mark.gpu

TEXTS = ["mcm", "energy", "neglabel", "neglabel:group_count=7,remainder=join", "eoe", "eoe:variant=energy"]
TOLERANCE = 2e-4  # of log-odds at scale 100: sums of thousands of float32 exponentials, 1e-6 each, and their logs


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def bank():
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")
    labels = tuple(Label(f"label {n}", "id" if n < 100 else "negative", "test") for n in range(20_003))
    vectors = unit(np.random.default_rng(1).normal(size=(20_003, 512)))
    return Bank("b", "0" * 32, "test@1", 100.0, labels, vectors, {})


@pytest.fixture(scope="module")
def vectors():
    return unit(np.random.default_rng(2).normal(size=(9_000, 512)))


@pytest.mark.parametrize("precision", ["fast", "full"])
def test_both_devices_agree(bank, vectors, precision):
    methods = [resolve_method(text, bank) for text in TEXTS]
    on_gpu = BankScorer(bank, methods, precision=precision, device="cuda").score(vectors)
    chosen = np.r_[0:40, 8_180:8_220, 8_990:9_000]
    on_cpu = BankScorer(bank, methods, precision=precision).score(vectors[chosen])
    for method, gpu, cpu in zip(methods, on_gpu, on_cpu, strict=True):
        np.testing.assert_allclose(gpu.log_odds[chosen], cpu.log_odds, rtol=0, atol=TOLERANCE, err_msg=method.method_id)
        np.testing.assert_array_equal(gpu.id_label[chosen], cpu.id_label)
        np.testing.assert_array_equal(gpu.negative_label[chosen], cpu.negative_label)
        np.testing.assert_allclose(gpu.id_cosine[chosen], cpu.id_cosine, rtol=0, atol=2e-7)


def test_a_row_is_the_same_bit_for_bit_on_a_gpu_whatever_stands_around_it(bank, vectors):
    methods = [resolve_method(text, bank) for text in TEXTS]
    scorer = BankScorer(bank, methods, device="cuda")
    order = np.random.default_rng(3).permutation(len(vectors))
    for method, whole, moved in zip(methods, scorer.score(vectors), scorer.score(vectors[order]), strict=True):
        for name in ScoreTable.__slots__:
            np.testing.assert_array_equal(getattr(moved, name), getattr(whole, name)[order], err_msg=method.method_id)
