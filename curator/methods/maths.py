"""The arithmetic that methods share: sums of exponentials and odds that neither overflow nor saturate. All float64."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Cosines: TypeAlias = NDArray[Any]  # (n, k), any float type; computed on as float64
Scores: TypeAlias = NDArray[np.float64]  # (n,)


def scaled_logits(cosines: Cosines, *, scale: float, temperature: float) -> NDArray[np.float64]:
    """z = scale * cosine / temperature, in a fresh row-major array that the caller may overwrite."""
    return np.multiply(cosines, scale / temperature, dtype=np.float64, order="C")


def log_sum_exp(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(sum(exp(logits))) over the last axis, which must not be empty nor all -inf. Overwrites `logits`."""
    largest = logits.max(axis=-1, keepdims=True)
    np.subtract(logits, largest, out=logits)
    np.exp(logits, out=logits)
    total: NDArray[np.float64] = np.log(logits.sum(axis=-1)) + largest[..., 0]
    return total


def log_sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(1 / (1 + exp(-x))): the log of the probability that has these log-odds."""
    smaller: NDArray[np.float64] = np.minimum(log_odds, 0.0) - np.log1p(np.exp(-np.abs(log_odds)))
    return smaller


def sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that has these log-odds."""
    probability: NDArray[np.float64] = np.exp(log_sigmoid(log_odds))
    return probability


def log_odds_of_mean(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """logit(mean(sigmoid(x))) over the last axis: log(mean p) - log(mean (1 - p)), each by log-sum-exp."""
    return log_sum_exp(log_sigmoid(log_odds)) - log_sum_exp(log_sigmoid(-log_odds))
