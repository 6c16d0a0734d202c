"""The settings of MM-OOD."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from curator.generators.requests import Role
from curator.ranges import Range
from curator.systems.cleaning import CleaningRules
from curator.systems.mmood import Branch, Mix
from curator.systems.settings import Cosine, Count, Fraction, Natural, SystemSettings, Wording

PER_CLASS = 12  # labels a class of the far table: L = 12 K
MOST_GROUPS = 10


@dataclass(frozen=True, slots=True)
class MmoodSettings(SystemSettings):
    """branch: near, far, or both (mix). near_per_class: n labels of each image of a class; total: L labels, None for
    12 a class. groups: M primary categories, None for max(1, min(10, ceil(K / 10))).

    sketch: draft labels a group; representatives: r of them are painted (LLaVA-1.5 knows one image a conversation);
    rounds: of elaboration, the first included; include_sketch: drafts become labels where elaboration left room.
    mix: labels, half of L from each branch in one softmax, or scores, L of each and their scores averaged, that of near
    with `near_weight`. images_per_class: images shown of each class, each in its own conversation.
    steps, guidance, size: of the painter, for Stable Diffusion 1.5. max_cosine, word_overlap: see `CleaningRules`.
    """

    system = "mmood"

    branch: Branch = "mix"
    near_per_class: Count = PER_CLASS
    total: Count | None = None
    groups: Count | None = None
    sketch: Count = 20
    representatives: Count = 1
    rounds: Count = 5
    include_sketch: bool = True
    mix: Mix = "labels"
    near_weight: Fraction = 0.5
    images_per_class: Count = 1
    steps: Count = 50
    guidance: Annotated[float, Range(0, 100)] = 7.5
    size: Count = 512
    template: Wording | None = None
    word_overlap: bool = False
    max_cosine: Cosine | None = None
    seed: Natural = 0

    @property
    def roles(self) -> tuple[Role, ...]:
        return ("reasoner",) if self.branch == "near" else ("reasoner", "painter")

    @property
    def rules(self) -> CleaningRules:
        """How the labels are to be cleaned."""
        return CleaningRules(word_overlap=self.word_overlap, max_cosine=self.max_cosine)

    def label_count(self, id_count: int) -> int:
        """L."""
        return self.total or PER_CLASS * id_count

    def group_count(self, id_count: int) -> int:
        """M."""
        return min(id_count, self.groups or max(1, min(MOST_GROUPS, math.ceil(id_count / 10))))
