"""InterNeg as a system: no generator, only images of the ID classes and, where the bank is dynamic, of the lake."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError
from curator.generators.asking import Asking
from curator.methods.spec import bank_scale
from curator.systems.interneg.selection import Prototypes, Selection
from curator.systems.interneg.settings import InterNegSettings
from curator.systems.interneg.stream import InterNegStream
from curator.systems.proposals import Learned, Proposal, Streamed
from curator.systems.stream import feed_lake
from curator.systems.world import IdImage, World
from curator.types import Bank

STATIC, STREAM = "interneg:static", "interneg:stream"


def learn_interneg(world: World, asking: Asking, settings: InterNegSettings) -> Learned:
    """The candidates that separate most from the images of the ID classes, and those retrieved for images of the lake.

    Raises BankError where there is no image of a class, or nothing passes.
    """
    parent, candidates = world.parent, candidates_of(world, settings)
    images = images_by_class(world.id_images, settings.per_class)
    if not images:
        raise BankError(
            "interneg chooses negatives against images of the ID classes, and there are none",
            hint="name some with `curator calibrate --reference SRC`, in folders named by class",
        )
    prototypes = Prototypes.of(
        world.reference_vectors([image.image_id for image in images]),
        np.array([image.id_label for image in images]),
        parent.id_vectors,
    )
    selection = Selection.of(candidates.negative_vectors, prototypes)
    labels = candidates.labels[candidates.id_count :]
    adjectives = [label.part_of_speech == "adjective" for label in labels]
    chosen = selection.chosen(adjectives, settings.negatives, counts=settings.counts)
    vetoing = parent.id_texts[prototypes.classes[selection.vetoes.argmax()]]
    account: dict[str, object] = {
        "images": len(images),
        "classes_without_images": parent.id_count - len(prototypes.classes),
        "candidates": len(labels),
        "passed": int(selection.passes.sum()),
        "vetoed_most_by": vetoing,
        "vetoed_by_it": int(selection.vetoes.max()),
        "chosen": len(chosen),
    }
    if not len(chosen):
        raise BankError(
            f"interneg: none of {len(labels)} candidates passes; the class {vetoing!r} alone vetoes "
            f"{account['vetoed_by_it']}",
            hint="its images are farther from its name than from other words: give it a better name, or better images",
        )
    retrieved, streamed, seen = _retrieved(world, settings, candidates, selection, chosen)
    proposals = [Proposal(labels[place].text, labels[place].prompt or "", STATIC) for place in chosen.tolist()]
    proposals += [Proposal(labels[place].text, labels[place].prompt or "", STREAM) for place in retrieved]
    return Learned(
        negatives=tuple(proposals),
        facts={"mode": settings.mode, "dynamic": settings.dynamic},
        account={**account, **seen},
        used_images=frozenset(image.image_id for image in images),
        streamed=streamed,
    )


def _retrieved(
    world: World, settings: InterNegSettings, candidates: Bank, selection: Selection, chosen: NDArray[np.intp]
) -> tuple[list[int], Streamed | None, Mapping[str, int]]:
    """Places of the candidates that the lake's images retrieved, online their scores, and counts for the account."""
    if not settings.dynamic:
        return [], None, {}
    parent = world.parent

    def new_stream() -> InterNegStream:
        return InterNegStream(
            parent.id_vectors, candidates.negative_vectors, selection, chosen, settings, scale=bank_scale(parent)
        )

    stream, seen, streamed = feed_lake(new_stream, world, settings, largest=1.0)
    return stream.retrieved.tolist(), streamed, {"lake_images": seen, "retrieved": len(stream.retrieved)}


def candidates_of(world: World, settings: InterNegSettings) -> Bank:
    """The parent with all that its negatives were mined from, or with these alone."""
    whole = settings.candidates == "corpus" and "negatives" in world.parent.spec
    return world.whole_corpus() if whole else world.parent


def images_by_class(images: Iterable[IdImage], most: int) -> list[IdImage]:
    """The first `most` images of each class by id, 0 for all; in the order of their ids."""
    taken: dict[int, int] = defaultdict(int)
    kept = []
    for image in sorted(images, key=lambda image: image.image_id):
        taken[image.id_label] += 1
        if not most or taken[image.id_label] <= most:
            kept.append(image)
    return kept
