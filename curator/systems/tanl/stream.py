"""TANL on a stream: which of very many candidates are the negatives, and in which order, follows what activates them.

Zhang et al., CVPR 2026, as published in OpenOOD-VLM (`activated_neg`). The activation of a candidate by an image is its
softmax probability over ID labels and all candidates. Two queues hold the activations of images taken for ID and for
OOD; candidates are ordered by the difference of their means. For each batch: order by the queues, score, divide the
batch at a threshold between two classes of recent scores, order again with the batch's own confident images, score
again.

Where code and paper differ: `alpha` 0 is the code's default, by which a batch with confident images forgets the queues;
other scripts of the authors use 0.95. `step` 1 is the paper's formula. The paper's start from noise images is kept, but
they come encoded, so that they can be drawn with a seed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.products import Products
from curator.methods.maths import Cosines, Scores, log_sum_exp
from curator.methods.members.tanl import tanl_score
from curator.systems.stream import confident_cuts
from curator.systems.tanl.settings import TanlSettings, Ties
from curator.types import Vectors

STEPS = np.arange(100) / 100  # thresholds that are tried between two classes


class ActivationQueue:
    """The newest `limit` rows of activations (limit, U), float32, and their sum."""

    def __init__(self, limit: int, width: int) -> None:
        self._rows = np.zeros((limit, width), dtype=np.float32)
        self._sum = np.zeros(width)
        self._next, self._size = 0, 0

    def __len__(self) -> int:
        return self._size

    def add(self, activations: NDArray[np.floating]) -> None:
        """(n, U), the oldest first; they push the oldest rows out."""
        limit = len(self._rows)
        rows = activations[-limit:].astype(np.float32)
        places = (self._next + np.arange(len(rows))) % limit
        self._sum += rows.sum(axis=0, dtype=np.float64) - self._rows[places].sum(axis=0, dtype=np.float64)
        self._rows[places] = rows
        self._next = (self._next + len(rows)) % limit
        self._size = min(limit, self._size + len(rows))

    def mean(self) -> NDArray[np.float64]:
        """(U,); zeros while the queue is empty."""
        return self._sum / max(self._size, 1)


class TanlStream:
    """id_vectors: (C, d), candidates: (U, d), noise: (k, d) encoded noise images, all of unit norm; k may be 0.

    scale: of the logits. device: where cosines are computed.
    """

    def __init__(
        self,
        id_vectors: Vectors,
        candidates: Vectors,
        settings: TanlSettings,
        *,
        scale: float,
        noise: Vectors,
        device: str = "cpu",
    ) -> None:
        self.settings, self._scale, self._device = settings, scale, device
        self._vectors, self._ids = candidates, Products(id_vectors, device)
        self._candidates = Products(candidates, device)
        self.positive, self.negative = (ActivationQueue(settings.queue, len(candidates)) for _ in range(2))
        self.scores = ScoreQueue(settings.score_queue)
        self.threshold = 0.5
        start = np.random.default_rng(settings.seed).permutation(len(id_vectors))[: settings.queue]
        self.positive.add(self._activations(id_vectors[np.sort(start)]))
        if len(noise):
            self.negative.add(self._activations(noise))
        seen = np.concatenate([id_vectors, noise]) if len(noise) else id_vectors
        self.scores.add(self._score(seen, self._order(self._difference())))

    def feed(self, vectors: Vectors, images: Sequence[Hashable] | None = None) -> Scores:
        """Order the candidates by what is known and by the batch, then score it: (n,) in [0, 1]."""
        reference = self._score(vectors, self._order(self._difference()))
        self.scores.add(reference)
        self.threshold = self.scores.threshold(self.settings.ties)
        upper, lower = confident_cuts(self.threshold, self.settings.gap)
        high, low = (self._activations(vectors[chosen]) for chosen in (reference > upper, reference < lower))
        positive = mixed_mean(self.positive.mean(), high, self.settings.alpha)
        negative = mixed_mean(self.negative.mean(), low, self.settings.alpha)
        scores = self._score(vectors, self._order(negative - positive))
        self.positive.add(high)
        self.negative.add(low)
        return scores

    def frozen_order(self) -> NDArray[np.intp]:
        """The activated candidates, the most activated first, (M',): what a bank keeps. By the queues alone: the last
        batch weighs no more than the others that are still in them."""
        return self._order(self._difference())

    def _difference(self) -> NDArray[np.float64]:
        return self.negative.mean() - self.positive.mean()

    def _order(self, difference: NDArray[np.float64]) -> NDArray[np.intp]:
        return ranked(difference, self.settings.negatives)

    def _score(self, rows: Vectors, order: NDArray[np.intp]) -> Scores:
        outside = Products(self._vectors[order], self._device)
        return tanl_score(self._ids(rows), outside(rows), scale=self._scale, step=self.settings.step)

    def _activations(self, rows: Vectors) -> NDArray[np.float64]:
        """Only for rows that enter a queue: all others never meet all candidates."""
        return activations(self._ids(rows), self._candidates(rows), scale=self._scale)


def activations(id_cosines: Cosines, candidate_cosines: Cosines, *, scale: float) -> NDArray[np.float64]:
    """The softmax over ID labels and candidates, at the candidates: (n, C) and (n, U) to (n, U)."""
    logits = scale * np.asarray(candidate_cosines, dtype=np.float64)
    masses = [log_sum_exp(scale * np.asarray(id_cosines, dtype=np.float64)), log_sum_exp(logits.copy())]
    shares: NDArray[np.float64] = np.exp(logits - np.logaddexp(*masses)[:, None])
    return shares


def mixed_mean(kept: NDArray[np.float64], batch: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """alpha * kept + (1 - alpha) * mean of the batch's rows (n, U); `kept` (U,) alone where there are none."""
    return alpha * kept + (1 - alpha) * batch.mean(axis=0) if len(batch) else kept


def ranked(difference: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Places of the `count` largest (all, if fewer), the largest first; of equal ones the first. Sorts only these."""
    count = min(count, len(difference))
    if not count:
        return np.zeros(0, dtype=np.intp)
    least = np.partition(difference, -count)[-count]
    above, equal = np.flatnonzero(difference > least), np.flatnonzero(difference == least)
    chosen = np.sort(np.concatenate([above, equal[: count - len(above)]]))
    order: NDArray[np.intp] = chosen[np.argsort(-difference[chosen], kind="stable")]
    return order


class ScoreQueue:
    """The newest `limit` scores, in [0, 1]."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._scores: Scores = np.zeros(0)

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, scores: Scores) -> None:
        self._scores = np.concatenate([self._scores, scores])[-self._limit :]

    def threshold(self, ties: Ties) -> float:
        return two_class_threshold(self._scores, ties)


def two_class_threshold(scores: Scores, ties: Ties = "middle") -> float:
    """Otsu's: of 0, 0.01, ..., 0.99 the one that leaves the least variance within the scores below it and not below it.

    Where several leave as little (no score lies between them), the `first` (ANTS) or the `middle` one (TANL). The
    median where all scores lie on one side of every threshold. By the counts, sums and sums of squares in 100 bins.
    """
    centred = scores - scores.mean()
    bins = np.clip(np.searchsorted(STEPS, scores, side="right") - 1, 0, len(STEPS) - 1)
    sums = [np.bincount(bins, weights, len(STEPS)) for weights in (np.ones(len(scores)), centred, centred * centred)]
    # Sums of all bins below each threshold, and of the others.
    below = [np.concatenate([[0.0], np.cumsum(values)[:-1]]) for values in sums]
    above = [values.sum() - part for values, part in zip(sums, below, strict=True)]
    valid = (below[0] > 0) & (above[0] > 0)
    if not valid.any():
        return float(np.median(scores))
    within = sum(
        (square - total * total / np.maximum(count, 1) for count, total, square in (below, above)), np.zeros(len(STEPS))
    )
    within[~valid] = np.inf
    best = np.flatnonzero(within == within.min())
    return float(STEPS[best[0] if ties == "first" else best[len(best) // 2]])
