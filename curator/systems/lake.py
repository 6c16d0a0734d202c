"""Images of the lake as systems see them: vectors, and how the parent bank judges them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.types import Vectors


@dataclass(frozen=True)
class LakeSample:
    """Images with their scores under NegLabel on the parent bank, in the order of `image_ids`.

    vectors: (n, d) as stored. id_score: (n,) in [0, 1]. id_label: (n,) the index of the nearest ID label.
    """

    image_ids: tuple[str, ...]
    vectors: Vectors
    id_score: NDArray[np.float64]
    id_label: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.image_ids)

    def take(self, places: NDArray[np.intp]) -> LakeSample:
        """The images at these places, in this order."""
        ids = tuple(self.image_ids[place] for place in places.tolist())
        return LakeSample(ids, self.vectors[places], self.id_score[places], self.id_label[places])

    def sorted_by_id(self) -> LakeSample:
        """In the order of image ids, so that nothing depends on the order in which images came."""
        return self.take(np.argsort(np.array(self.image_ids, dtype=object), kind="stable"))

    def lowest_first(self) -> LakeSample:
        """In the order of scores, the least ID first; equal ones by id."""
        by_id = self.sorted_by_id()
        return by_id.take(np.argsort(by_id.id_score, kind="stable"))


def joined(first: LakeSample, second: LakeSample) -> LakeSample:
    """Both samples, one after the other."""
    return LakeSample(
        first.image_ids + second.image_ids,
        np.concatenate([first.vectors, second.vectors]),
        np.concatenate([first.id_score, second.id_score]),
        np.concatenate([first.id_label, second.id_label]),
    )
