"""NegRefine as a system: a bank's negatives, filtered by a reasoner, with the pairs that its joined score looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curator.banks.prompts import CSP_TEMPLATES, fill
from curator.errors import BankError
from curator.generators.asking import Asking
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.pairs import nearest_places
from curator.methods.layers import PAIR_LABELS, PAIR_VECTORS
from curator.systems.negrefine.judging import refine_negatives
from curator.systems.negrefine.settings import NegRefineSettings
from curator.systems.proposals import Learned
from curator.systems.stream import batches
from curator.systems.world import World
from curator.types import Vectors

BATCH = 1024


def learn_negrefine(world: World, asking: Asking, settings: NegRefineSettings) -> Learned:
    """The negatives of the parent that are neither names nor kinds of ID classes, as they were.

    Raises BankError where none is left, and for a parent with tensors of its own labels, which would not fit these.
    """
    parent = world.parent
    if parent.parameters:
        raise BankError(
            f"bank {parent.name} has tensors that belong to its labels, {', '.join(parent.parameters)}",
            hint="refine the bank that it was learnt from, and learn again from that",
        )
    refined, account = refine_negatives(world, asking, nearest=settings.nearest, keep=settings.keep, seed=settings.seed)
    if not refined.kept:
        raise BankError(f"negrefine: none of the negatives of bank {parent.name} is left", hint="see the setting keep")
    kept = [parent.id_count + place for place in refined.kept]
    parameters, counts = paired(world, settings, kept) if settings.pairs else ({}, {})
    return Learned(
        negatives=(),
        parameters=parameters,
        facts={**parent.spec.get("learned", {}), "pairs": settings.pairs},
        account={**account, **counts},
        inherited=tuple(kept),
    )


def paired(
    world: World, settings: NegRefineSettings, kept: Sequence[int]
) -> tuple[Mapping[str, NDArray[np.generic]], Mapping[str, int]]:
    """The pairs that images of the reference and the lake meet most often, of equally frequent ones the first, with the
    vectors of their texts."""
    parent = world.parent
    ids, negatives = on_grid(parent.id_vectors), on_grid(parent.vectors[list(kept)])
    met: Counter[tuple[int, int]] = Counter()
    images = 0
    for vectors in sampled(world, settings.sample):
        rows = on_grid(vectors)
        near, far = (nearest_places(exact_cosines(rows, side), settings.joined) for side in (ids, negatives))
        met.update((i, j) for own, others in zip(near.tolist(), far.tolist(), strict=True) for i in own for j in others)
        images += len(rows)
    if not met:
        raise BankError("negrefine: there is no image to find pairs by", hint="scan some, or name a reference")
    chosen = sorted(sorted(met), key=lambda pair: -met[pair])[: settings.pairs]
    texts = [f"{parent.id_texts[i]} and {parent.labels[kept[j]].text}" for i, j in chosen]
    parameters: dict[str, NDArray[np.generic]] = {
        PAIR_LABELS: np.array(chosen, dtype=np.int64),
        PAIR_VECTORS: world.encode([fill(CSP_TEMPLATES, text) for text in texts]),
    }
    counts = {"pair_images": images, "pairs_met": len(met), "pairs_kept": len(chosen)}
    return parameters, {**counts, "pair_meetings_covered": sum(met[pair] for pair in chosen)}


def sampled(world: World, most: int) -> Iterator[Vectors]:
    """Vectors of up to so many images of the reference and of the lake each, by id."""
    reference = sorted(image.image_id for image in world.id_images)[: most or None]
    for ids in batches(reference, BATCH):
        yield world.reference_vectors(ids)
    for ids in batches(world.sample_ids(most), BATCH):
        yield world.lake_vectors(ids)
