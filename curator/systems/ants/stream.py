"""ANTS on a stream: both banks of negatives are generated batch by batch, of the images that the stream brings.

Zhu et al., see methods/members/ants.py. For each batch: NegLabel's score; images below a threshold wait in a cache;
when it is full they are described (ENS) and the threshold moves; from time to time look-alikes of the classes predicted
most are asked for (VSNL); then the batch is scored with the banks as they are by now. A bank that is not there yet
leaves NegLabel's score in its place. What describes and names is given as callables, which also encode.

Code and paper differ in much; `AntsSettings` has both. Differences from either: a full bank drops its oldest sentences
(the code its newest); past scores are kept as histograms and sums; images are no longer collected once nothing more
will be described; the paper's candidates are those since the last description instead of all history.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.methods.grouping import Grouping
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.maths import Scores, sigmoid
from curator.methods.members.ants import (
    BALANCED_COPIES,
    GROUP_SIZE,
    Variant,
    adaptive_weight,
    capped_queue,
    side_log_odds,
    side_score,
)
from curator.methods.members.tanl import tanl_score
from curator.systems.histogram import ScoreHistory, ScoreQueue
from curator.systems.tanl.stream import activations, confident_cuts, ranked
from curator.types import Vectors


class Candidate(NamedTuple):
    """An image to describe: its number in the stream or its id, its predicted ID label, its score by NegLabel."""

    image: Hashable
    id_label: int
    score: float


BaseScorer: TypeAlias = Callable[[Vectors], tuple[Scores, NDArray[np.integer[Any]]]]
Describe: TypeAlias = Callable[[Sequence[Candidate]], Vectors]
LookAlikes: TypeAlias = Callable[[Sequence[int]], Mapping[int, Vectors]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """The code's addition after TANL: S_ens cumulatively over the `negatives` sentences that a batch's low images
    activate more than its high ones. `gap`, `step`, `score_queue` as in TanlSettings; of equal thresholds the first."""

    negatives: int = 500
    step: int = 2
    gap: float = 0.5
    score_queue: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AntsSettings:
    """The defaults are those of the published code; `as_in_the_paper` gives the other set.

    threshold: images with a lower score are candidates, to begin with. selection: `all` candidates are described and
    the histogram of scores moves the threshold; or the `lowest` share eta of them, and the highest of these is the
    threshold. cache_size: more than so many are described at once, ens_updates times. class_count: of how many of the
    classes predicted most look-alikes are asked for, in batch first_class_batch and every class_interval after, `names`
    of each; None: class_share of all. weight_over: all images by balanced scores, or those below the threshold.
    initialised: both banks begin with the negatives given. queue_cap: the most sentences kept. group_size None: one
    group. balanced_size None: as many as there are ID labels.
    """

    scale: float
    variant: Variant = "ada"
    threshold: float = 0.8
    selection: Literal["all", "lowest"] = "all"
    cache_size: int = 200
    eta: float = 0.5
    ens_updates: int = 10
    class_count: int | None = 40
    class_share: float = 0.08
    first_class_batch: int = 10
    class_interval: int = 40
    names: int = 5
    weight_over: Literal["all", "negatives"] = "all"
    initialised: bool = False
    queue_cap: int = 10_000
    group_size: int | None = GROUP_SIZE
    balanced_size: int | None = None
    activation: Activation | None = None
    exact_history: bool = False
    seed: int = 0

    @classmethod
    def as_in_the_paper(cls, **given: Any) -> Self:
        paper: dict[str, Any] = {
            "threshold": 0.9,
            "selection": "lowest",
            "class_count": None,
            "weight_over": "negatives",
            "initialised": True,
            "group_size": None,
        }
        return cls(**{**paper, **given})

    def wanted_classes(self, id_count: int) -> int:
        """How many classes look-alikes are asked for, at least one."""
        wanted = max(1, round(self.class_share * id_count)) if self.class_count is None else self.class_count
        return min(wanted, id_count)


@dataclass(frozen=True)
class AntsFrozen:
    """What a bank keeps.

    `ens` (E, d), the newest first, and `ens_numbers` (E,): which of all rows that `describe` ever returned they are.
    `vsnl` (V, d) and `vsnl_classes` (V,). `base_kept`: how many of the negatives given at the start are still in ENS.
    """

    ens: Vectors
    ens_numbers: NDArray[np.int64]
    vsnl: Vectors
    vsnl_classes: NDArray[np.int64]
    weight: float
    threshold: float
    initialised: bool
    base_kept: int


class AntsStream:
    """id_vectors: (C, d). base: vectors to (NegLabel's scores (n,), predicted ID labels (n,)).

    describe: candidates to sentence vectors (k, d), in order; it may return fewer, without duplicates. look_alikes:
    ID labels to name vectors (n_i, d) of each. base_negatives: (M, d), where `initialised`. All of unit norm.
    """

    def __init__(
        self,
        id_vectors: Vectors,
        base: BaseScorer,
        settings: AntsSettings,
        *,
        describe: Describe,
        look_alikes: LookAlikes,
        base_negatives: Vectors | None = None,
    ) -> None:
        self.settings, self.threshold = settings, settings.threshold
        self._ids, self._base, self._describe, self._ask = on_grid(id_vectors), base, describe, look_alikes
        given = settings.initialised and base_negatives is not None and len(base_negatives) > 0
        start = on_grid(base_negatives) if given and base_negatives is not None else np.zeros((0, self._ids.shape[1]))
        self._start = start
        self._ens, self._ens_numbers = start[: settings.queue_cap], np.full(len(start), -1)[: settings.queue_cap]
        self._names: dict[int, NDArray[np.float64]] = {}
        self.history = ScoreHistory(exact=settings.exact_history)
        self.class_counts = np.zeros(len(id_vectors), dtype=np.int64)
        self.cache: list[Candidate] = []
        self.batches = self.images = self.updates = self._described = 0
        self._sums, self._weighed = np.zeros(2), 0
        self._activated = ScoreQueue(settings.activation.score_queue) if settings.activation else None

    def feed(self, vectors: Vectors, images: Sequence[Hashable] | None = None) -> Scores:
        """Learn from a batch (n, d), then score it: (n,) in [0, 1]. images: their ids, for `describe`."""
        rows = on_grid(vectors)
        static, labels = self._base(vectors)
        names: Sequence[Hashable] = range(self.images, self.images + len(rows)) if images is None else images
        self.batches, self.images = self.batches + 1, self.images + len(rows)
        self.history.add(static)
        self.class_counts += np.bincount(labels, minlength=len(self.class_counts))
        suspected = static < self.threshold
        if self.updates < self.settings.ens_updates:
            places = np.flatnonzero(suspected).tolist()
            self.cache += [Candidate(names[place], int(labels[place]), float(static[place])) for place in places]
            if len(self.cache) > self.settings.cache_size:
                self._update_ens()
        since = self.batches - self.settings.first_class_batch
        if since >= 0 and since % self.settings.class_interval == 0:
            self._update_vsnl()
        return self._score(rows, static, suspected)

    @property
    def weight(self) -> float:
        """Of ENS, by the images weighed so far."""
        means = self._sums / max(self._weighed, 1)
        return adaptive_weight(float(means[0]), float(means[1]))

    @property
    def vsnl(self) -> NDArray[np.float64]:
        """The names' vectors, without duplicates, then the negatives given at the start, (V, d)."""
        return np.concatenate([self._distinct_names()[0], self._start])[: self.settings.queue_cap]

    def frozen(self) -> AntsFrozen:
        generated = self._ens_numbers >= 0
        names, classes = self._distinct_names()
        return AntsFrozen(
            ens=self._ens[generated].astype(np.float32),
            ens_numbers=self._ens_numbers[generated],
            vsnl=names.astype(np.float32),
            vsnl_classes=classes,
            weight=self.weight,
            threshold=self.threshold,
            initialised=self.settings.initialised,
            base_kept=int((~generated).sum()),
        )

    def _update_ens(self) -> None:
        """Describe what waits in the cache, and move the threshold for what will be collected from now on."""
        chosen = self.cache
        if self.settings.selection == "all":
            edge, cut = self.history.negative_threshold(self.settings.eta)
            self.threshold = cut if cut < edge else self.threshold
        else:
            kept = math.ceil(self.settings.eta * len(self.cache))
            chosen = sorted(self.cache, key=lambda candidate: candidate.score)[: max(1, kept)]
            self.threshold = chosen[-1].score
        sentences = self._describe(chosen)
        self.cache, self.updates = [], self.updates + 1
        numbers = np.arange(self._described, self._described + len(sentences))
        self._described += len(sentences)
        if len(sentences):
            self._ens = capped_queue(on_grid(sentences), self._ens, self.settings.queue_cap)
            self._ens_numbers = capped_queue(numbers, self._ens_numbers, self.settings.queue_cap)

    def _update_vsnl(self) -> None:
        """Ask for look-alikes of classes that are new among those predicted most; forget those that no longer are."""
        wanted = self.settings.wanted_classes(len(self.class_counts))
        foremost = np.argsort(-self.class_counts, kind="stable")[:wanted]
        foremost = foremost[self.class_counts[foremost] > 0]
        new = [int(label) for label in foremost if int(label) not in self._names]
        found = self._ask(new) if new else {}
        width = self._ids.shape[1]
        for label in new:
            rows = found[label][: self.settings.names] if label in found else ()
            self._names[label] = on_grid(np.asarray(rows, dtype=np.float64)) if len(rows) else np.zeros((0, width))
        self._names = {int(label): self._names[int(label)] for label in foremost}

    def _distinct_names(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The vectors of the names, each once, and the class it was first named for."""
        seen: dict[bytes, tuple[NDArray[np.float64], int]] = {}
        for label, rows in self._names.items():
            for row in rows:
                seen.setdefault(row.tobytes(), (row, label))
        rows = np.array([row for row, _ in seen.values()]).reshape(len(seen), self._ids.shape[1])
        return rows, np.array([label for _, label in seen.values()], dtype=np.int64)

    def _score(self, rows: NDArray[np.float64], static: Scores, suspected: NDArray[np.bool_]) -> Scores:
        """With the banks as they are now; a bank that is empty leaves the static score in its place."""
        ids = exact_cosines(rows, self._ids)
        sides = [exact_cosines(rows, bank) for bank in (self._ens, self.vsnl)]
        ens, vsnl = (self._side(ids, side) if side.shape[1] else static for side in sides)
        self._weigh(ids, sides, (ens, vsnl), static, suspected)
        if self.settings.activation and sides[0].shape[1]:
            ens = self._by_activation(ids, sides[0], ens)
        if self.settings.variant != "ada":
            return ens if self.settings.variant == "ens" else vsnl
        weight = self.weight
        return weight * ens + (1 - weight) * vsnl

    def _side(self, ids: NDArray[np.float64], side: NDArray[np.float64]) -> Scores:
        size = self.settings.group_size or side.shape[1]
        order = Grouping(size=size, seed=self.settings.seed).order(side.shape[1])
        return sigmoid(side_log_odds(ids, side, scale=self.settings.scale, group_size=size, permutation=order))

    def _weigh(
        self,
        ids: NDArray[np.float64],
        sides: list[NDArray[np.float64]],
        scores: tuple[Scores, Scores],
        static: Scores,
        suspected: NDArray[np.bool_],
    ) -> None:
        """Add the batch to the means that the weight is made of."""
        chosen = np.full(len(ids), True)
        if self.settings.weight_over == "negatives":
            chosen = suspected
        else:
            scores = self._balanced(ids, sides, static)
        self._sums += [float(side[chosen].sum()) for side in scores]
        self._weighed += int(chosen.sum())

    def _balanced(
        self, ids: NDArray[np.float64], sides: list[NDArray[np.float64]], static: Scores
    ) -> tuple[Scores, Scores]:
        """`balanced_scores`; where a bank is empty the static score stands in."""
        size = self.settings.balanced_size or ids.shape[1]
        copied = sides[0], np.tile(sides[1], (1, BALANCED_COPIES))
        ens, vsnl = (
            side_score(ids, side, scale=self.settings.scale, group_size=size) if side.shape[1] else static
            for side in copied
        )
        return ens, vsnl

    def _by_activation(self, ids: NDArray[np.float64], side: NDArray[np.float64], reference: Scores) -> Scores:
        """S_ens over the sentences that this batch's low images activate more than its high ones, cumulatively.

        The reference score where the batch has no low or no high images.
        """
        assert self._activated is not None and self.settings.activation is not None
        given, scale = self.settings.activation, self.settings.scale
        self._activated.add(reference)
        upper, lower = confident_cuts(self._activated.threshold("first"), given.gap)
        high, low = reference > upper, reference < lower
        if not (high.any() and low.any()):
            return reference
        shares = activations(ids, side, scale=scale)
        order = ranked(shares[low].mean(axis=0) - shares[high].mean(axis=0), given.negatives)
        return tanl_score(ids, side[:, order], scale=scale, step=given.step)
