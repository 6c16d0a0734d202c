"""AdaNeg as a system: no generator, only the images of the lake. The bank is the parent's labels with a memory."""

from __future__ import annotations

from curator.errors import BankError
from curator.generators.asking import Asking
from curator.methods.spec import bank_scale
from curator.systems.adaneg.settings import AdaNegSettings
from curator.systems.adaneg.stream import AdaNegStream
from curator.systems.proposals import Learned
from curator.systems.stream import feed_lake, suspects_of
from curator.systems.world import World


def learn_adaneg(world: World, asking: Asking, settings: AdaNegSettings) -> Learned:
    """The parent's labels with what the stream stored. Raises BankError when no image was confident."""
    parent, suspects = world.parent, suspects_of(world, settings)

    def new_stream() -> AdaNegStream:
        return AdaNegStream(
            parent.id_vectors, parent.negative_vectors, settings, scale=bank_scale(parent), device=world.device
        )

    if suspects is None:
        stream, seen, streamed = feed_lake(new_stream, world, settings, largest=1.0 + settings.static_weight)
    else:
        stream, seen, streamed = new_stream(), len(suspects.kept) + len(suspects.ood), None
        stream.remember(world.lake_vectors(suspects.kept), world.lake_vectors(suspects.ood))
    _, classes = stream.memory.slots()
    if not len(classes):
        raise BankError(
            f"adaneg: none of {seen} images is confident enough to be stored",
            hint="lower gap or threshold, or scan more images",
        )
    return Learned(
        negatives=(),
        parameters=stream.parameters(),
        facts={"mode": settings.mode, "proxies": settings.proxies},
        account={
            "images": seen,
            "stored": len(classes),
            "stored_id": int((classes < parent.id_count).sum()),
            "labels_with_images": len(set(classes.tolist())),
        },
        streamed=streamed,
        inherited=tuple(range(parent.id_count, len(parent.labels))),
    )
