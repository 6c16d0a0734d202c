"""The map of a night, made of its vectors: where its images lie, and how what is flagged falls into clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.report.atlas import EXAMPLES, FIT_SAMPLE, Cluster, Plane, called, find_clusters, on_canvas
from curator.report.night_map import NO_CLUSTER, MapPoints
from curator.store import Database
from curator.store.tables import Row
from curator.types import Vectors
from curator.vectors import ImageCollection
from curator.vectors.collections import BLOCK_ROWS, unit
from curator.workspace.context import Context
from curator.workspace.look.arrivals import Arrivals
from curator.workspace.look.neighbours import image_collection
from curator.workspace.night.drift import vectors_of

MAP_IMAGES = 100_000
CLUSTERED = 10_000  # flagged images of tonight, and of earlier nights, that clusters are made of


@dataclass(frozen=True, slots=True)
class NightMap:
    """clusters, with what each is called. examples: the places of some images of each among the arrivals. cluster_of:
    by place."""

    points: MapPoints
    explained: tuple[float, float]
    clusters: Sequence[Cluster]
    names: Sequence[str]
    examples: Sequence[Sequence[int]]
    cluster_of: Mapping[int, int]


def map_night(context: Context, database: Database, selection: Row, *, run_number: int, arrivals: Arrivals) -> NightMap:
    """The images that arrived in a scan."""
    seen = _Seen.find(context, database, selection, arrivals)
    if not len(seen.places):
        return NightMap(_points(arrivals, seen, np.zeros((0, 2), np.float32), {}, ()), (0.0, 0.0), (), (), (), {})
    before = database.column("list_flagged_before", run_number=run_number, limit=CLUSTERED)
    earlier = vectors_of(context, database, selection["encoder_id"], before)[1]
    chosen = _thinned(np.flatnonzero(arrivals.flagged[seen.places]), CLUSTERED)
    clusters = find_clusters(seen.vectors(chosen), earlier)
    members = [[int(seen.places[chosen[member]]) for member in cluster.members] for cluster in clusters]
    cluster_of = {place: number for number, group in enumerate(members) for place in group}
    every = arrivals.column("name")
    names = [called([every[place] for place in group]) for group in members]
    plane = Plane.fit(seen.vectors(_thinned(np.arange(len(seen.places)), FIT_SAMPLE)))
    points = _points(arrivals, seen, seen.placed(plane), cluster_of, names)
    return NightMap(points, plane.explained, clusters, names, [group[:EXAMPLES] for group in members], cluster_of)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The images that the map shows: where their vectors lie, and their places among the arrivals, in one order."""

    collection: ImageCollection
    positions: NDArray[np.int64]
    places: NDArray[np.int64]

    @classmethod
    def find(cls, context: Context, database: Database, selection: Row, arrivals: Arrivals) -> _Seen:
        """All that have a vector where the map holds them, else the flagged ones and a sample of the others."""
        ids = arrivals.column("image_id")
        if not ids:
            nothing = np.zeros(0, np.int64)
            return cls(ImageCollection(context.layout.root, (), 1), nothing, nothing)
        place_of = {image_id: place for place, image_id in enumerate(ids)}
        collection = image_collection(context, database, selection["encoder_id"])
        positions = collection.positions_of(ids)
        places = np.array([place_of[image_id] for image_id in collection.ids_at(positions)], np.int64)
        if len(places) > MAP_IMAGES:
            order = sorted(range(len(places)), key=lambda at: (not arrivals.flagged[places[at]], ids[places[at]]))
            kept = np.sort(np.array(order[:MAP_IMAGES]))
            positions, places = positions[kept], places[kept]
        return cls(collection, positions, places)

    def vectors(self, which: NDArray[np.int64]) -> Vectors:
        return unit(self.collection.vectors_at(self.positions[which]))

    def placed(self, plane: Plane) -> NDArray[np.float32]:
        """Places on the plane (n, 2), a bounded part of the vectors at a time."""
        parts = np.split(np.arange(len(self.positions)), range(BLOCK_ROWS, len(self.positions), BLOCK_ROWS))
        return np.concatenate([plane.place(self.vectors(part)) for part in parts])


def _thinned(which: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of them, evenly spaced."""
    return which if len(which) <= most else which[np.linspace(0, len(which) - 1, most).astype(int)]


def _points(
    arrivals: Arrivals,
    seen: _Seen,
    placed: NDArray[np.float32],
    cluster_of: Mapping[int, int],
    clusters: Sequence[str],
) -> MapPoints:
    """What the page draws, the least ID first."""
    order = np.argsort(seen.places, kind="stable")
    chosen = seen.places[order]
    shown = arrivals.table.take(pa.array(chosen))
    return MapPoints(
        places=on_canvas(placed)[order],
        flagged=arrivals.flagged[chosen],
        cluster=np.array([cluster_of.get(place, NO_CLUSTER) for place in chosen.tolist()], np.uint8),
        log_odds=shown["log_odds"].to_numpy(),
        top_ids=[text or "" for text in shown["top_id"].to_pylist()],
        names=shown["name"].to_pylist(),
        uris=shown["uri"].to_pylist(),
        clusters=clusters,
    )
