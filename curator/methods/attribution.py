"""Which labels make a score: their share of the sums it is made of, and what it would be without each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from curator.methods.kernels.exact_pass import Sides
from curator.methods.layers import WHOLE, Layer
from curator.methods.maths import Scores, log_sum_exp
from curator.methods.measures import Measure
from curator.methods.spec import Method, needs_of
from curator.methods.statistics import Needs, Statistics, exact_statistics, gathered
from curator.types import LabelRole


@dataclass(frozen=True, slots=True)
class LabelPart:
    """One label's part in an image's score.

    `share` of the sum of exp(s * cosine) over the labels of its role, in [0, 1], s the scale of the method.
    `log_odds_without`: what the method would give if the label were not there; None where it cannot work without it.
    """

    label: int
    role: LabelRole
    cosine: float
    share: float
    log_odds_without: float | None


@dataclass(frozen=True, slots=True)
class Attribution:
    """The log-odds of one image by exact cosines, and its nearest labels of each role, the nearest first."""

    log_odds: float
    id_score: float
    ids: tuple[LabelPart, ...]
    negatives: tuple[LabelPart, ...]


def attribute(
    method: Method,
    id_cosines: Scores,
    negative_cosines: Scores,
    *,
    scale: float,
    k: int,
    neighbours: Scores | None = None,
    layers: Mapping[Layer, Sides] | None = None,
    measures: Mapping[Measure, Scores] | None = None,
) -> Attribution:
    """id_cosines: (C,), negative_cosines: (M,), M may be 0; neighbours: cosines of reference images, where needed;
    measures: (numbers,) each, of the image, which stay what they are whatever label is left out.

    scale: of the shares, where the method itself has several or none. Negatives are counted on from the ID labels.
    layers: the image's cosines (1, ...) in each layer that the method asks for; a label that is left out is left out of
    all of them. Shares are by the cosines of the whole bank.
    """
    nearest_ids, nearest_negatives = (
        np.argsort(-cosines, kind="stable")[:k] for cosines in (id_cosines, negative_cosines)
    )
    removed = [(0, index) for index in nearest_ids] + [(1, index) for index in nearest_negatives]
    whole = Sides(id_cosines[None], negative_cosines[None], np.arange(len(negative_cosines)))
    views = {**(layers or {}), WHOLE: whole}
    with np.errstate(all="ignore"):  # without its only ID label a method has nothing to say: None below
        statistics = gathered(
            {
                layer: without_each(views[layer], removed, needs, neighbours)
                for layer, needs in needs_of([method]).items()
            }
        )
        repeated = {key: np.repeat(row[None], 1 + len(removed), axis=0) for key, row in (measures or {}).items()}
        found = method.log_odds(replace(statistics, measures=repeated))
    parts = _parts((id_cosines, negative_cosines), removed, found[1:], scale)
    return Attribution(
        log_odds=float(found[0]),
        id_score=float(method.id_score(found[:1])[0]),
        ids=tuple(part for part in parts if part.role == "id"),
        negatives=tuple(part for part in parts if part.role == "negative"),
    )


def _parts(
    sides: tuple[Scores, Scores], removed: Sequence[tuple[int, int]], without: Scores, scale: float
) -> list[LabelPart]:
    """Of each label that was left out: what it has in its side, and the log-odds without it."""
    shares = [
        np.exp(scale * cosines - log_sum_exp(scale * cosines[None])[0]) if len(cosines) else cosines
        for cosines in sides
    ]
    return [
        LabelPart(
            label=int(index) + side * len(sides[0]),
            role="negative" if side else "id",
            cosine=float(sides[side][index]),
            share=float(shares[side][index]),
            log_odds_without=float(log_odds) if np.isfinite(log_odds) else None,
        )
        for (side, index), log_odds in zip(removed, without, strict=True)
    ]


def without_each(
    sides: Sides, removed: Sequence[tuple[int, int]], needs: Needs, neighbours: Scores | None
) -> Statistics:
    """Of one image in one layer: as it is, then without each of the labels, (side, index among that side's labels).

    A label that is left out still counts where a method divides by how many there are (groups, TANL's sums).
    """
    rows = 1 + len(removed)
    ids, negatives = np.repeat(sides.ids, rows, axis=0), np.repeat(sides.negatives, rows, axis=0)
    for row, (side, index) in enumerate(removed, start=1):
        if side == 0:
            ids[row, index] = -np.inf
        else:
            negatives[row, sides.places == index] = -np.inf
    repeated = None if neighbours is None else np.repeat(neighbours[None], rows, axis=0)
    return exact_statistics(ids, negatives, needs, neighbours=repeated)


def scale_of(method: Method, default: float) -> float:
    """The scale of a method's sums over ID labels, by which labels share its score; `default` where it has no sums."""
    return max((scale for needs in needs_of([method]).values() for scale in needs.id_scales), default=default)
