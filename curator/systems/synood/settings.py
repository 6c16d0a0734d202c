"""The settings of SynOOD, with the values of its code (commit e13114e) where it has any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from curator.banks import checks
from curator.banks.checks import Check, read_table
from curator.errors import ConfigError
from curator.generators.prompts import PLACE
from curator.systems.limits import between, check_fields, or_none, out_of, positive_count, positive_number

PAINTER = ("size", "steps", "strength", "guidance", "passes", "learning_rate", "loss", "m_out", "tau")


@dataclass(frozen=True, slots=True)
class SynoodSettings:
    """per_class: images of each class, 50 published. elements: at most so many are asked for; context_characters:
    of their list. template: of the painter's text, with {context}.

    Painter: size to tau, see painter_settings.py. learning_rate: of losses summed over a batch, the same step as the
    code's 10 of their mean over 2. loss: uniform_ce is what the code's constant -5 comes to with 1,000 classes.
    require_nearer: only images that are nearer to their negative than to their class take part.
    projection_: epochs, images a batch, Adam's first and last rate (cosine, by epoch), weight decay; gain: of
    LayerNorm at the start, 1 in the code, where it moves an image by more than its own length at once.
    tuning_: the same with SGD; rate: 0.02 is the code's, the paper says 0.002.
    scale: of cosines in both losses, None for the encoder's own (CLIP: 100).
    """

    per_class: int = 50
    elements: int = 8
    context_characters: int = 73
    template: str = "A photo only remain {context}."
    size: int = 512
    steps: int = 20
    strength: float = 0.6
    guidance: float = 8.0
    passes: int = 3
    learning_rate: float = 5.0
    loss: str = "uniform_ce"
    m_out: float | None = None
    tau: float = 1.0
    require_nearer: bool = False
    projection_epochs: int = 3
    projection_batch: int = 128
    projection_rate: float = 1e-3
    projection_last_rate: float = 1e-5
    projection_decay: float = 1e-5
    projection_gain: float = 0.01
    tuning_epochs: int = 5
    tuning_batch: int = 128
    tuning_rate: float = 2e-2
    tuning_momentum: float = 0.9
    tuning_decay: float = 1e-5
    scale: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, _CHECKS, "synood")
        if self.loss == "energy_hinge" and self.m_out is None:
            raise ConfigError("synood: the loss energy_hinge needs m_out", hint="the energy that images are to reach")

    @classmethod
    def resolve(cls, table: Mapping[str, Any], *, where: str = "synood") -> Self:
        """Raises ConfigError that names an unknown key or a bad value."""
        return cls(**read_table(table, _CHECKS, where))

    @property
    def painter(self) -> dict[str, Any]:
        """What a painter's request carries; values that are not set are left out."""
        values = {name: getattr(self, name) for name in PAINTER}
        return {name: value for name, value in values.items() if value is not None}


def _context_template(value: Any) -> str:
    if not isinstance(value, str) or PLACE.findall(value) != ["context"] or not value.isprintable():
        raise ValueError("one line that holds {context} once")
    return value


_CHECKS: dict[str, Check] = {
    "per_class": positive_count,
    "elements": positive_count,
    "context_characters": positive_count,
    "template": _context_template,
    "size": positive_count,
    "steps": positive_count,
    "strength": checks.share,
    "guidance": between(0, 100),
    "passes": positive_count,
    "learning_rate": positive_number,
    "loss": out_of("uniform_ce", "energy_hinge", "code_energy"),
    "m_out": or_none(between(-1e6, 1e6)),
    "tau": positive_number,
    "require_nearer": checks.flag,
    "projection_epochs": positive_count,
    "projection_batch": positive_count,
    "projection_rate": positive_number,
    "projection_last_rate": between(0, 1),
    "projection_decay": between(0, 1),
    # At exactly 0 ReLU passes no gradient and the projection would never learn.
    "projection_gain": positive_number,
    "tuning_epochs": positive_count,
    "tuning_batch": positive_count,
    "tuning_rate": positive_number,
    "tuning_momentum": between(0, 1),
    "tuning_decay": between(0, 1),
    "scale": or_none(positive_number),
    "seed": checks.count,
}
