"""What methods are made of: a few numbers of each image, gathered in one pass over all labels and serving all methods.

The largest ID cosine, the largest negative cosine, the log of the sum of exponentials over the ID labels and over each
group of negatives, the cosines of the nearest reference images, and measures of its vector. The kernel gathers them
without ever holding all cosines; `exact_statistics` takes them from the cosines themselves, in float64, and is what the
kernel is held against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.methods.grouping import Groups
from curator.methods.layers import WHOLE, Layer
from curator.methods.maths import Cosines, Scores, log_sum_exp
from curator.methods.measures import Measure


@dataclass(frozen=True, slots=True)
class Needs:
    """What a method asks of the pass. A scale s stands for logits z = s * cosine.

    `id_scales`: sums over the ID labels. `masses`: sums over groups of negatives. `neighbours`: so many nearest
    reference images. `measures`: of the vector itself, see measures.py.
    """

    id_scales: frozenset[float] = frozenset()
    masses: frozenset[tuple[float, Groups]] = frozenset()
    neighbours: int = 0
    measures: frozenset[Measure] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.id_scales | other.id_scales,
            self.masses | other.masses,
            max(self.neighbours, other.neighbours),
            self.measures | other.measures,
        )

    @property
    def of_reference(self) -> bool:
        """Whether images are compared with reference images."""
        return self.neighbours > 0 or any(measure.of_reference for measure in self.measures)

    @property
    def by_class(self) -> bool:
        """Whether the classes of these matter."""
        return any(measure.by_class for measure in self.measures)


@dataclass(frozen=True, slots=True)
class Statistics:
    """The numbers of n images, all float64. Absent negatives have cosine -inf and label -1.

    `id_rest[s]`, (n,): log-sum-exp of s * c over the ID labels but the nearest one, so that nothing is lost where that
    one holds nearly all. `masses[s, grouping]`, (n, G). `neighbours`, (n, k): cosines, the nearest first.
    `measures[measure]`, (n, numbers). `layers`: the same of each layer that a method asked for, its negatives counted
    among the layer's own.
    """

    id_label: NDArray[np.intp]
    id_cosine: Scores
    negative_label: NDArray[np.intp]
    negative_cosine: Scores
    id_rest: Mapping[float, Scores]
    masses: Mapping[tuple[float, Groups], NDArray[np.float64]]
    id_count: int
    negative_count: int = 0
    neighbours: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    layers: Mapping[Layer, Statistics] = field(default_factory=dict)
    measures: Mapping[Measure, NDArray[np.float64]] = field(default_factory=dict)

    def id_mass(self, scale: float) -> Scores:
        """log-sum-exp of scale * c over all ID labels, (n,)."""
        mass: Scores = np.logaddexp(scale * self.id_cosine, self.id_rest[scale])
        return mass


def exact_statistics(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    needs: Needs,
    *,
    neighbours: Cosines | None = None,
    order: NDArray[np.intp] | None = None,
    measures: Mapping[Measure, NDArray[np.float64]] | None = None,
) -> Statistics:
    """From the cosines: id_cosines (n, C), negative_cosines (n, M) or None, neighbours (n, references) in any order.
    Measures are taken as they are.

    `order` puts the grouped negatives in another order than their grouping draws. Raises UsageError when a method needs
    negatives or reference images and there are none.
    """
    ids = np.asarray(id_cosines, dtype=np.float64)
    rows = np.arange(len(ids))
    top = ids.argmax(axis=1)
    others = ids.copy()
    others[rows, top] = -np.inf
    negatives = None if negative_cosines is None or not negative_cosines.shape[1] else np.asarray(negative_cosines)
    if needs.masses and negatives is None:
        raise UsageError("the method needs negative labels, and there are none")
    nearest = np.full(len(ids), -1) if negatives is None else negatives.argmax(axis=1)
    return Statistics(
        id_label=top,
        id_cosine=ids[rows, top],
        negative_label=nearest,
        negative_cosine=np.full(len(ids), -np.inf) if negatives is None else negatives[rows, nearest].astype(float),
        id_rest={scale: log_sum_exp(scale * others) for scale in needs.id_scales},
        masses={
            (scale, grouping): exact_masses(negatives, scale, grouping, order)
            for scale, grouping in needs.masses
            if negatives is not None
        },
        id_count=ids.shape[1],
        negative_count=0 if negatives is None else negatives.shape[1],
        neighbours=nearest_first(neighbours, needs.neighbours),
        measures=measures or {},
    )


def exact_masses(
    negatives: Cosines, scale: float, grouping: Groups, order: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """log-sum-exp of scale * c over each group: (n, M) to (n, G)."""
    sizes = grouping.sizes(negatives.shape[1])
    logits = scale * np.asarray(negatives, dtype=np.float64).take(
        grouping.order(negatives.shape[1]) if order is None else order, axis=1
    )
    borders = np.cumsum([0, *sizes])
    groups = [log_sum_exp(logits[:, start:stop]) for start, stop in pairwise(borders)]
    return np.stack(groups, axis=1)


def stacked(parts: Sequence[Statistics]) -> Statistics:
    """One after the other the statistics of blocks of images, without neighbours and layers. At least one block."""
    if len(parts) == 1:
        return parts[0]
    return Statistics(
        id_label=np.concatenate([part.id_label for part in parts]),
        id_cosine=np.concatenate([part.id_cosine for part in parts]),
        negative_label=np.concatenate([part.negative_label for part in parts]),
        negative_cosine=np.concatenate([part.negative_cosine for part in parts]),
        id_rest={scale: np.concatenate([part.id_rest[scale] for part in parts]) for scale in parts[0].id_rest},
        masses={key: np.concatenate([part.masses[key] for part in parts]) for key in parts[0].masses},
        id_count=parts[0].id_count,
        negative_count=parts[0].negative_count,
    )


def gathered(found: Mapping[Layer, Statistics]) -> Statistics:
    """The statistics of the whole bank with those of all layers in them, itself included."""
    return replace(found[WHOLE], layers=found)


def nearest_first(cosines: Cosines | None, count: int) -> NDArray[np.float64]:
    """The `count` largest cosines of each row, descending. Raises UsageError when there are fewer."""
    if count == 0:
        return np.zeros((0, 0))
    if cosines is None or cosines.shape[1] < count:
        have = 0 if cosines is None else cosines.shape[1]
        raise UsageError(f"the method needs {count} reference images, and there are {have}")
    return -np.sort(-np.asarray(cosines, dtype=np.float64), axis=1)[:, :count]
