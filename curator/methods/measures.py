"""Measures: what methods ask of an image's vector itself, beside its cosines with labels.

A measure is a value, so that two methods that mean the same share it. It is made ready once, from the bank or from the
ID reference images, and then gives a few numbers for each image, which depend on that image alone, to the bit. An image
of the reference that a measure was fitted on would look nearer than a new one: it is measured by a fit on the other
folds of the reference (cross-fitting), as kNN leaves an image out of its own neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.types import Bank, Vectors

FOLDS = 10
NO_FOLD = -1  # of an image that is in no reference
Classes: TypeAlias = Literal["own", "nearest"]
Ready: TypeAlias = Callable[[Vectors], NDArray[np.float64]]  # (n, d) to (n, numbers)


@dataclass(frozen=True, eq=False)
class KnownImages:
    """Reference images that are known to be ID, in the order of their ids. vectors: (n, d) as stored; classes: (n,) the
    ID label of each, -1 for one of no class, by what it came with (`own`) or by the nearest label.

    `folds`: (n,), in [0, FOLDS); the images at every FOLDS-th place are one.
    """

    vectors: Vectors
    classes: NDArray[np.int64]
    classes_by: Classes = "nearest"

    @property
    def folds(self) -> NDArray[np.intp]:
        return np.arange(len(self.vectors)) % FOLDS

    def without(self, fold: int) -> KnownImages:
        """Those of the other folds; all for NO_FOLD."""
        if fold == NO_FOLD:
            return self
        kept = self.folds != fold
        return KnownImages(self.vectors[kept], self.classes[kept], self.classes_by)


class Measure(Protocol):
    """Hashable. of_reference: it is fitted on reference images; by_class: on the classes of these, too."""

    @property
    def of_reference(self) -> bool: ...
    @property
    def by_class(self) -> bool: ...

    def ready(self, bank: Bank, reference: KnownImages | None) -> Ready:
        """Raises UsageError for a reference that is missing or too small, BankError for a bank that lacks what it
        needs."""


def require_reference(reference: KnownImages | None) -> KnownImages:
    """Raises UsageError where there is none."""
    if reference is None:
        raise UsageError(
            "the method measures images against ID reference images, and there are none",
            hint="name some with `curator calibrate --reference SRC` (evaluate: --reference SRC)",
        )
    return reference


class Measuring:
    """The measures of some methods, for one bank and reference. A fit is made when the first image needs it."""

    def __init__(self, measures: Iterable[Measure], bank: Bank, reference: KnownImages | None) -> None:
        self._measures, self._bank, self._reference = tuple(measures), bank, reference
        self._ready: dict[tuple[Measure, int], Ready] = {}
        self.prepare(np.zeros(0, np.intp))

    def prepare(self, folds: NDArray[np.intp]) -> None:
        """Make the fits ready that images of these folds need, before threads ask for them. Raises what they raise."""
        for measure in self._measures:
            wanted = {NO_FOLD, *folds.tolist()} if measure.of_reference else {NO_FOLD}
            for fold in sorted(wanted):
                if (measure, fold) not in self._ready:
                    known = self._reference and self._reference.without(fold)
                    self._ready[measure, fold] = measure.ready(self._bank, known)

    def __call__(self, vectors: Vectors, folds: NDArray[np.intp] | None) -> dict[Measure, NDArray[np.float64]]:
        """By measure (n, numbers). folds: (n,) of the images in the reference, NO_FOLD for others; None: all others."""
        folds = np.full(len(vectors), NO_FOLD) if folds is None else folds
        self.prepare(folds)
        found = {}
        for measure in self._measures:
            of_image = folds if measure.of_reference else np.full(len(vectors), NO_FOLD)
            parts = [np.flatnonzero(of_image == fold) for fold in np.unique(of_image)] or [np.arange(0)]
            folds_of = [int(of_image[rows[0]]) if len(rows) else NO_FOLD for rows in parts]
            numbers = [self._ready[measure, fold](vectors[rows]) for fold, rows in zip(folds_of, parts, strict=True)]
            found[measure] = np.concatenate(numbers)[np.argsort(np.concatenate(parts))]
        return found
