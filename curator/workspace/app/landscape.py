"""The lake from above: every image on the plane of the two principal axes, and clusters of images that lie together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.report.atlas import FIT_SAMPLE, Plane, called, k_means
from curator.types import Vectors
from curator.vectors import ImageCollection
from curator.vectors.collections import BLOCK_ROWS, Positions, unit
from curator.workspace.app.apart import apart
from curator.workspace.app.frame import LakeFrame
from curator.workspace.app.projecting import Places, Stored, some_of
from curator.workspace.layout import Layout

CLUSTERS = 24
ALONE = 8  # images that a cluster should have at least, on average
NO_CLUSTER = 255


@dataclass(frozen=True, slots=True)
class Landscape:
    """By number: the cluster (NO_CLUSTER: none), and the place (n, 2) in [-1, 1], NaN where an image has no vector.

    names: what the images of each cluster are called together. explained: the share of the variance that each axis has.
    """

    clusters: NDArray[np.uint8]
    places: NDArray[np.float32]
    names: Sequence[str]
    explained: tuple[float, float]

    def covers(self, frame: LakeFrame) -> bool:
        """Whether every image of the frame was there when it was made."""
        size = len(self.clusters)
        return bool((frame.numbers < size).all()) and bool((self.clusters[frame.numbers] != NO_CLUSTER).all())

    def of_rows(self, frame: LakeFrame) -> NDArray[np.uint8]:
        """The clusters by row."""
        found = np.full(len(frame), NO_CLUSTER, np.uint8)
        known = frame.numbers < len(self.clusters)
        found[known] = self.clusters[frame.numbers[known]]
        return found


def make_landscape(layout: Layout, collection: ImageCollection, frame: LakeFrame) -> Landscape | None:
    """The landscape of a frame; None without any vector."""
    stored = collection.folder, collection.files, collection.dimension
    found = apart(layout, _laid_out, stored, frame.table["image_id"].to_pylist())
    if found is None:
        return None
    placed, owners, explained = found
    clusters = frame.by_number(owners, missing=NO_CLUSTER)
    x, y = (frame.by_number(placed[:, axis], missing=np.nan) for axis in (0, 1))
    return Landscape(clusters, np.stack([x, y], axis=1), _names(frame, owners), explained)


def _laid_out(
    stored: Stored, image_ids: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.uint8], tuple[float, float]] | None:
    """Places (n, 2) and clusters of images; and what share of the variance the axes show."""
    collection = ImageCollection(*stored)
    positions = collection.places_of(image_ids)
    rows = np.flatnonzero(positions >= 0)
    if not rows.size:
        return None
    vectors = unit(collection.vectors_at(positions[some_of(rows, FIT_SAMPLE)]))
    centres = k_means(vectors, max(1, min(CLUSTERS, rows.size // ALONE)))[0]
    plane = Plane.fit(vectors)
    places = np.full((len(image_ids), 2), np.nan, np.float32)
    owners = np.full(len(image_ids), NO_CLUSTER, np.uint8)
    for block, vectors in _blocks(collection, positions, rows):
        places[block] = plane.place(vectors)
        owners[block] = (vectors @ centres.T).argmax(axis=1)
    return fitted_places(places), owners, plane.explained


def on_axes(stored: Stored, image_ids: Sequence[str]) -> Places | None:
    """Places (n, 2) on the principal axes of these images alone, NaN for one without a vector; None without any."""
    collection = ImageCollection(*stored)
    positions = collection.places_of(image_ids)
    rows = np.flatnonzero(positions >= 0)
    if not rows.size:
        return None
    plane = Plane.fit(unit(collection.vectors_at(positions[some_of(rows, FIT_SAMPLE)])))
    places = np.full((len(image_ids), 2), np.nan, np.float32)
    for block, vectors in _blocks(collection, positions, rows):
        places[block] = plane.place(vectors)
    return places


def _blocks(
    collection: ImageCollection, positions: Positions, rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], Vectors]]:
    """Rows with their vectors, a block at a time."""
    for start in range(0, rows.size, BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        yield block, unit(collection.vectors_at(positions[block]))


def fitted_places(places: Places) -> Places:
    """The same in [-1, 1], both axes by one scale."""
    low, high = np.nanmin(places, axis=0), np.nanmax(places, axis=0)
    half = max(float((high - low).max()) / 2, 1e-9)
    return np.asarray((places - (low + high) / 2) / half, np.float32)


def _names(frame: LakeFrame, owners: NDArray[np.uint8]) -> list[str]:
    """What the images of each cluster are called together."""
    names, found = frame.texts["name"], []
    for cluster in range(int(owners[owners != NO_CLUSTER].max()) + 1):
        codes = names.codes[owners == cluster]
        found.append(called([names.known[code] for code in codes]) if codes.size else "")
    return found
