"""Lanes: the numbers of encoders and decoders that a cluster gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from curator.config import RaySection
from curator.errors import EngineError

CPUS_AN_ENCODER = 8  # at most, where there is no GPU: a batch does not spread well over more


@dataclass(frozen=True, slots=True)
class Allotment:
    """Workers of a cluster: encoders with so many cores and GPUs each, and decoders of one core."""

    encoders: int
    encoder_cpus: int
    encoder_gpus: int
    decoders: int

    @property
    def lanes_an_encoder(self) -> int:
        """Decoders that feed one encoder, at most."""
        return -(-self.decoders // self.encoders)

    def __str__(self) -> str:
        gpus = f", {self.encoder_gpus} GPU" if self.encoder_gpus else ""
        return f"{self.encoders} encoders ({self.encoder_cpus} cores{gpus} each) and {self.decoders} decoders (1 core)"


def allot(resources: Mapping[str, float], options: RaySection, *, device: str) -> Allotment:
    """Divide a cluster's resources (`CPU`, `GPU`): one encoder a GPU, or half of the cores for encoders without GPUs.

    Raises EngineError for a cluster that is too small for one encoder and one decoder.
    """
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    on_gpu = gpus > 0 and device != "cpu"
    if on_gpu:
        encoders = options.encoders or gpus
        encoder_cpus = options.encoder_cpus or 1
    else:
        encoders = options.encoders or max(1, cpus // (2 * CPUS_AN_ENCODER))
        encoder_cpus = options.encoder_cpus or max(1, cpus // (2 * encoders))
    decoders = options.decoders or max(encoders, cpus - encoders * encoder_cpus)
    allotted = Allotment(encoders, encoder_cpus, int(on_gpu), decoders)
    if encoders * encoder_cpus + decoders > cpus or (on_gpu and encoders > gpus):
        raise EngineError(
            f"the cluster has {cpus} cores and {gpus} GPUs: no room for {allotted}",
            hint="start Ray with more (`ray start --num-cpus N`), or set ray.encoders, ray.decoders, ray.encoder_cpus",
        )
    return allotted
