"""UMAP against PaCMAP, for the map: seconds on vectors that lie in clusters, and whether a seed makes them the same
each time. `python -m tests.bench projections`; PaCMAP is measured where it is installed, which is nowhere by itself.
"""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from curator.report.atlas import SEED
from curator.types import Vectors
from curator.vectors.collections import unit
from curator.workspace.app.projecting import umap_of

CLUSTERS = 200


@dataclass(frozen=True, slots=True)
class ProjectionFigures:
    """seconds: of the first call of a process that compiles, less what a call for 200 vectors takes. same: whether a
    second call gives the same places, to the bit; None where it was not asked."""

    name: str
    images: int
    starting: float
    seconds: float
    same: bool | None


def projection_figures(images: int, *, dimension: int = 512, twice: bool = True) -> list[ProjectionFigures]:
    found = []
    vectors = clustered(images, dimension)
    for name, project in {"umap-learn": _umap, "pacmap": _pacmap}.items():
        if find_spec({"umap-learn": "umap"}.get(name, name)) is None:
            continue
        began = time.perf_counter()
        project(vectors[:200])
        starting = time.perf_counter() - began
        began = time.perf_counter()
        places = project(vectors)
        seconds = time.perf_counter() - began
        same = bool(np.array_equal(places, project(vectors))) if twice else None
        found.append(ProjectionFigures(name, images, starting, seconds, same))
    return found


def clustered(images: int, dimension: int) -> Vectors:
    """Unit vectors (n, d) about centres, as encoders of images make them."""
    random = np.random.default_rng(SEED)
    centres = random.standard_normal((CLUSTERS, dimension), np.float32)
    noise = random.standard_normal((images, dimension), np.float32)
    return unit(centres[random.integers(CLUSTERS, size=images)] + 0.7 * noise)


def _umap(vectors: Vectors) -> Any:
    return umap_of(vectors, lambda text, share: None)


def _pacmap(vectors: Vectors) -> Any:
    return importlib.import_module("pacmap").PaCMAP(n_components=2, random_state=SEED).fit_transform(vectors)
