"""TANL as a system: no generator, only the images of the lake. The bank is the most activated candidates, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError
from curator.generators.asking import Asking
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.spec import bank_scale
from curator.systems.proposals import Learned, Proposal, Streamed
from curator.systems.stream import batches, feed_lake, suspects_of
from curator.systems.tanl.settings import TanlSettings
from curator.systems.tanl.stream import TanlStream, activations, ranked
from curator.systems.world import World
from curator.types import Bank, Label, Pixels, Vectors

NOISE_IMAGES = 3  # of each kind


def learn_tanl(world: World, asking: Asking, settings: TanlSettings) -> Learned:
    """The candidates that OOD images activate most, in their order, which the method goes by."""
    candidates, vectors = candidates_of(world, settings)
    suspects = suspects_of(world, settings)
    if suspects is not None:
        order = activated(
            world.parent, vectors, world.lake_vectors(suspects.ood), world.lake_vectors(suspects.kept), settings
        )
        account: dict[str, float] = {
            "candidates": len(candidates),
            "taken_for_id": len(suspects.kept),
            "taken_for_ood": len(suspects.ood),
        }
        return learned_from([candidates[place] for place in order.tolist()], settings, account)
    parent, encoder = world.parent, world.encoder
    noise = encoder.encode_images(noise_pixels(encoder.preprocess.size, settings.seed))
    stream, seen, streamed = feed_lake(
        lambda: TanlStream(
            parent.id_vectors, vectors, settings, scale=bank_scale(parent), noise=noise, device=world.device
        ),
        world,
        settings,
        largest=1.0,
    )
    chosen = [candidates[place] for place in stream.frozen_order().tolist()]
    account = {
        "images": seen,
        "candidates": len(candidates),
        "threshold": float(stream.threshold),
        "taken_for_id": len(stream.positive),
        "taken_for_ood": len(stream.negative),
    }
    return learned_from(chosen, settings, account, streamed)


def learned_from(
    chosen: Sequence[Label], settings: TanlSettings, account: Mapping[str, object], streamed: Streamed | None = None
) -> Learned:
    """What a bank of these candidates is, in their order."""
    return Learned(
        negatives=tuple(Proposal(label.text, label.prompt or "", f"tanl:{label.source}") for label in chosen),
        facts={"mode": settings.mode, "step": settings.step},
        account=account,
        streamed=streamed,
    )


def activated(
    parent: Bank, candidates: Vectors, ood: Vectors, kept: Vectors, settings: TanlSettings
) -> NDArray[np.intp]:
    """The places of the candidates (U, d) that OOD images activate more than ID ones do, the most activated first.

    TANL's order by the difference of mean activations, with images whose side is as good as known in place of its
    queues: neither noise images nor the texts of ID labels stand in for them.
    """
    difference = np.zeros(len(candidates))
    ids, rows = on_grid(parent.id_vectors), on_grid(candidates)
    for images, sign in ((ood, 1.0), (kept, -1.0)):
        for part in batches(images, settings.batch):
            images_on_grid = on_grid(part)
            inside, outside = exact_cosines(images_on_grid, ids), exact_cosines(images_on_grid, rows)
            shares = activations(inside, outside, scale=bank_scale(parent))
            difference += sign * shares.sum(axis=0) / len(images)
    order = ranked(difference, settings.negatives)
    found: NDArray[np.intp] = order[difference[order] > 0]
    if not len(found):
        raise BankError("tanl: the images taken for OOD activate no candidate more than ID images do")
    return found


def candidates_of(world: World, settings: TanlSettings) -> tuple[Sequence[Label], Vectors]:
    """The parent's negatives, or all that they were mined from, which the text cache still knows; (U, d)."""
    parent = world.parent
    if settings.candidates == "corpus" and "negatives" in parent.spec:
        parent = world.whole_corpus()
    return parent.labels[parent.id_count :], parent.negative_vectors


def noise_pixels(size: int, seed: int) -> Pixels:
    """TANL's noise images, (15, size, size, 3): three each of Gaussian, uniform, Poisson, gamma and salt-and-pepper.

    The published code draws them without a seed and does not normalise them for the encoder; here they are images like
    all others.
    """
    drawn = np.random.default_rng(seed)
    shape = (NOISE_IMAGES, size, size, 3)
    kinds = (
        drawn.normal(0.5, 0.25, shape),
        drawn.uniform(0.0, 1.0, shape),
        drawn.poisson(4.0, shape) / 8.0,
        drawn.gamma(2.0, 0.2, shape),
        np.where(drawn.uniform(size=shape[:3])[..., None] < 0.5, 0.0, 1.0) * np.ones(3),
    )
    pixels: Pixels = np.rint(np.concatenate([np.clip(kind, 0.0, 1.0) for kind in kinds]) * 255).astype(np.uint8)
    return pixels
