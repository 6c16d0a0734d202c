"""Near-duplicates of new images, found through the image index, and the groups that they make."""

from __future__ import annotations

from curator.store import Ledger
from curator.vectors import near_duplicates, read_shard
from curator.workspace.context import Context
from curator.workspace.grouping import group_images
from curator.workspace.search import image_collection, image_neighbours


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
    if files:
        neighbours = image_neighbours(context, ledger.database, encoder_id)
        for name in files:
            shard = read_shard(context.layout.vectors(encoder_id) / f"{name}.safetensors")
            for first, second, cosine in near_duplicates(
                neighbours, shard.image_ids, shard.vectors, min_cosine=section.min_cosine, k=section.neighbours
            ):
                pairs[first, second] = cosine
    table = ledger.near_duplicate_table(pairs, encoder_id=encoder_id)
    members = group_images(
        ledger,
        image_collection(context, ledger.database, encoder_id),
        table,
        encoder_id=encoder_id,
        min_cosine=context.config.groups.min_cosine,
    )
    if files or members:
        ledger.record_near_duplicates(table, members, encoder_id=encoder_id, vector_files=files)
    return len(pairs)
