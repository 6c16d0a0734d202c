"""Near-duplicates of new images, and the groups that they make: of images that look nearly the same, so that five
thousand frames of one camera are one thing to review.

Only images with near-duplicates are compared with the leaders of groups; all others are groups of their own, and have
no row. Which image is flagged plays no part: a policy may change at any time, and groups must not.

An image that was alone so far and now has a near-duplicate leads the group of both, whose name it bore already. What
is new in a night is taken in the order of its ids, so the order of files in it does not matter, nor whether its scan
was killed and resumed. Groups are of one encoder: with another one they are made anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from curator.errors import IndexFault
from curator.store import Ledger
from curator.store.tables import Columns, Row
from curator.types import Vectors
from curator.vectors import ImageCollection, near_duplicates, near_source, read_shard
from curator.vectors.blas import one_thread
from curator.vectors.collections import Positions
from curator.vectors.joining import Everything, NearSource
from curator.vectors.leaders import assign_leaders
from curator.vectors.partition import Partition
from curator.workspace.context import Context
from curator.workspace.logs import log
from curator.workspace.look.neighbours import image_collection

FILES = 16  # compared with the lake at a time


def find_near_duplicates(context: Context, ledger: Ledger, encoder_id: str) -> int:
    """Compare the images of files not compared yet with the whole lake; record the pairs, and the groups they make.
    Returns the number of pairs within the lake: vectors of reference images are compared as well.

    Done after the last shard, over all that is there then, so a scan that was killed and resumed finds the same pairs.
    """
    if not context.config.near_duplicates.enabled:
        return 0
    files = ledger.database.column("list_new_files", encoder_id=encoder_id)
    folder = context.layout.partition(encoder_id)
    with one_thread():  # of a product; joining has threads of its own, and others spin while they wait for the next one
        try:
            pairs, members = _compare(context, ledger, encoder_id, files, folder)
        except IndexFault as fault:
            log.warning("%s; making the partition anew", fault.message)
            shutil.rmtree(folder, ignore_errors=True)
            pairs, members = _compare(context, ledger, encoder_id, files, None if folder.exists() else folder)
    if files or members:
        compared = [{"vector_file": name, "encoder_id": encoder_id} for name in files]
        with ledger.database.transaction():
            ledger.database.append(near_duplicate=pairs)
            ledger.add(group_member=members, compared_file=compared)
    if not pairs.num_rows:
        return 0
    with ledger.database.incoming(near_duplicate=pairs):
        found = ledger.database.row("count_lake_pairs") or {}
    return int(found["pairs"])


def _compare(
    context: Context, ledger: Ledger, encoder_id: str, files: Sequence[str], folder: Path | None
) -> tuple[pa.Table, list[Row]]:
    """Pairs and members of groups to record. Raises IndexFault for a damaged partition in `folder`; None: without."""
    section, pairs = context.config.near_duplicates, dict[tuple[str, str], float]()
    collection = image_collection(context, ledger.database, encoder_id)
    if folder is None:
        source: NearSource = Everything(collection, np.arange(len(collection)))
    else:
        source = near_source(collection, folder, files)
    for ids, vectors in _images(context.layout.vectors(encoder_id), files):
        # A pair of images of two new files is met from both sides.
        for first, second, cosine in near_duplicates(
            source, ids, vectors, min_cosine=section.min_cosine, k=section.neighbours
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
    return table, group_images(ledger, source, table, encoder_id=encoder_id, min_cosine=min_cosine)


def _images(folder: Path, files: Sequence[str]) -> Iterator[tuple[list[str], Vectors]]:
    """Ids and vectors of the images of a few files at a time."""
    for start in range(0, len(files), FILES):
        shards = [read_shard(folder / f"{name}.safetensors") for name in files[start : start + FILES]]
        ids = [image_id for shard in shards for image_id in shard.image_ids]
        yield ids, np.concatenate([shard.vectors for shard in shards])


def group_images(
    ledger: Ledger, source: NearSource, pairs: pa.Table, *, encoder_id: str, min_cosine: float
) -> list[Row]:
    """Members of groups to record: the images that have near-duplicates, in the ledger or among `pairs`, and no group.

    source: of the vectors of the encoder. A leader whose vector is lost takes no new members.
    """
    database, collection = ledger.database, source.collection
    assert isinstance(collection, ImageCollection)
    with database.incoming(near_duplicate=pairs):
        ungrouped = database.table("list_ungrouped", encoder_id=encoder_id)
    if not ungrouped.num_rows:
        return []
    alone = ungrouped["alone"].to_numpy()
    positions = _positions(collection, ungrouped)
    known = _positions(collection, database.table("list_group_leaders", encoder_id=encoder_id))
    leaders = np.sort(np.concatenate([known, positions[alone]]))
    among = source.among(leaders) if isinstance(source, Partition) else Everything(collection, leaders)
    chosen, cosines = assign_leaders(among, positions[~alone], min_cosine=min_cosine)
    joined = zip(collection.ids_at(positions[~alone]), collection.ids_at(chosen), cosines.tolist(), strict=True)
    rows = [(image_id, image_id, 1.0) for image_id in collection.ids_at(positions[alone])] + list(joined)
    return [
        {"image_id": image_id, "group_id": group_id, "encoder_id": encoder_id, "cosine": cosine}
        for image_id, group_id, cosine in rows
    ]


def _positions(collection: ImageCollection, rows: pa.Table) -> Positions:
    """Where these rows of vector files are in the collection, in their order."""
    return collection.positions_in(rows["vector_file"].to_pylist(), rows["row_index"].to_numpy())
