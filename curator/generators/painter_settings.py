"""What a request to a diffusion model may set, with the defaults of the two methods that paint. Loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, TypeAlias

from curator.errors import UsageError
from curator.ranges import Place, Range, read_table

ZERO_SHOT = "zero-shot"  # the guide that is the encoder itself, which also judges what was painted


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """From text to image: MM-OOD's far branch. width, height: in pixels, None for what the model was trained on.

    guidance: the weight of classifier-free guidance. The sampler is that of the checkpoint.
    """

    width: Annotated[int, Range(1, unit="pixels")] | None = None
    height: Annotated[int, Range(1, unit="pixels")] | None = None
    steps: Annotated[int, Range(1)] = 50
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

    size: Annotated[int, Range(1, unit="pixels")] = 512
    steps: Annotated[int, Range(1)] = 20
    strength: Annotated[float, Range(0, 1, above=True)] = 0.6
    guidance: float = 8.0
    passes: Annotated[int, Range(1)] = 3
    learning_rate: float = 5.0
    loss: str = "uniform_ce"
    m_out: float | None = None
    tau: float = 1.0

    @property
    def steps_run(self) -> int:
        return min(int(self.steps * self.strength), self.steps)


Settings: TypeAlias = DrawSettings | InpaintSettings
TASKS: Mapping[str, type[DrawSettings] | type[InpaintSettings]] = {"draw": DrawSettings, "inpaint": InpaintSettings}


def network_passes(prompt: str, settings: Mapping[str, object]) -> int:
    """Passes through the U-Net that a diffusion model needs for one such request: with guidance two a step. PNDM takes
    one step more each time it paints."""
    made = read_settings(prompt, settings)
    steps = made.passes * made.steps_run if isinstance(made, InpaintSettings) else made.steps
    return steps * (2 if made.guidance > 1 else 1)


def read_settings(prompt: str, settings: Mapping[str, object]) -> Settings:
    """Of a request with that prompt. Raises UsageError for a prompt that is no painter's, and for a bad setting."""
    if prompt not in TASKS:
        raise UsageError(f"diffusion models do not paint for the prompt {prompt!r}", hint=f"known: {', '.join(TASKS)}")
    kind = TASKS[prompt]
    unset = {item.name for item in fields(kind) if item.default is None}
    given = {name: value for name, value in settings.items() if value is not None or name not in unset}
    made = read_table(kind, given, Place(prompt, strict=True))
    if isinstance(made, InpaintSettings) and made.steps_run < 1:
        raise UsageError(
            f"{prompt}: strength {made.strength} of {made.steps} steps leaves none to run", hint="raise one of them"
        )
    return made
