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
PICTURE_LABELS = 120  # what one picture is gone on from for: all of a group with up to 100 classes


@dataclass(frozen=True, slots=True)
class MmoodSettings(SystemSettings):
    """branch: near, far, or both (mix). near_per_class: n labels of each image of a class; total: L labels, None for
    12 a class. groups: M primary categories, None for max(1, min(10, ceil(K / 10))).

    sketch: draft labels a group; representatives: r of them are shown as pictures, each in a conversation of its own
    (LLaVA-1.5 knows one image a conversation), None for as many as give 120 labels each. per_turn: labels, and classes
    to be put into groups, a turn. rounds: turns about a picture, None for twice as many as its labels take and one.
    include_sketch: drafts become labels where elaboration left room.
    mix: labels, half of L from each branch in one softmax, or scores, L of each and their scores averaged, that of near
    with `near_weight`. images_per_class: images shown of each class, each in its own conversation.
    steps, guidance, size: of the painter, for Stable Diffusion 1.5. neighbours: images of the lake that are looked at
    for a label where there is no diffusion model. template: that of the ID labels; another one is refused.
    max_cosine, word_overlap: see `CleaningRules`.
    """

    system = "mmood"
    images_setting = "images_per_class"

    branch: Branch = "mix"
    near_per_class: Count = PER_CLASS
    total: Count | None = None
    groups: Count | None = None
    sketch: Count = 20
    representatives: Count | None = None
    per_turn: Count = 50
    rounds: Count | None = None
    include_sketch: bool = True
    mix: Mix = "labels"
    near_weight: Fraction = 0.5
    images_per_class: Count = 1
    steps: Count = 50
    guidance: Annotated[float, Range(0, 100)] = 7.5
    size: Count = 512
    neighbours: Count = 16
    template: Wording | None = None
    word_overlap: bool = False
    max_cosine: Cosine | None = None
    seed: Natural = 0

    @property
    def roles(self) -> tuple[Role, ...]:
        return ("reasoner", "viewer") if self.branch == "near" else ("reasoner", "viewer", "painter")

    @property
    def rules(self) -> CleaningRules:
        """How the labels are to be cleaned."""
        return CleaningRules(word_overlap=self.word_overlap, max_cosine=self.max_cosine)

    @property
    def painter(self) -> dict[str, object]:
        """What is set of a request to the painter."""
        return {"steps": self.steps, "guidance": self.guidance, "width": self.size, "height": self.size}

    def label_count(self, id_count: int) -> int:
        """L."""
        return self.total or PER_CLASS * id_count

    def group_count(self, id_count: int) -> int:
        """M."""
        return min(id_count, self.groups or max(1, min(MOST_GROUPS, math.ceil(id_count / 10))))

    def picture_count(self, goal: int) -> int:
        """r, of a group that is to give so many labels."""
        return self.representatives or math.ceil(goal / PICTURE_LABELS)

    def most_rounds(self, goal: int, pictures: int) -> int:
        """Turns about each of so many pictures: models repeat themselves, and cleaning takes its part."""
        return self.rounds or 2 * math.ceil(goal / (self.per_turn * pictures)) + 1
