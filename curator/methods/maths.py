"""The arithmetic that methods share: sums of exponentials and odds that neither overflow nor saturate. All float64."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Cosines: TypeAlias = NDArray[Any]  # (n, k), any float type; computed on as float64
Scores: TypeAlias = NDArray[np.float64]  # (n,)

LARGEST_EXPONENT = 700.0  # exp(-700) is still a normal float64


def log_sum_exp(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(sum(exp(logits))) over the last axis; -inf where all are. Overwrites `logits`."""
    largest = logits.max(axis=-1, keepdims=True)
    np.subtract(logits, np.where(np.isfinite(largest), largest, 0.0), out=logits)
    np.exp(logits, out=logits)
    with np.errstate(divide="ignore"):
        total: NDArray[np.float64] = np.log(logits.sum(axis=-1)) + np.where(np.isfinite(largest), largest, 0.0)[..., 0]
    return total


def log_sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(1 / (1 + exp(-x))): the log of the probability that has these log-odds."""
    smaller: NDArray[np.float64] = np.minimum(log_odds, 0.0) - np.log1p(np.exp(-np.abs(log_odds)))
    return smaller


def sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that has these log-odds."""
    probability: NDArray[np.float64] = np.exp(log_sigmoid(log_odds))
    return probability


def logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log-odds of a probability in (0, 1)."""
    log_odds: NDArray[np.float64] = np.log(probability) - np.log1p(-probability)
    return log_odds


def log_odds_of_mix(first: NDArray[np.float64], second: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """logit(weight * sigmoid(first) + (1 - weight) * sigmoid(second)), weight in [0, 1]. Between the two, never NaN.

    By logs of p and of 1 - p, so that nothing is lost where both are near 0 or near 1.
    """
    with np.errstate(divide="ignore"):  # a weight of 0 or 1: log(0) is meant
        shares = np.log(weight), np.log1p(-weight)
    kept, lost = (
        np.logaddexp(shares[0] + log_sigmoid(sign * first), shares[1] + log_sigmoid(sign * second)) for sign in (1, -1)
    )
    odds: NDArray[np.float64] = kept - lost
    return odds


def log_odds_of_mean(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """logit(mean(sigmoid(x))) over the last axis: log(sum p) - log(sum (1 - p)).

    Sums of p and of 1 - p as they stand, while the smallest is a normal number; else each by log-sum-exp. Which of the
    two is settled for each row by itself, so that its result does not depend on the others.
    """
    size = np.abs(log_odds)
    extreme = size.max(axis=-1) > LARGEST_EXPONENT
    smaller = np.exp(-size)
    larger = 1.0 / (1.0 + smaller)
    smaller *= larger
    positive = log_odds > 0
    kept, lost = np.where(positive, larger, smaller).sum(axis=-1), np.where(positive, smaller, larger).sum(axis=-1)
    with np.errstate(divide="ignore"):  # extreme rows, which are computed again
        odds: NDArray[np.float64] = np.log(kept) - np.log(lost)
    if extreme.any():
        rows = log_odds[extreme]
        odds[extreme] = log_sum_exp(log_sigmoid(rows)) - log_sum_exp(log_sigmoid(-rows))
    return odds
