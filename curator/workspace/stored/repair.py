"""What a lake can give again: images whose vector file is lost are forgotten; scanning them embeds them anew."""

from __future__ import annotations

from curator.store import Ledger
from curator.store.repair import forget_vector_files
from curator.workspace.layout import Layout
from curator.workspace.logs import log
from curator.workspace.stored.losses import kept_vectors


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
