"""AdaNeg on a stream: confident images enter a memory, and its proxies score the batch beside the texts.

Zhang and Zhang, NeurIPS 2024, as published in OpenOOD-VLM. For each batch: NegLabel's score on the texts; images above
the upper cut are stored for their ID label, those below the lower cut for their negative; then the batch is scored by
the proxies. Differences: the grouping is drawn by NumPy; `beta` is not cut to an integer; cosines with sample proxies
come from products of slots instead of the proxies themselves (curator.methods.kernels.memory), which is the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curator.methods.grouping import Grouping
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.memory import SampleProxies
from curator.methods.kernels.products import Products
from curator.methods.layers import MEMORY_CLASSES, MEMORY_SLOTS
from curator.methods.maths import Scores
from curator.methods.members.adaneg import PROXIES, adaneg_score
from curator.methods.members.neglabel import neglabel_score
from curator.systems.adaneg.memory import Memory, entropies
from curator.systems.adaneg.settings import AdaNegSettings
from curator.systems.stream import confident_cuts
from curator.types import Vectors

START = 100  # pseudo-labels of each side that the window of AdaGap begins with


class AdaNegStream:
    """id_vectors: (C, d), negative_vectors: (M, d), unit norm. scale: of the logits. device: where cosines are
    computed."""

    def __init__(
        self,
        id_vectors: Vectors,
        negative_vectors: Vectors,
        settings: AdaNegSettings,
        *,
        scale: float,
        device: str = "cpu",
    ) -> None:
        self.settings, self._scale, self._id_count, self._device = settings, scale, len(id_vectors), device
        texts = np.concatenate([id_vectors, negative_vectors])
        self.memory, self._texts = Memory(texts, settings.slots), Products(texts, device)
        self._order = Grouping(count=settings.group_count, seed=settings.seed).order(len(negative_vectors))
        self._window: deque[bool] = deque([True, False] * START, maxlen=settings.window)

    def feed(self, vectors: Vectors, images: Sequence[Hashable] | None = None) -> Scores:
        """Store the confident images of a batch, then score it: (n,) in [0, 1 + static_weight]."""
        cosines = self._texts(vectors)  # (n, C + M)
        ids, negatives = cosines[:, : self._id_count], cosines[:, self._id_count :]
        scale, count = self._scale, self.settings.group_count
        static = neglabel_score(ids, negatives, scale=scale, group_count=count, permutation=self._order)
        self._store(vectors, ids, negatives, static)
        return adaneg_score(
            ids,
            negatives,
            adaptive_cosines=self._adaptive(vectors, cosines),
            static_weight=self.settings.static_weight,
            scale=scale,
            group_count=count,
            permutation=self._order,
        )

    def remember(self, kept: Vectors, ood: Vectors) -> None:
        """Store images whose side is known, (n, d) each: every one for the nearest label of its side."""
        for vectors, columns in ((kept, slice(0, self._id_count)), (ood, slice(self._id_count, None))):
            rows = on_grid(vectors)
            cosines = exact_cosines(rows, on_grid(self.memory.texts[columns]))
            labels = (columns.start + cosines.argmax(axis=1)).tolist()
            sureness = entropies(self._scale * cosines).tolist()
            for label, entropy, row in zip(labels, sureness, rows, strict=True):
                self.memory.insert(label, entropy, row)

    def parameters(self) -> Mapping[str, NDArray[np.generic]]:
        """What a bank with the same labels in the same order keeps: proxies (K, d), stored images (S, d), and the label
        of each (S,)."""
        slots, classes = self.memory.slots()
        return {PROXIES: self.memory.task_proxies().astype(np.float32), MEMORY_SLOTS: slots, MEMORY_CLASSES: classes}

    def _store(self, rows: Vectors, ids: NDArray[np.float64], negatives: NDArray[np.float64], static: Scores) -> None:
        """Insert the images of either side in their order."""
        upper, lower = self._cuts(static)
        sides = ((static > upper, ids, 0), (static < lower, negatives, self._id_count))
        chosen: dict[int, tuple[int, float]] = {}
        for mask, cosines, first in sides:
            places = np.flatnonzero(mask)
            labels = first + cosines[places].argmax(axis=1)
            entropy = entropies(self._scale * cosines[places])
            chosen.update(zip(places.tolist(), zip(labels.tolist(), entropy.tolist(), strict=True), strict=True))
        for place in sorted(chosen):
            label, entropy_of = chosen[place]
            self.memory.insert(label, entropy_of, on_grid(rows[place : place + 1])[0])

    def _cuts(self, static: Scores) -> tuple[float, float]:
        """Upper and lower cut for this batch, whose pseudo-labels by the fixed gap enter the window first."""
        upper, lower = confident_cuts(self.settings.threshold, self.settings.gap)
        if not self.settings.adaptive_gap:
            return upper, lower
        self._window.extend((static[(static > upper) | (static < lower)] > upper).tolist())
        return adaptive_cuts(sum(self._window) / len(self._window), self.settings.threshold, (upper, lower))

    def _adaptive(self, rows: Vectors, texts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cosines with the proxies, (n, C + M). Labels without images keep those of their texts."""
        if self.settings.proxies == "sample":
            proxies = SampleProxies(self.memory.texts, *self.memory.slots())
            return proxies.cosines(on_grid(rows), texts, self.settings.beta)
        adaptive = texts.copy()
        written = sorted(self.memory.stored)
        if written:
            adaptive[:, written] = Products(self.memory.task_proxies()[written], self._device)(rows)
        return adaptive


def adaptive_cuts(id_share: float, threshold: float, cuts: tuple[float, float]) -> tuple[float, float]:
    """AdaGap: with more ID than OOD the lower cut falls, with less the upper one rises. `cuts`: by the fixed gap."""
    upper, lower = cuts
    if id_share > 0.5:
        return upper, threshold * (1 - id_share)
    if id_share < 0.5:
        return threshold + (1 - id_share) * (1 - threshold), lower
    return upper, lower
