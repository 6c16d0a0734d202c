"""OODD as a system: no generator, only the images of the lake. The bank is the parent's labels with a dictionary."""

from __future__ import annotations

import numpy as np

from curator.errors import BankError
from curator.generators.asking import Asking
from curator.methods.layers import DICTIONARY
from curator.methods.spec import bank_scale, require_negatives
from curator.systems.oodd.settings import OoddSettings
from curator.systems.oodd.stream import OoddStream
from curator.systems.proposals import Learned
from curator.systems.stream import batches, feed_lake, suspects_of
from curator.systems.world import World


def learn_oodd(world: World, asking: Asking, settings: OoddSettings) -> Learned:
    """The parent's labels with the images that look least ID. Raises BankError where no image may be held."""
    parent, suspects = world.parent, suspects_of(world, settings)
    if settings.base == "neglabel":
        require_negatives("oodd", parent)

    def new_stream() -> OoddStream:
        scale = bank_scale(parent)
        return OoddStream(parent.id_vectors, parent.negative_vectors, settings, scale=scale, device=world.device)

    if suspects is None:
        stream, seen, streamed = feed_lake(new_stream, world, settings, largest=None)
    else:
        stream, seen, streamed = new_stream(), len(suspects.ood), None
        for ids in batches(suspects.ood, settings.batch):
            stream.hold(world.lake_vectors(ids))
    held = stream.held
    if not len(held.scores):
        raise BankError("oodd: there is no image to hold", hint="scan more images")
    return Learned(
        negatives=(),
        parameters={DICTIONARY: held.rows.astype(np.float32)},
        facts={"mode": settings.mode, "base": settings.base, "k": settings.k},
        account={"images": seen, "held": len(held.scores), "highest_base_held": float(held.scores[-1])},
        streamed=streamed,
        inherited=tuple(range(parent.id_count, len(parent.labels))),
    )
