"""The ID reference images of a workspace: what methods measure images against."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.evaluation.labels import LabelMap, label_of, match_labels
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.measures import FOLDS, NO_FOLD, KnownImages
from curator.store import Database
from curator.store.tables import Row
from curator.types import Bank, Vectors
from curator.vectors import LabelCollection, Neighbours, load_recipe, read_rows

BLOCK_ROWS = 4096


@dataclass(frozen=True)
class ReferenceSet:
    """Distinct images that are known to be ID, by image id. `vectors`: (n, d) as stored; `labels`: what each came with,
    None for one that came with none, empty where no method asks; `label_map`: their names."""

    image_ids: tuple[str, ...]
    vectors: Vectors
    labels: tuple[str | None, ...] = ()
    label_map: LabelMap = field(default_factory=LabelMap)

    def __len__(self) -> int:
        return len(self.image_ids)

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits that name the set."""
        return hashlib.sha256("\n".join(self.image_ids).encode()).hexdigest()[:12]

    @cached_property
    def _place_of(self) -> Mapping[str, int]:
        return {image_id: place for place, image_id in enumerate(self.image_ids)}

    def places(self, image_ids: Sequence[str]) -> NDArray[np.intp]:
        """Where images stand in the set, (n,); -1 for one that is not in it."""
        return np.array([self._place_of.get(image_id, -1) for image_id in image_ids], dtype=np.intp)

    def folds(self, image_ids: Sequence[str]) -> NDArray[np.intp]:
        """Which fold of the set images are in, (n,); NO_FOLD for one that is not in it. See methods/measures.py."""
        places = self.places(image_ids)
        return np.where(places < 0, NO_FOLD, places % FOLDS)

    def known(self, bank: Bank, *, by_class: bool) -> KnownImages:
        """The set, `by_class` with the ID label of each image: its own where any has one, else the nearest."""
        if not by_class:
            return KnownImages(self.vectors, np.full(len(self), -1))
        names = match_labels(filter(None, self.labels), bank.id_texts, self.label_map)
        own = np.array([names.get(label or "", -1) for label in self.labels], dtype=np.int64)
        if (own >= 0).any():
            return KnownImages(self.vectors, own, "own")
        return KnownImages(self.vectors, nearest_labels(self.vectors, bank.id_vectors), "nearest")

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
        others = np.argsort(positions == self.places(image_ids)[:, None], axis=1, kind="stable")[:, :k]
        return np.take_along_axis(positions, others, axis=1), np.take_along_axis(cosines, others, axis=1)


def nearest_labels(vectors: Vectors, id_vectors: Vectors) -> NDArray[np.int64]:
    """The ID label with the largest cosine of each image, (n,); of equal ones the first."""
    labels = on_grid(id_vectors)
    starts = range(0, max(len(vectors), 1), BLOCK_ROWS)
    found = [exact_cosines(on_grid(vectors[start : start + BLOCK_ROWS]), labels).argmax(axis=1) for start in starts]
    return np.concatenate(found).astype(np.int64)


def load_reference(
    database: Database,
    vector_folder: Path,
    encoder_id: str,
    *,
    among: Collection[str] | None = None,
    label_map: LabelMap | None = None,
) -> ReferenceSet:
    """The reference images that are there now, or those of them whose ids are `among` these; label_map: with what each
    came with, by these names. UsageError if none is."""
    rows = database.rows("list_reference_vectors", encoder_id=encoder_id)
    rows = rows if among is None else [row for row in rows if row["image_id"] in among]
    if not rows:
        raise UsageError(
            "the method measures images against ID reference images, and there are none",
            hint="name some with `curator calibrate --reference SRC` (evaluate: --reference SRC)",
        )
    found = read_set(vector_folder, rows)
    if label_map is None:
        return found
    return replace(found, labels=came_with(database, found.image_ids), label_map=label_map)


def came_with(database: Database, image_ids: Sequence[str]) -> tuple[str | None, ...]:
    """The label that each image came with: of its sample, its row or its folder."""
    with database.incoming(wanted=pa.table({"image_id": pa.array(image_ids, pa.string())})):
        rows = database.rows("list_image_places")
    labels = {row["image_id"]: label_of(row["uri"], row["source_label"] or None, row["kind"]) for row in rows}
    return tuple(labels.get(image_id) for image_id in image_ids)


def read_set(vector_folder: Path, rows: Sequence[Row]) -> ReferenceSet:
    """The images of rows that say where their vectors lie (by file and row, in this order), at least one."""
    found: dict[str, NDArray[np.float32]] = {}
    for name, group in groupby(rows, key=lambda row: str(row["vector_file"])):
        wanted = list(group)
        vectors = read_rows(vector_folder / f"{name}.safetensors", [row["row_index"] for row in wanted], verified=True)
        found.update(zip((row["image_id"] for row in wanted), vectors, strict=True))
    image_ids = tuple(sorted(found))
    return ReferenceSet(image_ids, np.stack([found[image_id] for image_id in image_ids]))
