"""Judges a bank on images whose side is known: flags at one cut, and AUROC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from curator.metrics import auroc
from curator.types import Vectors
from curator.workspace.review.evidence import Judged

MOST_AUROC_LOST = 0.005  # labels that change move every score a little


@dataclass(frozen=True, slots=True)
class ReviewFigures:
    """Of ID images (reference, and decided ID) and OOD images (decided OOD): how many, how many flagged at the cut, and
    the AUROC; None where one side has no image."""

    id_count: int
    id_flagged: int
    ood_count: int
    ood_flagged: int
    auroc: float | None

    def harm(self, before: ReviewFigures) -> str:
        """What is worse than before; empty if nothing is."""
        if self.id_flagged > before.id_flagged:
            return f"flags {self.id_flagged} of {self.id_count} ID images, before {before.id_flagged}"
        if self.ood_flagged < before.ood_flagged:
            return f"flags {self.ood_flagged} of {self.ood_count} OOD images, before {before.ood_flagged}"
        return ""


@dataclass(frozen=True, slots=True)
class Sided:
    """Images with their sides: vectors (n, d), is_id (n,)."""

    vectors: Vectors
    is_id: NDArray[np.bool_]

    @classmethod
    def of(cls, judged: Sequence[Judged], reference: Vectors) -> Self:
        """Reviewed images and reference images. One that is reviewed counts by its review, once."""
        vectors = np.concatenate([reference, *(item.vector[None] for item in judged)])
        sides = [True] * len(reference) + [item.is_id for item in judged]
        return cls(vectors, np.array(sides, dtype=bool))

    def figures(self, log_odds: NDArray[np.floating], cut: float) -> ReviewFigures:
        inside, outside = log_odds[self.is_id], log_odds[~self.is_id]
        area = float(auroc(inside, outside)) if len(inside) and len(outside) else None
        return ReviewFigures(len(inside), int((inside < cut).sum()), len(outside), int((outside < cut).sum()), area)


def judge(before: ReviewFigures, after: ReviewFigures) -> str | None:
    """Why a bank must not take the place of the one before; None if it may."""
    if harm := after.harm(before):
        return f"it {harm}"
    if before.auroc is not None and after.auroc is not None and after.auroc < before.auroc - MOST_AUROC_LOST:
        return f"its AUROC is {after.auroc:.4f}, before {before.auroc:.4f}"
    return None


def shortfall(log_odds: NDArray[np.floating], is_id: NDArray[np.bool_], cut: float) -> float:
    """By how much images lie on the wrong side of the cut, summed: what a change must make smaller to help."""
    beyond = np.where(is_id, cut - log_odds, log_odds - cut)
    return float(beyond[beyond > 0].sum())
