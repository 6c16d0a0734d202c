"""The settings of EOE."""

from __future__ import annotations

from dataclasses import dataclass

from curator.errors import ConfigError
from curator.generators.requests import Role
from curator.systems.cleaning import CleaningRules
from curator.systems.eoe import Task
from curator.systems.settings import Cosine, Count, Natural, SystemSettings, Wording

PER_CLASS: tuple[Task, ...] = ("near", "irrelevant", "dissimilar")


@dataclass(frozen=True, slots=True)
class EoeSettings(SystemSettings):
    """`per_class`: labels a class of the tasks that ask by class; `total`: of the others, `per_turn` a turn.

    `kind`: what the classes are kinds of, such as bird; for fine-grained only. `top_up`: rounds that ask for more where
    cleaning left a conversation short; 0 as published. `max_cosine`: see `CleaningRules`.
    """

    system = "eoe"

    task: Task = "near"
    per_class: Count = 3
    total: Count = 500
    per_turn: Count = 50
    kind: str = ""
    top_up: Natural = 2
    template: Wording | None = None
    max_cosine: Cosine | None = None
    seed: Natural = 0

    def __post_init__(self) -> None:
        if (self.task == "fine-grained") != bool(self.kind.strip()):
            raise ConfigError(
                "eoe: kind goes with the task fine-grained, and with no other",
                hint='what the classes are kinds of, such as kind = "bird"',
            )

    @property
    def roles(self) -> tuple[Role, ...]:
        return ("reasoner",)

    @property
    def rules(self) -> CleaningRules:
        """How the labels are to be cleaned: shared words count for near only, as published."""
        return CleaningRules(
            word_overlap=self.task == "near", max_cosine=self.max_cosine, look_alikes=self.task in PER_CLASS
        )
