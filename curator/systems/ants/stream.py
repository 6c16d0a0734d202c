"""ANTS on a stream: both banks of negatives are generated batch by batch, of the images that the stream brings.

Zhu et al., see methods/members/ants.py. For each batch: NegLabel's score; images below a threshold wait in a cache;
when it is full they are described (ENS) and the threshold moves; from time to time look-alikes of the classes predicted
most are asked for (VSNL); then the batch is scored with the banks as they are by now. A bank that is not there yet
leaves NegLabel's score in its place. What describes and names is given as callables, which also encode.

Code and paper differ in much; settings.py has both. Differences from either: a full bank drops its oldest sentences
(the code its newest); past scores are kept as histograms and sums; images are no longer collected once nothing more
will be described; the paper's candidates are those since the last description instead of all history. Its threshold is
that of all scores so far below gamma: half of what lies below the last threshold would halve the candidates with every
description, until only what the parent is sure of is described.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.methods.grouping import Grouping
from curator.methods.kernels.cosines import on_grid
from curator.methods.kernels.products import Products
from curator.methods.maths import Scores, sigmoid
from curator.methods.members.ants import (
    BALANCED_COPIES,
    adaptive_weight,
    capped_queue,
    side_log_odds,
    side_score,
)
from curator.methods.members.tanl import tanl_score
from curator.systems.ants.history import ScoreHistory
from curator.systems.ants.settings import AntsSettings
from curator.systems.stream import confident_cuts
from curator.systems.tanl.stream import ScoreQueue, activations, ranked
from curator.types import Vectors


class ImageToDescribe(NamedTuple):
    """An image to describe: its number in the stream or its id, its predicted ID label, its score by NegLabel."""

    image: Hashable
    id_label: int
    score: float


# The code's addition after TANL: S_ens cumulatively over the sentences that a batch's low images activate more than its
# high ones; so many sentences, in such steps, with such a gap, and of equal thresholds between scores the first.
ACTIVATED, ACTIVATION_STEP, ACTIVATION_GAP, ACTIVATION_SCORES = 500, 2, 0.5, 20_000
BaseScorer: TypeAlias = Callable[[Vectors], tuple[Scores, NDArray[np.integer]]]
Describe: TypeAlias = Callable[[Sequence[ImageToDescribe]], Vectors]
LookAlikes: TypeAlias = Callable[[Sequence[int]], Mapping[int, Vectors]]


@dataclass(frozen=True)
class AntsFrozen:
    """What a bank keeps: `ens` (E, d), the newest first, and `vsnl` (V, d).

    ens_numbers: (E,), which of all rows that `describe` ever returned they are. base_kept: how many of the negatives
    given at the start are still in ENS.
    """

    ens: Vectors
    ens_numbers: NDArray[np.int64]
    vsnl: Vectors
    base_kept: int


class AntsStream:
    """id_vectors: (C, d). base: vectors to (NegLabel's scores (n,), predicted ID labels (n,)).

    scale: of the logits. describe: candidates to sentence vectors (k, d), in order; it may return fewer, without
    duplicates. look_alikes: ID labels to name vectors (n_i, d) of each. base_negatives: (M, d), which both banks begin
    with where the settings say so. All of unit norm. device: where cosines are computed.
    """

    def __init__(
        self,
        id_vectors: Vectors,
        base: BaseScorer,
        settings: AntsSettings,
        *,
        scale: float,
        describe: Describe,
        look_alikes: LookAlikes,
        base_negatives: Vectors,
        device: str = "cpu",
    ) -> None:
        self.settings, self._scale, self._device = settings, scale, device
        self.threshold = settings.gamma if settings.threshold == "share" else settings.start
        self._ids, self._base, self._describe, self._ask = Products(id_vectors, device), base, describe, look_alikes
        self._width = id_vectors.shape[1]
        given = settings.initialise and len(base_negatives)
        self._start = start = on_grid(base_negatives) if given else np.zeros((0, self._width))
        self._ens, self._ens_numbers = start[: settings.queue_cap], np.full(len(start), -1)[: settings.queue_cap]
        self._names: dict[int, NDArray[np.float64]] = {}
        self.history = ScoreHistory()
        self.class_counts = np.zeros(len(id_vectors), dtype=np.int64)
        self.cache: list[ImageToDescribe] = []
        self.batches = self.images = self.updates = self._described = 0
        self._sums, self._weighed = np.zeros(2), 0
        self._activated = ScoreQueue(ACTIVATION_SCORES)
        self._sides = [Products(bank, device) for bank in (self._ens, self.vsnl)]

    def feed(self, vectors: Vectors, images: Sequence[Hashable] | None = None) -> Scores:
        """Learn from a batch (n, d), then score it: (n,) in [0, 1]. images: their ids, for `describe`."""
        static, labels = self._base(vectors)
        names: Sequence[Hashable] = range(self.images, self.images + len(vectors)) if images is None else images
        self.batches, self.images = self.batches + 1, self.images + len(vectors)
        self.history.add(static)
        self.class_counts += np.bincount(labels, minlength=len(self.class_counts))
        suspected = static < self.threshold
        if self.updates < self.settings.updates and self.settings.variant != "vsnl":
            places = np.flatnonzero(suspected).tolist()
            self.cache += [ImageToDescribe(names[place], int(labels[place]), float(static[place])) for place in places]
            if len(self.cache) > self.settings.cache_size:
                self._update_ens()
        since = self.batches - self.settings.first_class_batch
        if since >= 0 and since % self.settings.class_interval == 0 and self.settings.variant != "ens":
            self._update_vsnl()
        return self._score(vectors, static, suspected)

    @property
    def weight(self) -> float:
        """Of ENS, by the images weighed so far; 1 or 0 where one side is wanted."""
        if self.settings.variant != "ada":
            return float(self.settings.variant == "ens")
        means = self._sums / max(self._weighed, 1)
        return adaptive_weight(float(means[0]), float(means[1]))

    @property
    def vsnl(self) -> NDArray[np.float64]:
        """The names' vectors, without duplicates, then the negatives given at the start, (V, d)."""
        return np.concatenate([self._distinct_names(), self._start])[: self.settings.queue_cap]

    def frozen(self) -> AntsFrozen:
        generated = self._ens_numbers >= 0
        return AntsFrozen(
            ens=self._ens[generated].astype(np.float32),
            ens_numbers=self._ens_numbers[generated],
            vsnl=self._distinct_names().astype(np.float32),
            base_kept=int((~generated).sum()),
        )

    def _update_ens(self) -> None:
        """Describe what waits in the cache, and move the threshold for what will be collected from now on."""
        chosen = self.cache
        if self.settings.threshold == "histogram":
            edge, cut = self.history.negative_threshold(self.settings.eta)
            self.threshold = cut if cut < edge else self.threshold
        else:
            self.threshold = self.history.share_threshold(self.settings.gamma, self.settings.eta)
            chosen = [candidate for candidate in self.cache if candidate.score < self.threshold]
        self.cache = []
        if not chosen:
            return
        sentences = self._describe(chosen)
        self.updates += 1
        numbers = np.arange(self._described, self._described + len(sentences))
        self._described += len(sentences)
        if len(sentences):
            self._ens = capped_queue(on_grid(sentences), self._ens, self.settings.queue_cap)
            self._ens_numbers = capped_queue(numbers, self._ens_numbers, self.settings.queue_cap)
            self._sides[0] = Products(self._ens, self._device)

    def _update_vsnl(self) -> None:
        """Ask for look-alikes of classes that are new among those predicted most; forget those that no longer are."""
        wanted = self.settings.wanted_classes(len(self.class_counts))
        foremost = np.argsort(-self.class_counts, kind="stable")[:wanted]
        foremost = foremost[self.class_counts[foremost] > 0]
        new = [int(label) for label in foremost if int(label) not in self._names]
        found = self._ask(new) if new else {}
        for label in new:
            rows = found[label][: self.settings.names] if label in found else ()
            self._names[label] = (
                on_grid(np.asarray(rows, dtype=np.float64)) if len(rows) else np.zeros((0, self._width))
            )
        self._names = {int(label): self._names[int(label)] for label in foremost}
        self._sides[1] = Products(self.vsnl, self._device)

    def _distinct_names(self) -> NDArray[np.float64]:
        """The vectors of the names, each once, (n, d)."""
        seen = {row.tobytes(): row for rows in self._names.values() for row in rows}
        return np.array(list(seen.values())).reshape(len(seen), self._width)

    def _score(self, rows: Vectors, static: Scores, suspected: NDArray[np.bool_]) -> Scores:
        """With the banks as they are now; a bank that is empty leaves the static score in its place."""
        ids = self._ids(rows)
        sides = [bank(rows) for bank in self._sides]
        ens, vsnl = (self._side(ids, side) if side.shape[1] else static for side in sides)
        self._weigh(ids, sides, (ens, vsnl), static, suspected)
        if self.settings.activation and sides[0].shape[1]:
            ens = self._by_activation(ids, sides[0], ens)
        return self.weight * ens + (1 - self.weight) * vsnl

    def _side(self, ids: NDArray[np.float64], side: NDArray[np.float64]) -> Scores:
        size = self.settings.group_size
        order = Grouping(size=size, seed=self.settings.seed).order(side.shape[1])
        return sigmoid(side_log_odds(ids, side, scale=self._scale, group_size=size, permutation=order))

    def _weigh(
        self,
        ids: NDArray[np.float64],
        sides: list[NDArray[np.float64]],
        scores: tuple[Scores, Scores],
        static: Scores,
        suspected: NDArray[np.bool_],
    ) -> None:
        """Add the batch to the means that the weight is made of: of suspected images, or of all by `balanced_scores`,
        where for a bank that is empty the static score stands in."""
        chosen: NDArray[np.bool_] | slice = suspected
        if self.settings.weight != "negatives":
            chosen, size = slice(None), ids.shape[1]
            copied = sides[0], np.tile(sides[1], (1, BALANCED_COPIES))
            ens, vsnl = (
                side_score(ids, side, scale=self._scale, group_size=size) if side.shape[1] else static
                for side in copied
            )
            scores = ens, vsnl
        self._sums += [float(side[chosen].sum()) for side in scores]
        self._weighed += len(static[chosen])

    def _by_activation(self, ids: NDArray[np.float64], side: NDArray[np.float64], reference: Scores) -> Scores:
        """S_ens over the sentences that this batch's low images activate more than its high ones, cumulatively.

        The reference score where the batch has no low or no high images.
        """
        self._activated.add(reference)
        upper, lower = confident_cuts(self._activated.threshold("first"), ACTIVATION_GAP)
        high, low = reference > upper, reference < lower
        if not (high.any() and low.any()):
            return reference
        shares = activations(ids, side, scale=self._scale)
        order = ranked(shares[low].mean(axis=0) - shares[high].mean(axis=0), ACTIVATED)
        return tanl_score(ids, side[:, order], scale=self._scale, step=ACTIVATION_STEP)
