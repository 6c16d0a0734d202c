"""Admission: which vectors of a collection a search may return."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.vectors.collections import BLOCK_ROWS, Positions, VectorCollection

Allow: TypeAlias = "Callable[[str], bool] | NDArray[np.bool_]"  # of an id; of all positions, (n,)


class Admission:
    """The admitted positions: all; those of a mask (n,); or those whose id a predicate accepts.

    A predicate is asked only about candidates, unless every position must be known. `share` is the admitted part of the
    collection, 0–1; for a predicate it is not known and said to be 1. Raises UsageError for a mask of another shape.
    """

    def __init__(self, collection: VectorCollection, allow: Allow | None) -> None:
        self._collection = collection
        self._predicate = allow if callable(allow) else None
        self._mask = allow if isinstance(allow, np.ndarray) else None
        mask = self._mask
        if mask is not None and (mask.shape != (len(collection),) or mask.dtype != np.bool_):
            raise UsageError(f"a mask of shape {mask.shape} and type {mask.dtype} for {len(collection)} vectors")

    @property
    def share(self) -> float:
        return 1.0 if self._mask is None else float(self._mask.mean()) if self._mask.size else 0.0

    def of(self, positions: Positions) -> NDArray[np.bool_]:
        """Which of these positions, of any shape, are admitted; -1 never is."""
        known, places = np.unique(positions, return_inverse=True)
        return (self._admits(np.maximum(known, 0)) & (known >= 0))[places].reshape(positions.shape)

    def positions(self) -> Positions:
        """All admitted positions, ascending."""
        if self._mask is None:
            everything = np.arange(len(self._collection))
            blocks = np.split(everything, range(BLOCK_ROWS, len(everything), BLOCK_ROWS))
            self._mask = np.concatenate([self._admits(block) for block in blocks])
        return np.flatnonzero(self._mask)

    def _admits(self, positions: Positions) -> NDArray[np.bool_]:
        if self._mask is not None:
            return self._mask[positions]
        if self._predicate is None:
            return np.ones(len(positions), bool)
        return np.fromiter(map(self._predicate, self._collection.ids_at(positions)), bool, len(positions))
