"""Forgetting what can be read again: vector files that are lost, and what was read together with their images."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curator.store.database import Database
from curator.store.shards import STALE

OBJECTS = ("delete_forgotten_shards", "delete_stale_passed_members", *STALE)
VECTORS = ("delete_lost_vectors", "delete_lost_comparisons", "delete_lost_near_duplicates", "delete_lost_scores")


def forget_vector_files(database: Database, names: Sequence[str], *, encoder_id: str) -> int:
    """Forget these vector files, their images and all that was read in the same shards, in one transaction.

    What is forgotten is new to the next scan that lists it. Returns the number of images.
    """
    with database.transaction(), database.incoming(lost=pa.table({"vector_file": pa.array(names, pa.string())})):
        images = database.table("list_lost_images", encoder_id=encoder_id)
        with database.incoming(lost_image=images), database.incoming(object=database.table("list_forgotten_objects")):
            for name in OBJECTS:
                database.run(name)
            for name in VECTORS:
                database.run(name, encoder_id=encoder_id)
            database.run("delete_images_without_vectors")
    return int(images.num_rows)
