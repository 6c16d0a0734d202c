"""The settings of SynOOD, with the values of its code (commit e13114e) where it has any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from curator.errors import ConfigError
from curator.generators.requests import Role
from curator.ranges import Form, Range
from curator.systems.settings import Count, Fraction, Natural, Positive, Share, SystemSettings

PAINTER = ("size", "steps", "strength", "guidance", "passes", "learning_rate", "loss", "m_out", "tau")
# Of other places none: they would stay as they are.
CONTEXT = Form(r"(?:(?!\{[a-z_]+\}).)*\{context\}(?:(?!\{[a-z_]+\}).)*", "one line that holds {context} once")


@dataclass(frozen=True, slots=True)
class SynoodSettings(SystemSettings):
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

    system = "synood"
    images_setting = "per_class"

    per_class: Count = 50
    elements: Count = 8
    context_characters: Count = 73
    template: Annotated[str, CONTEXT] = "A photo only remain {context}."
    size: Count = 512
    steps: Count = 20
    strength: Share = 0.6
    guidance: Annotated[float, Range(0, 100)] = 8.0
    passes: Count = 3
    learning_rate: Positive = 5.0
    loss: Literal["uniform_ce", "energy_hinge", "code_energy"] = "uniform_ce"
    m_out: Annotated[float, Range(-1e6, 1e6)] | None = None
    tau: Positive = 1.0
    require_nearer: bool = False
    projection_epochs: Count = 3
    projection_batch: Count = 128
    projection_rate: Positive = 1e-3
    projection_last_rate: Fraction = 1e-5
    projection_decay: Fraction = 1e-5
    projection_gain: Positive = 0.01  # at exactly 0 ReLU passes no gradient and the projection would never learn
    tuning_epochs: Count = 5
    tuning_batch: Count = 128
    tuning_rate: Positive = 2e-2
    tuning_momentum: Fraction = 0.9
    tuning_decay: Fraction = 1e-5
    scale: Positive | None = None
    seed: Natural = 0

    def __post_init__(self) -> None:
        if self.loss == "energy_hinge" and self.m_out is None:
            raise ConfigError("synood: the loss energy_hinge needs m_out", hint="the energy that images are to reach")

    @property
    def roles(self) -> tuple[Role, ...]:
        return "describer", "painter"

    @property
    def painter(self) -> dict[str, object]:
        """What a painter's request carries; values that are not set are left out."""
        values = {name: getattr(self, name) for name in PAINTER}
        return {name: value for name, value in values.items() if value is not None}
