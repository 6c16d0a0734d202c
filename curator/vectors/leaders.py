"""Grouping by leaders: every vector of a group is near the one that leads it, and not only near some other member.

Connected components of near-duplicate pairs would chain: measured on 1,940 images of 60 terminal windows, flowers,
drawings and objects at a cosine of 0.97, one component holds 247 images of which two have a cosine of 0.53. A leader
is chosen once and stays, so a group keeps its name for ever, and a night costs its new images against leaders, not all
pairs. Which of the new ones lead is decided in the order given; in the order of content hashes that is a random order
that repeats itself, whose expected number of wrongly joined and wrongly parted pairs is at most three times the least
possible (Ailon, Charikar and Newman, Aggregating Inconsistent Information, 2008: pivots).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curator.vectors.collections import Positions, VectorCollection, unit
from curator.vectors.exact import Found
from curator.vectors.joining import QUERIES, Everything, NearSource, nearest_within

BATCH = 1024  # vectors compared with leaders at a time


def assign_leaders(leaders: NearSource, newcomers: Positions, *, min_cosine: float) -> Found:
    """The leader of each newcomer (n,): its position, the newcomer's own where it leads, and the cosine to it.

    newcomers: positions in the collection of the leaders, none of which is one. A newcomer joins the nearest leader
    there is, if that is near enough. Of the others each leads, in their order, unless one before it does that is near
    enough; the rest join the nearest of these. Equal cosines go by id.
    """
    collection = leaders.collection
    chosen, cosines = _join(leaders, newcomers, min_cosine)
    rest = np.flatnonzero(cosines < min_cosine)
    fresh = _lead(collection, newcomers[rest], min_cosine)
    chosen[rest], cosines[rest] = _join(Everything(collection, fresh), newcomers[rest], min_cosine)
    leads = np.isin(newcomers, fresh)
    chosen[leads], cosines[leads] = newcomers[leads], 1.0
    return chosen, cosines


def _lead(collection: VectorCollection, candidates: Positions, min_cosine: float) -> Positions:
    """Those that lead, in order: none is near one before it."""
    fresh = np.zeros(0, np.int64)
    for start in range(0, len(candidates), BATCH):
        block = candidates[start : start + BATCH]
        block = block[_join(Everything(collection, fresh), block, min_cosine)[1] < min_cosine]
        fresh = np.concatenate([fresh, block[_lead_within(collection, block, min_cosine)]])
    return fresh


def _lead_within(collection: VectorCollection, block: Positions, min_cosine: float) -> list[int]:
    vectors = unit(collection.vectors_at(block)).astype(np.float64)
    near = (vectors @ vectors.T).astype(np.float32) >= min_cosine  # (n, n); as `exact.rank` rounds its cosines
    leading: list[int] = []
    for row in range(len(block)):
        if not near[row, leading].any():
            leading.append(row)
    return leading


def _join(leaders: NearSource, asked: Positions, min_cosine: float) -> Found:
    """For each position asked about the nearest leader and its cosine; -1 and minus infinity where none is near."""
    chosen = np.full(len(asked), -1, np.int64)
    cosines: NDArray[np.float32] = np.full(len(asked), -np.inf, np.float32)
    for start in range(0, len(asked), QUERIES):
        batch = slice(start, start + QUERIES)
        queries = unit(leaders.collection.vectors_at(asked[batch]))
        positions, found = nearest_within(leaders, queries, 1, min_cosine=min_cosine)
        chosen[batch], cosines[batch] = positions[:, 0], found[:, 0]
    return chosen, cosines
