"""How well a score tells ID from OOD: AUROC, AUPR, FPR95, and bootstrap intervals. NumPy only.

Scores are higher for ID throughout, as everywhere in curator; any strictly increasing function of a score (`log_odds`
for `id_score`) gives the same figures. "The positive class" is the one that a detector is asked to find. AUROC is the
same for both; AUPR and FPR95 are not, and the field publishes both under one name, so that nothing here has a default:

    positive="id"    recall is the share of ID kept; FPR95 is the share of OOD kept where about 95 % of ID are
                     (NegLabel, CSP and MCM publish this one)
    positive="ood"   recall is the share of OOD found; FPR95 is the share of ID flagged where at least 95 % of OOD are
                     (OpenOOD v1.5, and with it AdaNeg, TANL and ANTS, publish this one)

Not by scikit-learn: nothing that the product needs installs it or SciPy (190 MB, a second of processor time to import),
it has no FPR95, and it would rank the scores anew for each of a thousand bootstrap replicates, which are weighed here.
Tests hold the figures to scikit-learn's and pytorch-ood's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curator.errors import UsageError

Positive: TypeAlias = Literal["id", "ood"]
Cut: TypeAlias = Literal["nearest", "at_least"]
AuprRule: TypeAlias = Literal["average_precision", "trapezoid"]
Array: TypeAlias = NDArray[np.float64]
Whole: TypeAlias = NDArray[np.int64]

METRICS = ("auroc", "aupr_id_positive", "aupr_ood_positive", "fpr95_id_positive", "fpr95_ood_positive")
PUBLISHED_CUT: dict[Positive, Cut] = {"id": "nearest", "ood": "at_least"}


def auroc(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """P(s_id > s_ood) + P(s_id = s_ood) / 2 over all pairs: the area under the ROC curve, for either positive class.

    id_scores: (n,), ood_scores: (m,), any order. In [0, 1]; 0.5 tells nothing. Raises UsageError for no scores or NaN.
    """
    ranking = _Ranking.of(id_scores, ood_scores)
    return _auroc(ranking, *ranking.plain)


def aupr(
    id_scores: ArrayLike, ood_scores: ArrayLike, *, positive: Positive, rule: AuprRule = "average_precision"
) -> float:
    """Area under the precision-recall curve of the positive class, in [0, 1]; guessing gives that class's share.

    average_precision: the sum over thresholds of (recall gained) × (precision there), as scikit-learn has it and the
    code of MCM uses it. trapezoid: straight lines between the thresholds, beginning at precision 1, as OpenOOD and
    pytorch-ood have it; it is a little higher or lower, so never compare the two. Raises as `auroc`.
    """
    ranking = _Ranking.of(*_oriented(id_scores, ood_scores, positive))
    if rule == "average_precision":
        return _average_precision(ranking, *ranking.plain)
    return _trapezoid(ranking, *ranking.plain)


def fpr95(id_scores: ArrayLike, ood_scores: ArrayLike, *, positive: Positive, cut: Cut | None = None) -> float:
    """Share of the other class on the positive side of the threshold where recall of the positive class is 95 %.

    Thresholds are scores of the positive class, and what equals the threshold is on the positive side.
    nearest: the threshold whose recall is nearest to 0.95, of two equally near ones that of higher recall.
    at_least: the strictest threshold whose recall is 0.95 or more. Not given: as published for the positive class,
    `nearest` for ID, `at_least` for OOD. With positive="id" both say how much OOD is kept; with positive="ood" both say
    how much ID is flagged. Raises as `auroc`.

    Trap: the code that MCM and NegLabel use takes, of all thresholds of one recall, the lowest: it counts the OOD
    scores down to the next ID score as kept too (0.60 instead of 0.10 on vector T7). On lists of thousands of images
    the two agree to less than the share of OOD between two neighbouring ID scores.
    """
    ranking = _Ranking.of(*_oriented(id_scores, ood_scores, positive))
    return _fpr95(ranking, *ranking.plain, cut=cut or PUBLISHED_CUT[positive])


def measure(id_scores: ArrayLike, ood_scores: ArrayLike) -> dict[str, float]:
    """Every metric of METRICS by name, FPR95 with the cut published for its positive class. Raises as `auroc`."""
    pair = _Pair.of(id_scores, ood_scores)
    return dict(zip(METRICS, pair.measure(*pair.id_positive.plain), strict=True))


def bootstrap(
    id_scores: ArrayLike, ood_scores: ArrayLike, *, replicates: int, seed: int, stream: int = 0
) -> dict[str, Array]:
    """Every metric of METRICS on resampled scores: (replicates,) each, for intervals (see `interval`).

    ID and OOD are resampled separately, each with replacement and to its own size (Efron and Tibshirani 1993, ch. 8).
    The ID draws depend on `seed` alone, the OOD draws on `seed` and `stream`: several OOD sets measured against the
    same ID images, each with a stream of its own, share the ID resamples, so the mean over the sets of one replicate is
    a replicate of their mean. Scores are sorted once; a replicate only weighs them. Raises as `auroc`.
    """
    pair = _Pair.of(id_scores, ood_scores)
    id_draws, ood_draws = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1, stream])
    rows = np.empty((replicates, len(METRICS)))
    for row in rows:
        row[:] = pair.measure(_resampled(id_draws, pair.id_count), _resampled(ood_draws, pair.ood_count))
    return {name: rows[:, column] for column, name in enumerate(METRICS)}


def interval(values: Array, *, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval that holds the share `level` of the replicates (n,), with equal tails. NaN for none."""
    if len(values) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Positive scores in ascending order, each with its place among positives and negatives.

    first: (p,) how many positives score less. below, upto: (p,) how many negatives score less, or no more.
    """

    first: Whole
    below: Whole
    upto: Whole
    negatives: int

    @classmethod
    def of(cls, positive_scores: ArrayLike, negative_scores: ArrayLike) -> _Ranking:
        positive, negative = _sorted(positive_scores), _sorted(negative_scores)
        return cls(
            np.searchsorted(positive, positive, "left"),
            np.searchsorted(negative, positive, "left"),
            np.searchsorted(negative, positive, "right"),
            len(negative),
        )

    @property
    def plain(self) -> tuple[Whole, Whole]:
        """Weights of one for every positive and every negative."""
        return np.ones(len(self.first), np.int64), np.ones(self.negatives, np.int64)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The same scores ranked twice: with ID positive, and with OOD positive on negated scores."""

    id_positive: _Ranking
    ood_positive: _Ranking

    @classmethod
    def of(cls, id_scores: ArrayLike, ood_scores: ArrayLike) -> _Pair:
        return cls(
            _Ranking.of(*_oriented(id_scores, ood_scores, "id")), _Ranking.of(*_oriented(id_scores, ood_scores, "ood"))
        )

    @property
    def id_count(self) -> int:
        return self.ood_positive.negatives

    @property
    def ood_count(self) -> int:
        return self.id_positive.negatives

    def measure(self, id_weights: Whole, ood_weights: Whole) -> tuple[float, ...]:
        """METRICS in order. Weights are whole numbers in ascending order of the scores."""
        forward, backward = (id_weights, ood_weights), (ood_weights[::-1], id_weights[::-1])
        return (
            _auroc(self.id_positive, *forward),
            _average_precision(self.id_positive, *forward),
            _average_precision(self.ood_positive, *backward),
            _fpr95(self.id_positive, *forward, cut=PUBLISHED_CUT["id"]),
            _fpr95(self.ood_positive, *backward, cut=PUBLISHED_CUT["ood"]),
        )


