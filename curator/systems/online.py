"""Streams: a lake fed in order to a method that learns as it scores, and how far another order would move it.

The published forms of ANTS, AdaNeg and TANL update on a batch and then score it. A score so depends on all images
before it and on those beside it. What is measured here is by how much: the same images in another order, shuffled by a
seed, give the mean and the largest change of a score and the share of images on the other side of the default cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from curator.methods.maths import Scores, logit
from curator.systems.stream import Stream, batches
from curator.types import Vectors

LARGEST = 1.0 - 2.0**-53  # what rounds to 1 has no log-odds


Fed = TypeVar("Fed", bound=Stream)


@dataclass(frozen=True)
class Streamed:
    """The scores that images got in passing, (n,), in the order in which they passed.

    largest: what the score may be at most. others: the same images in other orders, ids and scores of each.
    """

    image_ids: tuple[str, ...]
    scores: Scores
    largest: float
    batch: int
    others: tuple[tuple[tuple[str, ...], Scores], ...] = ()

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that name the order and the batches."""
        return hashlib.sha256(f"{self.batch}\n{chr(10).join(self.image_ids)}".encode()).hexdigest()[:12]

    @property
    def log_odds(self) -> Scores:
        """The logit of score / largest. Unlike the frozen forms' it saturates, at about 37: only the score is known."""
        return logit(np.clip(self.scores / self.largest, 2.0**-53, LARGEST))


def run_stream(
    stream: Stream, image_ids: Sequence[str], vectors_of: Callable[[Sequence[str]], Vectors], batch: int
) -> Scores:
    """Feed the images in order, `batch` at a time. (n,)"""
    parts = [stream.feed(vectors_of(ids), ids) for ids in batches(image_ids, batch)]
    return np.concatenate([np.zeros(0), *parts])


def shuffled(image_ids: Sequence[str], seed: int) -> list[str]:
    """Another order of the same images, drawn from their sorted ids: whatever order they came in."""
    ordered = sorted(image_ids)
    return [ordered[place] for place in np.random.default_rng(seed).permutation(len(ordered)).tolist()]


def movement(streamed: Streamed, cut: float) -> list[dict[str, float]]:
    """How far each other order moved the scores: mean and largest change, and the share on the other side of a cut."""
    found = []
    for ids, scores in streamed.others:
        place = {image_id: number for number, image_id in enumerate(ids)}
        other = scores[[place[image_id] for image_id in streamed.image_ids]]
        change = np.abs(other - streamed.scores)
        found.append(
            {
                "mean_change": float(change.mean()),
                "largest_change": float(change.max()),
                "changed_side": float(((other < cut) != (streamed.scores < cut)).mean()),
            }
        )
    return found


def stream_lake(
    new_stream: Callable[[], Fed],
    image_ids: Sequence[str],
    vectors_of: Callable[[Sequence[str]], Vectors],
    *,
    batch: int,
    orders: int,
    seed: int,
    largest: float,
) -> tuple[Fed, Streamed]:
    """Feed the lake to a new stream, and to further ones in other orders. Returns the first stream, as it ended."""
    stream = new_stream()
    scores = run_stream(stream, image_ids, vectors_of, batch)
    others = []
    for number in range(orders):
        order = shuffled(image_ids, seed + number)
        others.append((tuple(order), run_stream(new_stream(), order, vectors_of, batch)))
    return stream, Streamed(tuple(image_ids), scores, largest, batch, tuple(others))
