"""Groups of images that look nearly the same, so that five thousand frames of one camera are one thing to review.

Only images with near-duplicates are compared with the leaders of groups; all others are groups of their own, and have
no row. Which image is flagged plays no part: a policy may change at any time, and groups must not.

An image that was alone so far and now has a near-duplicate leads the group of both, whose name it bore already. What
is new in a night is taken in the order of its ids, so the order of files in it does not matter, nor whether its scan
was killed and resumed. Groups are of one encoder: with another one they are made anew.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from curator.store import Ledger
from curator.store.tables import Row
from curator.vectors.collections import Positions, VectorCollection
from curator.vectors.leaders import assign_leaders


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