def _oriented(id_scores: ArrayLike, ood_scores: ArrayLike, positive: Positive) -> tuple[ArrayLike, ArrayLike]:
    """Scores of the positive class and of the other, higher meaning positive."""
    if positive == "id":
        return id_scores, ood_scores
    if positive == "ood":
        return np.negative(ood_scores), np.negative(id_scores)
    raise UsageError(f"the positive class is id or ood, not {positive!r}")


def _sorted(scores: ArrayLike) -> Array:
    values = np.sort(np.asarray(scores, np.float64).ravel())
    if len(values) == 0 or np.isnan(values[-1]):
        raise UsageError("metrics need at least one score of each class, and no NaN")
    return values


def _sums(weights: Whole) -> Whole:
    """(n + 1,): the weight of everything before each place."""
    sums = np.zeros(len(weights) + 1, np.int64)
    np.cumsum(weights, out=sums[1:])
    return sums


def _resampled(draws: np.random.Generator, count: int) -> Whole:
    """How often each of `count` items is drawn in `count` draws with replacement."""
    return np.bincount(draws.integers(count, size=count), minlength=count)


def _auroc(ranking: _Ranking, weights: Whole, negative_weights: Whole) -> float:
    under = _sums(negative_weights)
    wins = under[ranking.below] + under[ranking.upto]  # twice: an equal score counts half
    return float(weights @ wins) / (2.0 * float(weights.sum()) * float(under[-1]))


def _average_precision(ranking: _Ranking, weights: Whole, negative_weights: Whole) -> float:
    before, under = _sums(weights), _sums(negative_weights)
    true = before[-1] - before[ranking.first]
    called = true + under[-1] - under[ranking.below]
    precision = true / np.maximum(called, 1)
    return float((weights * precision).sum()) / float(before[-1])  # no matmul: its threads cost more than they bring


def _trapezoid(ranking: _Ranking, weights: Whole, negative_weights: Whole) -> float:
    before, under = _sums(weights), _sums(negative_weights)
    starts = np.unique(ranking.first)  # one place for each distinct score
    ends = np.append(starts[1:], len(weights))
    true, true_above = before[-1] - before[starts], before[-1] - before[ends]
    false, false_above = under[-1] - under[ranking.below[starts]], under[-1] - under[ranking.upto[starts]]
    called_above = true_above + false_above
    precision = true / np.maximum(true + false, 1)
    above = np.where(called_above > 0, true_above / np.maximum(called_above, 1), 1.0)
    return float((true - true_above) @ (precision + above)) / (2.0 * float(before[-1]))


def _fpr95(ranking: _Ranking, weights: Whole, negative_weights: Whole, *, cut: Cut) -> float:
    before, under = _sums(weights), _sums(negative_weights)
    total = before[-1]
    # Recall at the score of place i is 1 - lost / total; 95 % of it is reached while lost <= total / 20. The last place
    # of equal recall is the score itself: those before it were not drawn.
    lost = before[ranking.first]
    place = int(np.searchsorted(lost, total // 20, "right"))
    if cut == "nearest" and place < len(lost) and 20 * lost[place] - total < total - 20 * lost[place - 1]:
        place = int(np.searchsorted(lost, lost[place], "right"))
    return float(under[-1] - under[ranking.below[place - 1]]) / float(under[-1])
