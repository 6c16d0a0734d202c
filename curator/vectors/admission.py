"""Which vectors of a collection a search may return."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.vectors.collections import BLOCK_ROWS, Positions, VectorCollection

Allow: TypeAlias = "Callable[[str], bool] | Collection[str] | NDArray[np.bool_]"


class Admission:
    """The admitted positions: all; those of a set of ids; those of a mask (n,); or those whose id a predicate accepts.

    A predicate is asked only about candidates, unless every position must be known. `share` is the admitted part of the
    collection, 0–1; for a predicate it is not known and said to be 1.
    """

    def __init__(self, collection: VectorCollection, allow: Allow | None) -> None:
        self._collection = collection
        self._predicate = allow if callable(allow) else None
        self._mask = None if allow is None or callable(allow) else _mask(collection, allow)

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
            self._mask = self._ask_all()
        return np.flatnonzero(self._mask)

    def _admits(self, positions: Positions) -> NDArray[np.bool_]:
        if self._mask is not None:
            return self._mask[positions]
        if self._predicate is None:
            return np.ones(len(positions), bool)
        return np.fromiter(map(self._predicate, self._collection.ids_at(positions)), bool, len(positions))

    def _ask_all(self) -> NDArray[np.bool_]:
        count = len(self._collection)
        mask = np.ones(count, bool)
        for start in range(0, count if self._predicate else 0, BLOCK_ROWS):
            block = np.arange(start, min(start + BLOCK_ROWS, count))
            mask[block] = self._admits(block)
        return mask


def _mask(collection: VectorCollection, allow: Collection[str] | NDArray[np.bool_]) -> NDArray[np.bool_]:
    if isinstance(allow, np.ndarray):
        if allow.shape != (len(collection),) or allow.dtype != np.bool_:
            raise UsageError(f"a mask of shape {allow.shape} and type {allow.dtype} for {len(collection)} vectors")
        return allow
    mask = np.zeros(len(collection), bool)
    mask[collection.positions_of(allow)] = True
    return mask
