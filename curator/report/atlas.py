"""Where the images of a night lie: a plane to look at, and clusters of what is flagged.

The plane is that of the two principal axes. It is linear: the same image lies at the same place in every report with
the same axes, distances that it shows are real ones (seen from one side), nothing is made up between points, and it
takes a second for 100,000 images. UMAP and t-SNE spread clusters better, but move with every seed and every new image,
make up gaps, and need further packages.

Clusters are FAISS's k-means on unit vectors. A cluster is new when no image that was flagged on an earlier night lies
as near to its centre as its own images do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.types import Vectors

SEED = 20010
FIT_SAMPLE = 20_000  # vectors that the axes are fitted on
MOST_CLUSTERS = 12
EXAMPLES = 4
MOST_NAMES = 3  # of a cluster
UNSAID = ("unclear", "not named yet")  # names that are no word, as sql/macros/shown_name.sql has them
NEAR = 0.1  # share of a cluster's own images that lie beyond its radius
SAME = 0.95  # cosine from where an image is taken for one of a cluster of a single image


@dataclass(frozen=True, slots=True)
class Plane:
    """Two principal axes. explained: the share of the variance that each shows, in [0, 1]."""

    centre: NDArray[np.float32]
    axes: NDArray[np.float32]  # (d, 2)
    explained: tuple[float, float]

    @classmethod
    def fit(cls, vectors: Vectors) -> Plane:
        """vectors: (n, d). The sign of each axis is fixed by its largest component."""
        dimension = vectors.shape[1]
        if len(vectors) < 2:
            return cls(vectors.sum(axis=0), np.zeros((dimension, 2), np.float32), (0.0, 0.0))
        centre = vectors.mean(axis=0)
        spread = np.cov((vectors - centre).astype(np.float64), rowvar=False).reshape(dimension, -1)
        values, found = np.linalg.eigh(spread)
        axes = np.zeros((dimension, 2))
        axes[:, : min(2, dimension)] = found[:, ::-1][:, :2]
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
        axes *= np.where(largest < 0, -1.0, 1.0)
        total = max(float(values.sum()), 1e-12)
        shares = [max(float(value), 0.0) / total for value in (*values[::-1][:2], 0.0)][:2]
        return cls(centre, axes.astype(np.float32), (shares[0], shares[1]))

    def place(self, vectors: Vectors) -> NDArray[np.float32]:
        """(n, 2)."""
        return np.asarray((vectors - self.centre) @ self.axes, np.float32)


def on_canvas(places: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Places (n, 2) as whole numbers from 0 to 65535, both axes by one scale, the second upwards."""
    if not len(places):
        return np.zeros((0, 2), np.uint16)
    low, high = places.min(axis=0), places.max(axis=0)
    span = max(float((high - low).max()), 1e-9)
    middle = (low + high) / 2
    scaled = ((places - middle) / span * np.array([1, -1]) + 0.5).clip(0, 1)
    whole: NDArray[np.uint16] = np.round(scaled * 65535).astype(np.uint16)
    return whole


@dataclass(frozen=True, slots=True)
class Cluster:
    """Flagged images that lie together. members: positions among the vectors, the most typical first.

    before: how many images flagged on earlier nights lie as near to its centre.
    """

    members: tuple[int, ...]
    before: int

    @property
    def is_new(self) -> bool:
        return self.before == 0


def find_clusters(flagged: Vectors, before: Vectors) -> list[Cluster]:
    """Clusters of vectors (n, d), the new ones first, then by size. before: those flagged on earlier nights, (m, d)."""
    if not len(flagged):
        return []
    centres, owners = k_means(flagged, cluster_count(len(flagged)))
    cosines = np.einsum("ij,ij->i", flagged, centres[owners])
    found = []
    for number in np.unique(owners):
        members = np.flatnonzero(owners == number)
        members = members[np.argsort(-cosines[members], kind="stable")]
        radius = min(float(np.quantile(cosines[members], NEAR)), SAME)
        found.append(
            Cluster(
                members=tuple(members.tolist()),
                before=int(np.sum(before @ centres[number] >= radius)) if len(before) else 0,
            )
        )
    return sorted(found, key=lambda item: (not item.is_new, -len(item.members), item.members))


def called(names: Sequence[str]) -> str:
    """What images are called together: by the most frequent of their names until half of them are named, three at
    most; where more than half say nothing, so."""
    often = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    unsaid = [name for name, _ in often if name in UNSAID]
    if 2 * sum(name in UNSAID for name in names) > len(names):
        return unsaid[0]
    said: list[str] = []
    covered = 0
    for name, count in often:
        if name not in UNSAID and len(said) < MOST_NAMES and 2 * covered < len(names):
            said.append(name)
            covered += count
    return ", ".join(said)


def cluster_count(images: int) -> int:
    """How many clusters are looked for: the root of half of the images (Mardia et al. 1979), at most twelve."""
    return max(1, min(MOST_CLUSTERS, round(math.sqrt(images / 2))))


def k_means(vectors: Vectors, count: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Centres (count, d) of unit norm, and which one each vector (n, d) belongs to; the same each time."""
    from curator.vectors.faiss_index import spherical_means

    centres = spherical_means(vectors, count, seed=SEED)
    owners: NDArray[np.int64] = (vectors @ centres.T).argmax(axis=1)
    return centres, owners
