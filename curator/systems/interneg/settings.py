"""The settings of InterNeg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from curator.errors import ConfigError
from curator.methods.members.interneg import GROUP_COUNT
from curator.systems.registry import Mode, Rule
from curator.systems.settings import Count, Fraction, Natural, SystemSettings, Weight


@dataclass(frozen=True, slots=True)
class InterNegSettings(SystemSettings):
    """Xu et al., CVPR 2026; TINS, arXiv 2605.10756. mode, sample, batch, orders: see curator.systems.stream.

    per_class: reference images of each ID class, 0 for all. negatives: how many are chosen. candidates: the whole
    corpus of the parent, or its negatives. counts: of either part of speech by its share of what passes, or as TINS,
    which takes at least one adjective. dynamic: candidates are retrieved for images that score below `threshold`, the
    first `retrieved` by separation; `pull` weighs their distance from the ID images. group_count: of the score.
    """

    system = "interneg"
    images_setting = "per_class"

    mode: Mode = "frozen"
    per_class: Natural = 16
    negatives: Count = 2000
    candidates: Literal["corpus", "mined"] = "corpus"
    counts: Literal["share", "tins"] = "share"
    dynamic: bool = False
    threshold: Fraction = 0.3
    retrieved: Count = 2000
    pull: Weight = 0.3
    group_count: Count = GROUP_COUNT
    sample: Natural = 20_000
    batch: Count = 256
    orders: Natural = 1
    seed: Natural = 0

    def __post_init__(self) -> None:
        if self.mode == "online" and not self.dynamic:
            raise ConfigError("interneg: mode online is for dynamic = true: nothing else follows the stream")

    @property
    def suspects(self) -> Rule:
        """What scores below the threshold, whatever the lake holds."""
        return "published"
