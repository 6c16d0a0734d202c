"""The ID reference images of a workspace: what kNN and fusion measure images against."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.store import Database
from curator.store.tables import Row
from curator.types import Vectors
from curator.vectors import LabelCollection, Neighbours, load_recipe, read_rows


@dataclass(frozen=True)
class ReferenceSet:
    """Distinct images that are known to be ID, by image id. `vectors`: (n, d) as stored."""

    image_ids: tuple[str, ...]
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.image_ids)

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits that name the set."""
        return hashlib.sha256("\n".join(self.image_ids).encode()).hexdigest()[:12]

    @cached_property
    def _neighbours(self) -> Neighbours:
        from curator.vectors.faiss_index import FaissIndex

        collection = LabelCollection(self.vectors, self.digest, name="reference")
        return Neighbours(collection, FaissIndex.build(collection, load_recipe("flat")))

    def nearest(
        self, image_ids: Sequence[str], vectors: Vectors, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k nearest reference images of each image but itself: positions and cosines (n, k), the nearest first.

        Raises UsageError when there are not that many.
        """
        if len(self) <= k:
            raise UsageError(
                f"{len(self)} reference images are too few for the {k} nearest of each",
                hint="name more with `curator calibrate --reference SRC`, or set a smaller k: --method knn:k=3",
            )
        positions, cosines = self._neighbours.nearest(vectors, k + 1)
        place_of = {image_id: place for place, image_id in enumerate(self.image_ids)}
        own = np.array([place_of.get(image_id, -1) for image_id in image_ids])
        others = np.argsort(positions == own[:, None], axis=1, kind="stable")[:, :k]
        return np.take_along_axis(positions, others, axis=1), np.take_along_axis(cosines, others, axis=1)


def load_reference(
    database: Database, vector_folder: Path, encoder_id: str, *, among: Collection[str] | None = None
) -> ReferenceSet:
    """The reference images that are there now, or those of them whose ids are `among` these. UsageError if none is."""
    rows = database.rows("list_reference_vectors", encoder_id=encoder_id)
    rows = rows if among is None else [row for row in rows if row["image_id"] in among]
    if not rows:
        raise UsageError(
            "the method measures images against ID reference images, and there are none",
            hint="name some with `curator calibrate --reference SRC` (evaluate: --reference SRC)",
        )
    return read_set(vector_folder, rows)


def read_set(vector_folder: Path, rows: Sequence[Row]) -> ReferenceSet:
    """The images of rows that say where their vectors lie (by file and row, in this order), at least one."""
    found: dict[str, NDArray[np.float32]] = {}
    for name, group in groupby(rows, key=lambda row: str(row["vector_file"])):
        wanted = list(group)
        vectors = read_rows(vector_folder / f"{name}.safetensors", [row["row_index"] for row in wanted], verified=True)
        found.update(zip((row["image_id"] for row in wanted), vectors, strict=True))
    image_ids = tuple(sorted(found))
    return ReferenceSet(image_ids, np.stack([found[image_id] for image_id in image_ids]))
