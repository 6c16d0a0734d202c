"""The figures of one bank and method: each OOD set against the ID images, and the means over sets, with intervals.

The mean over sets is what the papers print: every set counts the same, whatever its size.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.metrics import METRICS, bootstrap, interval, measure

Scores: TypeAlias = NDArray[np.float64]
Scope: TypeAlias = Literal["set", "average", "near", "far"]
Group: TypeAlias = Literal["near", "far"]
AVERAGES = ("average", "near", "far")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric, 0–1, and its bootstrap interval; both ends NaN when nothing was resampled."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The metrics of one OOD set, or the means over sets: of all (`average`), of the near ones, of the far ones."""

    scope: Scope
    name: str
    id_count: int
    ood_count: int
    metrics: Mapping[str, Estimate]


def figures_of(
    id_scores: Scores | Mapping[str, Scores],
    ood_scores: Mapping[str, Scores],
    groups: Mapping[str, Group],
    *,
    replicates: int,
    seed: int,
) -> list[Figures]:
    """The figures of each set in order, then the means: over all sets where there are several, and over near and far
    ones where sets are grouped.

    id_scores: (n,), or (n,) by set where what else passes changes them; ood_scores: (m,) by set; higher is more ID.
    replicates: of the bootstrap, 0 for no intervals.
    """
    ids = id_scores if isinstance(id_scores, Mapping) else dict.fromkeys(ood_scores, id_scores)
    values = {name: measure(ids[name], scores) for name, scores in ood_scores.items()}
    drawn = {
        name: bootstrap(ids[name], scores, replicates=replicates, seed=seed, stream=zlib.crc32(name.encode()))
        for name, scores in ood_scores.items()
    }

    def figures(scope: Scope, title: str, names: Sequence[str]) -> Figures:
        metrics = {}
        for metric in METRICS:
            low, high = interval(np.mean([drawn[name][metric] for name in names], axis=0))
            metrics[metric] = Estimate(float(np.mean([values[name][metric] for name in names])), low, high)
        return Figures(scope, title, len(ids[names[0]]), sum(len(ood_scores[name]) for name in names), metrics)

    sets = [figures("set", name, [name]) for name in ood_scores]
    return sets + [figures(scope, scope, names) for scope, names in _averages(ood_scores, groups)]


def _averages(names: Iterable[str], groups: Mapping[str, Group]) -> list[tuple[Scope, list[str]]]:
    every = list(names)
    found: list[tuple[Scope, list[str]]] = [("average", every)] if len(every) > 1 else []
    for group in ("near", "far"):
        members = [name for name in every if groups.get(name) == group]
        if members and len(every) > 1 and len(members) < len(every):
            found.append((group, members))
    return found
