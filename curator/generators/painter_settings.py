"""What a request to a diffusion model may set, with the defaults of the two methods that paint. Loads nothing heavy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from curator.errors import UsageError


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """From text to image: MM-OOD's far branch. width, height: in pixels, None for what the model was trained on.

    guidance: the weight of classifier-free guidance. The sampler is that of the checkpoint.
    """

    width: int | None = None
    height: int | None = None
    steps: int = 50
    guidance: float = 7.5


@dataclass(frozen=True, slots=True)
class InpaintSettings:
    """SynOOD's loop, with the values of its code (commit e13114e), but for the loss and the learning rate.

    size: of the square that is painted, in pixels; the image is resized to it without keeping its aspect.
    steps, strength: the schedule has `steps` steps, of which the last int(steps * strength) are run.
    passes: how often the image is painted. Each pass but the last one changes the noise, so 3 passes are 2 updates.
    learning_rate: of the *sum* of the losses over the images of a batch, so that an image's step does not depend on how
    many others are painted with it. SynOOD takes the mean over its batch of 2 and 10: the same step as 5 here.
    loss, m_out, tau: see guide_losses.
    """

    size: int = 512
    steps: int = 20
    strength: float = 0.6
    guidance: float = 8.0
    passes: int = 3
    learning_rate: float = 5.0
    loss: str = "uniform_ce"
    m_out: float | None = None
    tau: float = 1.0

    @property
    def steps_run(self) -> int:
        return min(int(self.steps * self.strength), self.steps)


Settings: TypeAlias = DrawSettings | InpaintSettings
TASKS: Mapping[str, type[DrawSettings] | type[InpaintSettings]] = {"draw": DrawSettings, "inpaint": InpaintSettings}


def read_settings(prompt: str, settings: Mapping[str, Any]) -> Settings:
    """Of a request with that prompt. Raises UsageError for a prompt that is no painter's, and for a bad setting."""
    if prompt not in TASKS:
        raise UsageError(f"diffusion models do not paint for the prompt {prompt!r}", hint=f"known: {', '.join(TASKS)}")
    kind = TASKS[prompt]
    known = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in settings.items():
        if name not in known:
            raise UsageError(f"{prompt} has no setting {name!r}", hint=f"known: {', '.join(known)}")
        if not _fits(str(known[name].type), value):
            raise UsageError(f"{prompt}: the setting {name} is {value!r}, and must be {known[name].type}")
    made = kind(**settings)
    _check(prompt, made)
    return made


def _fits(declared: str, value: object) -> bool:
    if value is None:
        return "None" in declared
    if isinstance(value, bool):
        return False
    if "float" in declared:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, int if "int" in declared else str)


def _check(prompt: str, settings: Settings) -> None:
    for name in ("width", "height", "steps", "size", "passes"):
        count = getattr(settings, name, None)
        if count is not None and count < 1:
            raise UsageError(f"{prompt}: {name} is {count}", hint="give 1 or more")
    if isinstance(settings, InpaintSettings):
        if not 0 < settings.strength <= 1:
            raise UsageError(f"{prompt}: strength is {settings.strength}", hint="it is above 0 and at most 1")
        if settings.steps_run < 1:
            raise UsageError(
                f"{prompt}: strength {settings.strength} of {settings.steps} steps leaves none to run",
                hint="raise one of them",
            )
