"""kNN: how near the k-th nearest of the ID reference images is. Looks at images only, not at labels.

Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022: the negative Euclidean distance of
unit vectors, here from the cosine. The paper takes k = 1000 on all of ImageNet and k = 10 on a hundredth of it: k grows
with the reference. The default 10 suits references of some thousands of images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from curator.errors import UsageError
from curator.methods.maths import Cosines, Scores
from curator.methods.spec import Count, PlainMethod
from curator.methods.statistics import Needs, Statistics, nearest_first
from curator.types import Bank

DEFAULT_K = 10


def knn_score(
    id_cosines: Cosines, negative_cosines: Cosines | None = None, *, reference_cosines: Cosines, k: int = DEFAULT_K
) -> Scores:
    """-sqrt(2 - 2 c_k), in [-2, 0], c_k the k-th largest of reference_cosines (n, references). Labels are ignored.

    Raises UsageError when there are fewer than k.
    """
    return distance_score(nearest_first(reference_cosines, k)[:, k - 1])


def distance_score(cosines: Scores) -> Scores:
    """The negative Euclidean distance of unit vectors from their cosine."""
    distance: Scores = np.sqrt(np.maximum(2.0 - 2.0 * cosines, 0.0))
    return -distance


@dataclass(frozen=True, slots=True, kw_only=True)
class KNN(PlainMethod):
    """`k` as above; `reference` names the set of reference images that scores were made with, filled in by itself."""

    name: ClassVar[str] = "knn"
    formula: ClassVar[Any] = staticmethod(knn_score)
    k: Count = DEFAULT_K
    reference: str = ""

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        if parameters.get("reference"):
            raise UsageError("knn: the reference is what `curator calibrate --reference` read, no parameter")
        return cls(**parameters)

    @property
    def needs(self) -> Needs:
        return Needs(neighbours=self.k)

    def log_odds(self, statistics: Statistics) -> Scores:
        return distance_score(statistics.neighbours[:, self.k - 1])
