"""What a lake can give again: images whose vector file is lost are forgotten; scanning them embeds them anew."""

from __future__ import annotations

from pathlib import Path

from curator.errors import VectorFault
from curator.store import Ledger
from curator.store.repair import forget_vector_files
from curator.vectors import verify_shard
from curator.workspace.logs import log


def lost_files(folder: Path, names: list[str]) -> dict[str, VectorFault]:
    """The vector files among these that are missing or damaged, and how. Reads every byte of them."""
    lost = {}
    for name in names:
        try:
            verify_shard(folder / f"{name}.safetensors")
        except VectorFault as fault:
            lost[name] = fault
    return lost


def forget_lost_vectors(ledger: Ledger, folder: Path, encoder_id: str) -> int:
    """Forget what was read from the shards of images whose vectors are lost. Returns the number of these images.

    Only on demand (`scan --rehash`): a disk that is not mounted must not cost the ledger what it knows.
    """
    names = ledger.database.table("list_vector_files", encoder_id=encoder_id)["vector_file"].to_pylist()
    lost = lost_files(folder, names)
    if not lost:
        return 0
    images = forget_vector_files(ledger, list(lost), encoder_id=encoder_id)
    log.warning(
        "%d of %d vector files are missing or damaged: their %d images are forgotten, and read again wherever a scan, "
        "a calibration or an evaluation finds them",
        len(lost),
        len(names),
        images,
    )
    return images
