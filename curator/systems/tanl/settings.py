"""The settings of TANL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from curator.systems.registry import Mode, Rule
from curator.systems.settings import Count, Natural, Share, SystemSettings, Weight

Ties: TypeAlias = Literal["middle", "first"]


@dataclass(frozen=True, slots=True)
class TanlSettings(SystemSettings):
    """Zhang et al., CVPR 2026. mode, suspects, sample, batch, orders: see curator.systems.stream.

    candidates: the negatives of the parent bank, or the whole corpus that they were mined from, as published, of which
    `negatives` are taken. queue: activations kept of either side. gap: of the confident images to the threshold.
    alpha: weight of the queues against the batch, published in [0, 1]. step: as in the method. score_queue: scores that
    the threshold is found among, `ties` how.
    """

    system = "tanl"

    mode: Mode = "frozen"
    suspects: Rule = "excess"
    sample: Natural = 20_000
    batch: Count = 256
    orders: Natural = 0
    candidates: Literal["corpus", "mined"] = "corpus"
    negatives: Count = 1000
    queue: Count = 300
    gap: Share = 0.5
    alpha: Weight = 0.0
    step: Natural = 1
    score_queue: Count = 20_000
    ties: Ties = "middle"
    seed: Natural = 0
