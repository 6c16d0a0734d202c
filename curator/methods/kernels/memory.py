"""AdaNeg's sample-adaptive proxies: for every image, each label is a mean of its stored images, weighed by likeness.

    p_k(v) = norm(sum_l w_l F[k, l]),  w_l = exp(-beta (1 - v . F[k, l])),  F[k, 0] the label's text

The published code builds all p_k(v), images x labels x d numbers. Their cosines need none of that:
v . p_k(v) = sum_l w_l s_l / sqrt(w^T G_k w), with s_l = v . F[k, l] and G_k = F_k F_k^T. A label that no image was
stored for is its text. Sums over the few slots of a label go slot by slot, so a row does not depend on the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.layers import MEMORY_CLASSES, MEMORY_SLOTS, parameter
from curator.types import Bank, Vectors

SHORTEST = 1e-9  # of a sum whose largest weight is 1


class SampleProxies:
    """Stored images made ready once.

    texts: (K, d), of unit norm; slots: (S, d), the stored images; classes: (S,), the label that each belongs to.
    """

    def __init__(self, texts: Vectors, slots: Vectors, classes: NDArray[np.integer[Any]]) -> None:
        self.written, place = np.unique(classes, return_inverse=True)
        counts = np.bincount(place, minlength=len(self.written))
        # (slots, written labels, d): zero where a label has fewer images.
        self._slots = np.zeros((1 + counts.max(initial=0), len(self.written), texts.shape[1]))
        order = np.argsort(place, kind="stable")
        number = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        if len(self.written):
            self._slots[0] = on_grid(texts[self.written])
            self._slots[1 + number, place[order]] = on_grid(slots[order])
        self._there = np.arange(len(self._slots))[:, None] <= counts  # (slots, written labels)
        self._products = np.einsum("lkd,mkd->lmk", self._slots, self._slots)  # exact: on the grid

    @classmethod
    def of(cls, bank: Bank) -> SampleProxies:
        """Raises BankError where the bank's memory is missing or does not fit."""
        classes = parameter(bank, MEMORY_CLASSES, (None,))
        slots = parameter(bank, MEMORY_SLOTS, (len(classes), bank.vectors.shape[1]))
        if len(classes) and not (classes.min() >= 0 and classes.max() < len(bank.labels)):
            raise BankError(f"bank {bank.name}: {MEMORY_CLASSES} names labels that it does not have")
        return cls(bank.vectors, slots, classes)

    def cosines(self, rows: NDArray[np.float64], texts: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
        """v . p_k(v), (n, K). rows: (n, d) from `on_grid`; texts: (n, K), their cosines with the texts."""
        found = texts.copy()
        if not len(self.written):
            return found
        likeness = [exact_cosines(rows, slot) for slot in self._slots]
        # Only the ratios of a label's weights matter: by the largest, so that they do not all vanish at a large beta.
        largest = np.max(
            [np.where(there, near, -1.0) for near, there in zip(likeness, self._there, strict=True)], axis=0
        )
        weights = [np.exp(beta * (near - largest)) * there for near, there in zip(likeness, self._there, strict=True)]
        total = sum(
            (weight * near for weight, near in zip(weights, likeness, strict=True)), np.zeros(likeness[0].shape)
        )
        square = np.zeros_like(total)
        for first, weight in enumerate(weights):
            inner = sum(
                (self._products[first, second] * other for second, other in enumerate(weights)), np.zeros(total.shape)
            )
            square += weight * inner
        static = found[:, self.written]
        length = np.sqrt(np.maximum(square, 0.0))
        # Stored images that cancel each other have no direction: such a label stays its text.
        defined = length > SHORTEST
        found[:, self.written] = np.where(defined, np.clip(total / np.where(defined, length, 1.0), -1.0, 1.0), static)
        return found
