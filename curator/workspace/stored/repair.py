"""What a lake can give again: images whose vector file is lost are forgotten; scanning them embeds them anew."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curator.store import Database, Ledger
from curator.store.shards import STALE
from curator.workspace.layout import Layout
from curator.workspace.logs import log
from curator.workspace.stored.losses import kept_vectors

OBJECTS = ("delete_forgotten_shards", "delete_stale_passed_members", *STALE)
VECTORS = (
    "delete_lost_vectors",
    "delete_lost_comparisons",
    "delete_lost_near_duplicates",
    "delete_lost_scores",
    "delete_lost_names",
)


def forget_lost_vectors(ledger: Ledger, layout: Layout, encoder_id: str) -> int:
    """Forget what was read from the shards of images whose vectors are lost. Returns the number of these images.

    Only on demand (`scan --rehash`): a disk that is not mounted must not cost the ledger what it knows.
    """
    kept = kept_vectors(layout, ledger.database, encoder_id)
    if not kept.lost:
        return 0
    images = forget_vector_files(ledger.database, list(kept.lost), encoder_id=encoder_id)
    log.warning(
        "%d of %d vector files are missing, damaged or others': their %d images are forgotten, and read again "
        "wherever a scan, a calibration or an evaluation finds them",
        len(kept.lost),
        len(kept.paths),
        images,
    )
    return images


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
