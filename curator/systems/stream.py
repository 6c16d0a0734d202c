"""Streams: a lake fed in order to a method that learns as it scores, and how far another order would move it.

ANTS, AdaNeg and TANL are published so: each batch is learnt from first and scored then (transductive). A score so
depends on the images before it and beside it, on their order, and on the share of OOD among them: such scores are
comparable within one stream only, and whoever keeps them must say which. By how much can be measured: the same images
in another order, shuffled by a seed, give the mean and the largest change of a score and the share of images on the
other side of the default cut. That costs the whole stream once more, and is done where it is asked for. What a bank
keeps of a stream is for the methods of the same names in curator.methods, whose scores depend on the image alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

from curator.methods.maths import Scores
from curator.systems.proposals import Streamed
from curator.systems.registry import Mode, Rule
from curator.systems.world import Suspects, World
from curator.types import Vectors

log = logging.getLogger(__name__)
READ_ROWS = 8192  # vectors that are read at a time
SAY_SECONDS = 10.0
Rows = TypeVar("Rows", Vectors, Sequence[str], range)


class Stream(Protocol):
    """An order-dependent scorer."""

    def feed(self, vectors: Vectors, images: Sequence[Hashable] | None = None) -> Scores:
        """Learn from a batch (n, d) of unit vectors, then score it: (n,), higher is more ID. images: their ids."""


Fed = TypeVar("Fed", bound=Stream)


class StreamSettings(Protocol):
    """frozen: learn from a sample of the lake in the order of image ids, which are hashes of content, and keep what was
    learnt. online: from the whole lake as it arrived, and keep the scores in passing too.

    suspects: excess, when frozen, learns from the images that `World.suspects` names; published, from what the system's
    authors take, whatever the lake holds.
    sample: images to learn from when frozen, 0 for all. batch: images at a time. orders: how many other orders are
    tried when online, drawn by `seed`.
    """

    @property
    def mode(self) -> Mode: ...
    @property
    def suspects(self) -> Rule: ...
    @property
    def sample(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def orders(self) -> int: ...
    @property
    def seed(self) -> int: ...


def suspects_of(world: World, settings: StreamSettings) -> Suspects | None:
    """The images to learn from; None where the published rule takes them."""
    return world.suspects if settings.mode == "frozen" and settings.suspects == "excess" else None


def feed_lake(
    new_stream: Callable[[], Fed], world: World, settings: StreamSettings, *, largest: float | None
) -> tuple[Fed, int, Streamed | None]:
    """Feed a new stream as its mode has it. Returns it as it ended, how many images it saw, and online their scores."""
    if settings.mode == "online":
        stream, streamed = stream_lake(new_stream, world, settings, largest=largest)
        return stream, len(streamed.image_ids), streamed
    stream, ids = new_stream(), world.sample_ids(settings.sample)
    run_stream(stream, ids, world.lake_vectors, settings.batch)
    return stream, len(ids), None


def stream_lake(
    new_stream: Callable[[], Fed], world: World, settings: StreamSettings, *, largest: float | None
) -> tuple[Fed, Streamed]:
    """Feed the lake as it arrived to a new stream, and to further ones in other orders. Returns the first as it ended.

    largest: what a score may be at most, None for one that is ranked by as it stands.
    """
    ids, stream = world.arrival_order, new_stream()
    scores = run_stream(stream, ids, world.lake_vectors, settings.batch)
    others = []
    for number in range(settings.orders):
        order = shuffled(ids, settings.seed + number)
        others.append((tuple(order), run_stream(new_stream(), order, world.lake_vectors, settings.batch)))
    return stream, Streamed(ids, scores, largest, settings.batch, tuple(others))


def run_stream(
    stream: Stream, image_ids: Sequence[str], vectors_of: Callable[[Sequence[str]], Vectors], batch: int
) -> Scores:
    """Feed the images in order, `batch` at a time, and say every few seconds how many it has seen. (n,)"""
    scores, done, last = np.zeros(len(image_ids)), 0, time.monotonic()
    for block in batches(image_ids, max(1, READ_ROWS // batch) * batch):  # files are read for many batches at once
        vectors = vectors_of(block)
        for part, ids in zip(batches(vectors, batch), batches(block, batch), strict=True):
            scores[done : done + len(ids)] = stream.feed(part, ids)
            done += len(ids)
            if time.monotonic() - last >= SAY_SECONDS:
                last = time.monotonic()
                log.info("%s: %d of %d images", type(stream).__name__, done, len(image_ids))
    return scores


def batches(rows: Rows, batch_rows: int) -> Iterator[Rows]:
    """Consecutive vectors or ids, the last batch may be smaller."""
    for start in range(0, len(rows), batch_rows):
        yield rows[start : start + batch_rows]


def shuffled(image_ids: Sequence[str], seed: int) -> list[str]:
    """Another order of the same images, drawn from their sorted ids: whatever order they came in."""
    ordered = sorted(image_ids)
    return [ordered[place] for place in np.random.default_rng(seed).permutation(len(ordered)).tolist()]


def confident_cuts(threshold: float, gap: float) -> tuple[float, float]:
    """Above the first score an image counts as ID, below the second as OOD; gap in [0, 1]."""
    return threshold + gap * (1 - threshold), threshold - gap * threshold
