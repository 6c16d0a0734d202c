"""AdaNeg's memory: for each label its text and the images that were surest to show it, as many as there are slots.

Of L slots the first is the text's, so L - 1 hold images (the published code has one slot more, which stays empty). When
these are full, an image replaces the least sure of them if it is surer itself. Sureness is low entropy over the labels
of the image's own side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.cosines import on_grid
from curator.methods.maths import log_sum_exp
from curator.types import Vectors

ENTROPY_FLOOR = 1e-8  # inside the logarithm, as published


class SlotImage(NamedTuple):
    """An image in a slot: its entropy and its vector on the grid, (d,)."""

    entropy: float
    vector: NDArray[np.float64]


class Memory:
    """texts: (K, d) unit vectors; `slots`: L >= 2."""

    def __init__(self, texts: Vectors, slots: int) -> None:
        self.texts, self._images = texts, slots - 1
        self._sums = on_grid(texts)  # of the text and its images
        self._proxies = unit(self._sums)
        self.stored: dict[int, list[SlotImage]] = {}

    def insert(self, label: int, entropy: float, vector: NDArray[np.float64]) -> bool:
        """Store an image (d,), from `on_grid`, for a label. False where the slots hold surer ones."""
        held = self.stored.setdefault(label, [])
        if len(held) < self._images:
            held.append(SlotImage(entropy, vector))
        else:
            worst = max(range(len(held)), key=lambda place: held[place].entropy)
            if not entropy < held[worst].entropy:
                return False
            held[worst] = SlotImage(entropy, vector)
        # Sums on the grid are exact, so taking the old one off would do as well; this is simpler and short.
        self._sums[label] = on_grid(self.texts[label : label + 1])[0] + sum(image.vector for image in held)
        self._proxies[label] = unit(self._sums[label : label + 1])[0]
        return True

    def task_proxies(self) -> NDArray[np.float64]:
        """norm(sum of the text and its images), (K, d). Only labels that were written to are computed anew."""
        return self._proxies

    def slots(self) -> tuple[Vectors, NDArray[np.int64]]:
        """The stored images (S, d) float32, and the label that each belongs to (S,), labels ascending."""
        pairs = [(label, image.vector) for label in sorted(self.stored) for image in self.stored[label]]
        width = self.texts.shape[1]
        vectors = np.array([vector for _, vector in pairs], dtype=np.float32).reshape(len(pairs), width)
        return vectors, np.array([label for label, _ in pairs], dtype=np.int64)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, d), each divided by its norm."""
    divided: NDArray[np.float64] = rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return divided


def entropies(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """-sum p log(p + 1e-8) of the softmax of each row, (n, k) to (n,)."""
    shares = np.exp(logits - log_sum_exp(logits.copy())[:, None])
    entropy: NDArray[np.float64] = -(shares * np.log(shares + ENTROPY_FLOOR)).sum(axis=1)
    return entropy
