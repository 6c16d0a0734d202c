"""UMAP of stored vectors, as work for a process of its own; and where images lie that came after it."""

from __future__ import annotations

import os
import re
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import TextIOBase
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from curator.durable import durable
from curator.errors import CuratorError, WorkspaceError
from curator.report.atlas import SEED
from curator.types import Vectors
from curator.vectors import ImageCollection
from curator.vectors.collections import BLOCK_ROWS, unit
from curator.vectors.shards import ID_BYTES, id_bytes, id_texts

Places: TypeAlias = NDArray[np.float32]
Stored: TypeAlias = tuple[Path, Sequence[str], int]  # what an `ImageCollection` is made of
Say: TypeAlias = Callable[[str, float], None]  # what is being done, and the share of it that is done, in [0, 1]

FEWEST = 8  # images that UMAP takes
FITTED = 100_000  # images, at most, that UMAP lays out itself
NEIGHBOURS = 15  # as UMAP's own default
PAIRS = 2_000_000_000  # of an image to be placed and one that is, at most, that are compared
FEWEST_AMONG = 20_000  # images that others are placed among, where there are so many


@dataclass(frozen=True, slots=True)
class ImageProjection:
    """Where images lie: places (n, 2) as UMAP has them, and which were placed later, among their neighbours (n,)."""

    image_ids: list[str]
    places: Places
    later: NDArray[np.bool_]

    @classmethod
    def read(cls, path: Path) -> ImageProjection | None:
        """As it was kept; None where there is none, or one that cannot be read."""
        from safetensors.numpy import load_file

        try:
            found = load_file(path)
            ids, places, later = found["ids"], found["places"], found["later"]
        except (OSError, SafetensorError, KeyError):
            return None
        size = len(ids)
        if ids.shape != (size, ID_BYTES) or places.shape != (size, 2) or later.shape != (size,):
            return None
        return cls(id_texts(ids), places.astype(np.float32), later.astype(bool))

    def write(self, path: Path) -> None:
        """Raises OSError."""
        from safetensors.numpy import save_file

        arrays: dict[str, NDArray[Any]] = {
            "ids": id_bytes(self.image_ids),
            "places": self.places,
            "later": self.later.astype(np.uint8),
        }
        with durable(path) as temporary:
            save_file(arrays, temporary)


def project(stored: Stored, image_ids: Sequence[str], say: Say) -> ImageProjection:
    """UMAP of those images that have vectors: the same each time. Raises CuratorError for too few."""
    say("reading the vectors", 0.0)
    collection = ImageCollection(*stored)
    positions = collection.places_of(image_ids)
    rows = np.flatnonzero(positions >= 0)
    if rows.size < FEWEST:
        raise WorkspaceError(f"UMAP needs at least {FEWEST} images with vectors, here are {rows.size}")
    fitted = some_of(rows, FITTED)
    places = umap_of(unit(collection.vectors_at(positions[fitted])), say)
    known = ImageProjection([image_ids[row] for row in fitted.tolist()], places, np.zeros(fitted.size, bool))
    others = np.setdiff1d(rows, fitted, assume_unique=True)
    say("placing the others", 1.0)
    return placed_among(stored, known, [image_ids[row] for row in others.tolist()])


def umap_of(vectors: Vectors, say: Say) -> Places:
    """Places (n, 2) of unit vectors (n, d), the same each time."""
    from curator.vectors.faiss_index import largest_products

    say("starting UMAP", 0.0)  # which compiles what it needs, for half a minute
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it can do less without other packages, which nobody asks of it here
        from umap import UMAP

        say("finding neighbours", 0.0)
        cosines, rows = largest_products(vectors, vectors, min(NEIGHBOURS, len(vectors) - 1))
        fit = UMAP(
            n_neighbors=rows.shape[1],
            metric="cosine",
            precomputed_knn=(rows, np.maximum(1 - cosines, 0)),  # exact, on all cores, with nothing to compile
            init="pca",  # of no random start, and like the map of principal axes as far as may be
            random_state=SEED,
            n_jobs=1,  # a seed allows no more
            tqdm_kwds={"file": _Epochs(say), "bar_format": "{n_fmt}/{total_fmt}", "mininterval": 0.5, "disable": False},
        )
        return np.asarray(fit.fit_transform(vectors), np.float32)


def placed_among(stored: Stored, known: ImageProjection, image_ids: Sequence[str]) -> ImageProjection:
    """The same with further images, each at the mean of its nearest ones, weighted by their cosines: where UMAP's own
    transform begins. Those without a vector are left out."""
    from curator.vectors.faiss_index import largest_products

    collection = ImageCollection(*stored)
    positions = collection.places_of(image_ids)
    rows = np.flatnonzero(positions >= 0)
    own = collection.places_of(known.image_ids)
    among = np.flatnonzero((own >= 0) & ~known.later)
    if not rows.size or not among.size:
        return known
    among = some_of(among, max(PAIRS // rows.size, FEWEST_AMONG))
    vectors = unit(collection.vectors_at(own[among]))
    places = np.empty((rows.size, 2), np.float32)
    for start in range(0, rows.size, BLOCK_ROWS):
        queries = unit(collection.vectors_at(positions[rows[start : start + BLOCK_ROWS]]))
        cosines, found = largest_products(queries, vectors, min(NEIGHBOURS, among.size))
        weights = np.maximum(cosines, 1e-6)
        weights /= weights.sum(axis=1, keepdims=True)
        places[start : start + len(queries)] = np.einsum("nk,nkd->nd", weights, known.places[among[found]])
    return ImageProjection(
        [*known.image_ids, *(image_ids[row] for row in rows.tolist())],
        np.concatenate([known.places, places]),
        np.concatenate([known.later, np.ones(rows.size, bool)]),
    )


def some_of(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most so many, evenly spread."""
    return rows if rows.size <= most else rows[np.linspace(0, rows.size - 1, most).astype(int)]


def compute(sender: Connection, stored: Stored, image_ids: Sequence[str], path: Path) -> None:
    """In a process: lay images out and keep that at a path; what is done meanwhile, and how it ended, is sent. It ends
    with whoever listens: the next thing that is said finds nobody."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asked
    os.nice(10)  # whoever looks at the page goes before

    def say(text: str, share: float) -> None:
        sender.send(("doing", text, share))

    try:
        project(stored, image_ids, say).write(path)
    except CuratorError as fault:
        sender.send(("failed", fault.message, 0.0))
    except MemoryError:
        sender.send(("failed", "there is not memory enough", 0.0))
    except (ArithmeticError, ImportError, OSError, RuntimeError, TypeError, ValueError) as fault:  # of UMAP, or a disk
        if not isinstance(fault, BrokenPipeError):
            sender.send(("failed", " ".join(f"{type(fault).__name__}: {fault}".split()), 0.0))
    else:
        sender.send(("done", "", 1.0))


class _Epochs(TextIOBase):
    """What UMAP writes its progress to."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def write(self, text: str) -> int:
        if (found := re.search(r"(\d+)/(\d+)", text)) is not None:
            self._say("laying out", int(found[1]) / max(int(found[2]), 1))
        return len(text)
