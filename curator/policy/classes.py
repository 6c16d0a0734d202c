"""Mondrian categories: which classes are calibrated on their own, so that the promise holds within each of them.

The class of an image, reference or new, is its nearest ID label under the bank. It has to be one that can be told for
both alike: a category is a function of what is seen (Vovk, Lindsay, Nouretdinov and Gammerman, Mondrian confidence
machine, 2003), and the true label of a new image is not. The labels that came with reference images are not used.

A class with fewer references than the minimum has no cut of its own: all such classes are one category and share the
cut of their references pooled, which keeps the promise for them together. Where even these are too few, the smallest
classes with a cut of their own join them, until they are enough: a category without references could flag nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

POOLED = -1  # the category of all classes without a cut of their own
CLASS_TAIL = 5  # reference images of a class expected below its cut; fewer, and the cut says little


def class_minimum(tail: float) -> int:
    """From how many references a class has a cut of its own, where the share `tail` of them lies below it."""
    return math.ceil(round(CLASS_TAIL / tail, 6)) - 1


def own_classes(id_labels: NDArray[np.integer], *, minimum: int, label_count: int) -> tuple[int, ...]:
    """The labels that are calibrated on their own. id_labels: (n,) of the references; label_count: of the bank."""
    labels, counts = np.unique(id_labels, return_counts=True)
    by_size = sorted(zip(counts.tolist(), labels.tolist(), strict=True), key=lambda item: (-item[0], item[1]))
    own = [(count, label) for count, label in by_size if count >= minimum]
    pooled = int(counts.sum()) - sum(count for count, _ in own)
    while own and len(own) < label_count and pooled < minimum:
        pooled += own.pop()[0]
    return tuple(sorted(label for _, label in own))


def categories(id_labels: NDArray[np.integer], own: tuple[int, ...]) -> NDArray[np.int64]:
    """(m,): the label of each image if it is calibrated on its own, else POOLED."""
    return np.where(np.isin(id_labels, own), id_labels, POOLED).astype(np.int64)
