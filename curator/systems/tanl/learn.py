"""TANL as a system: no generator, only the images of the lake. The bank is the most activated candidates, in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curator.generators.asking import Asking
from curator.methods.spec import bank_scale
from curator.systems.proposals import Learned, Proposal
from curator.systems.stream import feed_lake
from curator.systems.tanl.settings import TanlSettings
from curator.systems.tanl.stream import TanlStream
from curator.systems.world import World
from curator.types import Label, Pixels, Vectors

NOISE_IMAGES = 3  # of each kind


def learn_tanl(world: World, asking: Asking, settings: TanlSettings) -> Learned:
    """The candidates that OOD images activate most, in their order, which the method goes by."""
    parent, encoder = world.parent, world.encoder
    candidates, vectors = candidates_of(world, settings)
    noise = encoder.encode_images(noise_pixels(encoder.preprocess.size, settings.seed))
    stream, seen, streamed = feed_lake(
        lambda: TanlStream(parent.id_vectors, vectors, settings, scale=bank_scale(parent), noise=noise),
        world,
        settings,
        largest=1.0,
    )
    chosen = [candidates[place] for place in stream.frozen_order().tolist()]
    return Learned(
        negatives=tuple(Proposal(label.text, label.prompt or "", f"tanl:{label.source}") for label in chosen),
        facts={"mode": settings.mode, "step": settings.step},
        account={
            "images": seen,
            "candidates": len(candidates),
            "threshold": float(stream.threshold),
            "taken_for_id": len(stream.positive),
            "taken_for_ood": len(stream.negative),
        },
        streamed=streamed,
    )


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
