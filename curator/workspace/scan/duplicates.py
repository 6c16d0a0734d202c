"""Near-duplicates of new images, and the groups that they make: of images that look nearly the same, so that five
thousand frames of one camera are one thing to review.

Only images with near-duplicates are compared with the leaders of groups; all others are groups of their own, and have
no row. Which image is flagged plays no part: a policy may change at any time, and groups must not.

An image that was alone so far and now has a near-duplicate leads the group of both, whose name it bore already. What
is new in a night is taken in the order of its ids, so the order of files in it does not matter, nor whether its scan
was killed and resumed. Groups are of one encoder: with another one they are made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from curator.store import Database, Ledger
from curator.store.tables import Columns, Row
from curator.types import Vectors
from curator.vectors import ImageCollection, Neighbours, load_recipe, near_duplicates, read_shard
from curator.vectors.collections import Positions, VectorCollection
from curator.vectors.leaders import assign_leaders
from curator.workspace.context import Context
from curator.workspace.look.neighbours import image_collection, image_neighbours

FILES = 16  # compared with the lake at a time


def find_near_duplicates(context: Context, ledger: Ledger, encoder_id: str) -> int:
    """Compare the images of files not compared yet with the whole lake; record the pairs, and the groups they make.
    Returns the number of pairs.

    Done after the last shard, over all that is there then, so a scan that was killed and resumed finds the same pairs.
    """
    section = context.config.near_duplicates
    if not section.enabled:
        return 0
    files = ledger.database.table("list_new_files", encoder_id=encoder_id)["vector_file"].to_pylist()
    pairs: dict[tuple[str, str], float] = {}  # a pair of images of two new files is met from both sides
    collection = image_collection(context, ledger.database, encoder_id)
    if files:
        neighbours = _neighbours(context, ledger.database, collection, encoder_id)
        for ids, vectors in _images(context.layout.vectors(encoder_id), files):
            for first, second, cosine in near_duplicates(
                neighbours, ids, vectors, min_cosine=section.min_cosine, k=section.neighbours
            ):
                pairs[first, second] = cosine
    columns: Columns = {
        "image_id": [first for first, _ in pairs],
        "neighbour_id": [second for _, second in pairs],
        "encoder_id": [encoder_id] * len(pairs),
        "cosine": list(pairs.values()),
    }
    table = ledger.columns_table("near_duplicate", columns)
    min_cosine = context.config.groups.min_cosine
    members = group_images(ledger, collection, table, encoder_id=encoder_id, min_cosine=min_cosine)
    if files or members:
        compared = [{"vector_file": name, "encoder_id": encoder_id} for name in files]
        with ledger.database.transaction():
            ledger.database.append(near_duplicate=table)
            ledger.add(group_member=members, compared_file=compared)
    return len(pairs)


def _neighbours(context: Context, database: Database, collection: ImageCollection, encoder_id: str) -> Neighbours:
    """Through the image index where its recipe is one of shortcuts. An exact one would hold every vector in memory to
    compare it with every other: without an index the same pairs come sooner, from the vector files."""
    if load_recipe(context.config.index.images).is_exact_for(len(collection)):
        return Neighbours(collection)
    return image_neighbours(context, database, encoder_id)


def _images(folder: Path, files: Sequence[str]) -> Iterator[tuple[list[str], Vectors]]:
    """Ids and vectors of the images of a few files at a time."""
    for start in range(0, len(files), FILES):
        shards = [read_shard(folder / f"{name}.safetensors") for name in files[start : start + FILES]]
        ids = [image_id for shard in shards for image_id in shard.image_ids]
        yield ids, np.concatenate([shard.vectors for shard in shards])


def group_images(
    ledger: Ledger, collection: VectorCollection, pairs: pa.Table, *, encoder_id: str, min_cosine: float
) -> list[Row]:
    """Members of groups to record: the images that have near-duplicates, in the ledger or among `pairs`, and no group.

    collection: the vectors of the encoder. A leader whose vector is lost takes no new members.
    """
    database = ledger.database
    with database.incoming(near_duplicate=pairs):
        ungrouped = database.rows("list_ungrouped", encoder_id=encoder_id)
    if not ungrouped:
        return []
    alone = [row["image_id"] for row in ungrouped if row["alone"]]
    newcomers = _positions(collection, [row["image_id"] for row in ungrouped if not row["alone"]])
    known = database.table("list_group_leaders", encoder_id=encoder_id)["image_id"].to_pylist()
    leaders = collection.positions_of([*known, *alone])
    chosen, cosines = assign_leaders(collection, newcomers, leaders, min_cosine=min_cosine)
    joined = zip(collection.ids_at(newcomers), collection.ids_at(chosen), cosines.tolist(), strict=True)
    rows = [(image_id, image_id, 1.0) for image_id in alone] + list(joined)
    return [
        {"image_id": image_id, "group_id": group_id, "encoder_id": encoder_id, "cosine": cosine}
        for image_id, group_id, cosine in rows
    ]


def _positions(collection: VectorCollection, ids: Collection[str]) -> Positions:
    """Where these ids are, in their order."""
    found = collection.positions_of(ids)
    place = {image_id: position for image_id, position in zip(collection.ids_at(found), found.tolist(), strict=True)}
    return np.array([place[image_id] for image_id in ids if image_id in place], np.int64)
