"""The map of a night as the page's script reads it: arrays in base64, 18 bytes an image, so that 100,000 images are
under three megabytes and drawn at once."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_CLUSTER = 255
MOST_ADDRESSES = 2000


@dataclass(frozen=True, slots=True)
class MapPoints:
    """Images in the order of their log-odds, the least ID first. All sequences are of one length, but `clusters`, the
    names of the clusters that `cluster` counts (NO_CLUSTER: in none)."""

    places: NDArray[np.uint16]  # (n, 2)
    flagged: NDArray[np.bool_]
    cluster: NDArray[np.uint8]
    log_odds: NDArray[np.float64]
    top_ids: Sequence[str]
    names: Sequence[str]
    uris: Sequence[str]
    clusters: Sequence[str]

    def __len__(self) -> int:
        return len(self.places)


def packed(points: MapPoints) -> dict[str, object]:
    """The map as values of JSON.

    Addresses are those of the first flagged images, which the keyboard walks through.
    """
    labels = list(dict.fromkeys([*points.top_ids, *points.names]))
    number = {label: place for place, label in enumerate(labels)}
    walked = np.flatnonzero(points.flagged)[:MOST_ADDRESSES]
    return {
        "count": len(points),
        "x": _base64(points.places[:, 0], "<u2"),
        "y": _base64(points.places[:, 1], "<u2"),
        "flagged": _base64(points.flagged, "<u1"),
        "cluster": _base64(points.cluster, "<u1"),
        "logOdds": _base64(points.log_odds, "<f4"),
        "topId": _base64(np.array([number[name] for name in points.top_ids]), "<u4"),
        "name": _base64(np.array([number[name] for name in points.names]), "<u4"),
        "labels": labels,
        "clusters": list(points.clusters),
        "walked": {"places": walked.tolist(), "uris": [points.uris[place] for place in walked]},
    }


def _base64(values: NDArray[np.generic], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode()
