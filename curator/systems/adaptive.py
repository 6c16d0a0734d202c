"""AdaNeg and TANL as systems: no generator, only the images of the lake. Both share the streams of ANTS.

frozen feeds a sample of the lake in the order of image ids, which are hashes of content, and keeps what was learnt:
scores then depend on the image alone. online feeds the whole lake as it arrived and keeps the scores in passing too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from curator.banks import checks
from curator.banks.checks import Check, read_table
from curator.errors import BankError
from curator.methods.members.adaneg import BETA, GROUP_COUNT, STATIC_WEIGHT
from curator.methods.spec import bank_scale
from curator.systems.adaneg import stream as adaneg_stream
from curator.systems.adaneg.stream import AdaNegStream
from curator.systems.limits import check_fields, number, out_of, positive_count, positive_number
from curator.systems.proposals import Learned, Proposal
from curator.systems.tanl import stream as tanl_stream
from curator.systems.tanl.stream import TanlStream
from curator.types import Bank, Label, Pixels, Vectors

Mode: TypeAlias = Literal["frozen", "online"]
NOISE_IMAGES = 3  # of each kind


@dataclass(frozen=True, slots=True)
class AdaNegSettings:
    """Zhang and Zhang, NeurIPS 2024. sample: images of the lake to learn from when frozen, 0 for all; batch: images at
    a time; orders: how many other orders are tried when online. proxies: by class (task) or by image (sample).

    slots, threshold, gap, static_weight, group_count, beta, adaptive_gap, window: see curator.systems.adaneg.stream.
    """

    mode: Mode = "frozen"
    sample: int = 20_000
    batch: int = 256
    orders: int = 1
    proxies: Literal["task", "sample"] = "task"
    slots: int = 10
    threshold: float = 0.5
    gap: float = 0.5
    static_weight: float = STATIC_WEIGHT
    group_count: int = GROUP_COUNT
    beta: float = BETA
    adaptive_gap: bool = False
    window: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, _ADANEG, "adaneg")

    @classmethod
    def resolve(cls, table: Mapping[str, Any], *, where: str = "adaneg") -> Self:
        """Raises ConfigError that names an unknown key or a bad value."""
        return cls(**read_table(table, _ADANEG, where))

    def stream(self, parent: Bank) -> AdaNegStream:
        """A stream that has seen nothing yet."""
        shared = {item.name for item in fields(adaneg_stream.AdaNegSettings)} - {"scale", "mode"}
        own = {name: getattr(self, name) for name in shared}
        settings = adaneg_stream.AdaNegSettings(scale=bank_scale(parent), mode=self.proxies, **own)
        return AdaNegStream(parent.id_vectors, parent.negative_vectors, settings)


@dataclass(frozen=True, slots=True)
class TanlSettings:
    """candidates: the negatives of the parent bank, or the whole corpus that they were mined from, as published.

    mode, sample, batch, orders: see AdaNegSettings; the others curator.systems.tanl.stream.
    """

    mode: Mode = "frozen"
    sample: int = 20_000
    batch: int = 256
    orders: int = 1
    candidates: Literal["corpus", "mined"] = "corpus"
    negatives: int = 1000
    queue: int = 300
    gap: float = 0.5
    alpha: float = 0.0
    step: int = 1
    score_queue: int = 20_000
    ties: Literal["middle", "first"] = "middle"
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, _TANL, "tanl")

    @classmethod
    def resolve(cls, table: Mapping[str, Any], *, where: str = "tanl") -> Self:
        """Raises ConfigError that names an unknown key or a bad value."""
        return cls(**read_table(table, _TANL, where))

    def stream(self, parent: Bank, candidates: Vectors, noise: Vectors) -> TanlStream:
        """A stream that has seen nothing but ID texts and noise."""
        shared = {item.name for item in fields(tanl_stream.TanlSettings)} - {"scale"}
        own = {name: getattr(self, name) for name in shared}
        settings = tanl_stream.TanlSettings(scale=bank_scale(parent), **own)
        return TanlStream(parent.id_vectors, candidates, settings, noise=noise)


_STREAM: dict[str, Check] = {
    "mode": out_of("frozen", "online"),
    "sample": checks.count,
    "batch": positive_count,
    "orders": checks.count,
    "gap": checks.share,
    "seed": checks.count,
}
_ADANEG: dict[str, Check] = _STREAM | {
    "proxies": out_of("task", "sample"),
    "slots": positive_count,
    "threshold": checks.share,
    "static_weight": number,
    "group_count": positive_count,
    "beta": positive_number,
    "adaptive_gap": checks.flag,
    "window": positive_count,
}
_TANL: dict[str, Check] = _STREAM | {
    "candidates": out_of("corpus", "mined"),
    "negatives": positive_count,
    "queue": positive_count,
    "alpha": number,
    "step": checks.count,
    "score_queue": positive_count,
    "ties": out_of("middle", "first"),
}


def adaneg_learned(stream: AdaNegStream, parent: Bank, settings: AdaNegSettings, seen: int) -> Learned:
    """The parent's labels with what the stream stored. Raises BankError when no image was confident."""
    frozen = stream.frozen()
    stored = len(frozen.classes)
    if not stored:
        raise BankError(
            f"adaneg: none of {seen} images is confident enough to be stored",
            hint="lower gap or threshold, or scan more images",
        )
    first_negative = parent.id_count
    return Learned(
        negatives=(),
        parameters=frozen.parameters(),
        facts={"mode": settings.mode, "proxies": settings.proxies},
        account={
            "images": seen,
            "stored": stored,
            "stored_id": int((frozen.classes < first_negative).sum()),
            "labels_with_images": len(set(frozen.classes.tolist())),
        },
        inherited=tuple(range(parent.id_count, len(parent.labels))),
    )


def tanl_learned(stream: TanlStream, candidates: Sequence[Label], settings: TanlSettings, seen: int) -> Learned:
    """The most activated candidates, in their order, which the method goes by."""
    frozen = stream.frozen()
    chosen = [candidates[place] for place in frozen.order.tolist()]
    return Learned(
        negatives=tuple(Proposal(label.text, label.prompt or "", f"tanl:{label.source}") for label in chosen),
        facts={"mode": settings.mode, "step": settings.step},
        account={
            "images": seen,
            "candidates": len(candidates),
            "threshold": float(frozen.threshold),
            "taken_for_id": len(stream.positive),
            "taken_for_ood": len(stream.negative),
        },
    )


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
