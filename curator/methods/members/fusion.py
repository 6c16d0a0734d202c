"""Fusion: the weighted mean of a text-side score (NegLabel) and an image-side score (kNN), each standardised first.

The sum rule of Kittler et al. (On Combining Classifiers, PAMI 1998) after z-score normalisation (Jain et al., Score
Normalization in Multimodal Biometric Systems, Pattern Recognition 2005). The text side enters as log-odds, which do not
saturate. Mean and deviation are those of the ID reference images, each scored without itself among its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

from curator.errors import UsageError
from curator.methods.grouping import Permutation, Remainder
from curator.methods.maths import Cosines, Scores
from curator.methods.members.knn import DEFAULT_K, KNN, knn_score
from curator.methods.members.neglabel import NegLabel, neglabel_log_odds
from curator.methods.spec import Count, Factor, Natural, PlainMethod, Positive, Share, require_negatives
from curator.methods.statistics import Needs, Statistics
from curator.types import Bank

SMALLEST_DEVIATION = 1e-6
TEXT_PARAMETERS = tuple(field.name for field in fields(NegLabel))


def fusion_score(
    id_cosines: Cosines,
    negative_cosines: Cosines | None,
    *,
    reference_cosines: Cosines,
    weight: float = 0.5,
    k: int = DEFAULT_K,
    text_mean: float,
    text_deviation: float,
    image_mean: float,
    image_deviation: float,
    scale: float,
    temperature: float = 1.0,
    group_count: int | None = None,
    group_size: int | None = None,
    remainder: Remainder = "drop",
    permutation: Permutation | None = None,
) -> Scores:
    """(1 - weight) * (NegLabel log-odds - text_mean) / text_deviation + weight * the same of kNN.

    reference_cosines: (n, references); the other cosines and parameters as in `neglabel_log_odds` and `knn_score`.
    """
    text = neglabel_log_odds(
        id_cosines,
        negative_cosines,
        scale=scale,
        temperature=temperature,
        group_count=group_count,
        group_size=group_size,
        remainder=remainder,
        permutation=permutation,
    )
    image = knn_score(id_cosines, reference_cosines=reference_cosines, k=k)
    return (1 - weight) * (text - text_mean) / text_deviation + weight * (image - image_mean) / image_deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion(PlainMethod):
    """`weight` in [0, 1] of the image side. The means and deviations are measured on the reference, see `fitted`."""

    name: ClassVar[str] = "fusion"
    formula: ClassVar[Any] = staticmethod(fusion_score)
    scale: Factor
    temperature: Factor = 1.0
    group_count: Count | None = None
    group_size: Count | None = None
    remainder: Remainder = "drop"
    seed: Natural = 0
    weight: Share = 0.5
    k: Count = DEFAULT_K
    reference: str = ""
    text_mean: float = 0.0
    text_deviation: Positive = 1.0
    image_mean: float = 0.0
    image_deviation: Positive = 1.0

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        measured = {"reference", "text_mean", "text_deviation", "image_mean", "image_deviation"} & parameters.keys()
        if measured:
            raise UsageError(f"fusion: {', '.join(sorted(measured))}: measured on the reference, not parameters")
        require_negatives("fusion", bank)
        own = {name: value for name, value in parameters.items() if name in ("weight", "k")}
        text = NegLabel.for_bank(bank, {name: value for name, value in parameters.items() if name not in own})
        return cls(**{name: getattr(text, name) for name in TEXT_PARAMETERS}, **own)

    def fitted(self, text: Scores, image: Scores) -> Self:
        """The method with mean and deviation of both sides' log-odds as the reference images have them."""
        return replace(
            self,
            text_mean=float(text.mean()),
            text_deviation=max(float(text.std()), SMALLEST_DEVIATION),
            image_mean=float(image.mean()),
            image_deviation=max(float(image.std()), SMALLEST_DEVIATION),
        )

    @property
    def needs(self) -> Needs:
        return self.text.needs | self.image.needs

    def log_odds(self, statistics: Statistics) -> Scores:
        text = (self.text.log_odds(statistics) - self.text_mean) / self.text_deviation
        image = (self.image.log_odds(statistics) - self.image_mean) / self.image_deviation
        return (1 - self.weight) * text + self.weight * image

    @property
    def text(self) -> NegLabel:
        return NegLabel(**{name: getattr(self, name) for name in TEXT_PARAMETERS})

    @property
    def image(self) -> KNN:
        return KNN(k=self.k, precision=self.precision)
