"""The settings of AdaNeg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from curator.methods.members.adaneg import BETA, GROUP_COUNT, STATIC_WEIGHT
from curator.ranges import Range
from curator.systems.registry import Mode, Rule
from curator.systems.settings import Count, Natural, Positive, Share, SystemSettings, Weight


@dataclass(frozen=True, slots=True)
class AdaNegSettings(SystemSettings):
    """Zhang and Zhang, NeurIPS 2024. mode, suspects, sample, batch, orders: see curator.systems.stream.

    proxies: by class (task) or by image (sample), with `beta` as in the method. slots: L of a label, of which the first
    is the text's, so L - 1 hold images. The cuts of confident images are at threshold + gap * (1 - threshold) and
    threshold - gap * threshold. static_weight: of the texts' score in the sum. adaptive_gap: cuts follow the share of
    ID images among the newest `window` pseudo-labels (AdaGap, published with a static_weight of 1).
    """

    system = "adaneg"

    mode: Mode = "frozen"
    suspects: Rule = "excess"
    sample: Natural = 20_000
    batch: Count = 256
    orders: Natural = 0
    proxies: Literal["task", "sample"] = "task"
    slots: Annotated[int, Range(2, unit="the text's and one an image")] = 10
    threshold: Share = 0.5
    gap: Share = 0.5
    static_weight: Weight = STATIC_WEIGHT
    group_count: Count = GROUP_COUNT
    beta: Positive = BETA
    adaptive_gap: bool = False
    window: Count = 10_000
    seed: Natural = 0
