"""Layers of a bank: what a method scores against besides the whole of it.

A layer is some of the negatives, or other vectors for the labels, or images seen through a projection. Each distinct
layer of all methods asked for gets one pass of its own (see scoring.py); a layer is a value, so that two methods that
mean the same share it. The ID labels are always all of them. The nearest labels of a score stay those of the whole
bank, by the vectors of its texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError
from curator.types import Bank, Vectors

TUNED_LABELS, TUNED_VECTORS = "tuned.labels", "tuned.vectors"
MEMORY_SLOTS, MEMORY_CLASSES = "memory.slots", "memory.classes"
PAIR_LABELS, PAIR_VECTORS = "pairs.labels", "pairs.vectors"  # places (ID label, negative), and their joint texts
DICTIONARY = "dictionary.vectors"  # images that are suspected of being OOD


@dataclass(frozen=True, slots=True)
class Layer:
    """`negatives`: those whose source begins with one of these; None: all of them, in the bank's order either way.

    `vectors`: a parameter of the bank, (labels, d), that stands in for the vectors of its texts. `tuned`: the vectors
    of the labels in `tuned.labels` are those in `tuned.vectors`. `projection`: images are projected first (see
    projection.py). `memory`: cosines are with proxies made for each image of the stored images of a label, weighed with
    this sharpness (see memory.py). Of `vectors`, `tuned` and `memory` at most one is given.
    """

    negatives: tuple[str, ...] | None = None
    vectors: str | None = None
    projection: bool = False
    tuned: bool = False
    memory: float | None = None


WHOLE = Layer()


def negatives_from(bank: Bank, prefixes: tuple[str, ...] | None) -> NDArray[np.intp]:
    """Which of the bank's negatives have a source that begins so: indices among the negatives, ascending."""
    negatives = bank.labels[bank.id_count :]
    if prefixes is None:
        return np.arange(len(negatives))
    return np.flatnonzero(np.array([label.source.startswith(prefixes) for label in negatives], dtype=bool))


def layer_vectors(bank: Bank, layer: Layer) -> Vectors:
    """The vectors of a layer's labels, (C + M', d), ID labels first. Raises BankError where parameters do not fit."""
    vectors = bank.vectors
    if layer.vectors is not None:
        vectors = parameter(bank, layer.vectors, bank.vectors.shape)
    elif layer.tuned:
        vectors = tuned_vectors(bank)
    if layer.negatives is None:
        return vectors
    kept = bank.id_count + negatives_from(bank, layer.negatives)
    chosen: Vectors = vectors[np.concatenate([np.arange(bank.id_count), kept])]
    return chosen


def tuned_vectors(bank: Bank) -> Vectors:
    """The bank's vectors; the rows that `tuned.labels` names are those of `tuned.vectors`, divided by their norm."""
    rows = parameter(bank, TUNED_LABELS, (None,))
    tuned = parameter(bank, TUNED_VECTORS, (len(rows), bank.vectors.shape[1])).astype(np.float64)
    if len(rows) and not (bank.id_count <= rows.min() and rows.max() < len(bank.labels)):
        raise BankError(f"bank {bank.name}: {TUNED_LABELS} names labels that are no negatives of it")
    norms = np.sqrt(np.einsum("nd,nd->n", tuned, tuned))
    vectors = bank.vectors.copy()
    vectors[rows] = tuned / norms[:, None]
    return vectors


def parameter(bank: Bank, name: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """A parameter of the bank of this shape (None: any length). Raises BankError when it is missing or has another."""
    require_parameters(bank, "a method", name)
    values = bank.parameters[name]
    fits = len(shape) == values.ndim and all(
        want in (None, have) for want, have in zip(shape, values.shape, strict=True)
    )
    if not fits:
        raise BankError(f"bank {bank.name}: its parameter {name} has shape {values.shape} instead of {shape}")
    return values


def require_parameters(bank: Bank, method: str, *names: str) -> None:
    """Raises BankError that says which of the parameters a method needs are not in the bank."""
    missing = [name for name in names if name not in bank.parameters]
    if missing:
        raise BankError(
            f"{method} needs the parameters {', '.join(missing)}",
            hint=f"bank {bank.name} has none of that name: they are learnt when such a bank is built",
        )
