"""The painter on diffusion models: `draw` makes an image of a text, `inpaint` makes an image hard to place (SynOOD).

Requests that share prompt and settings are painted together, `painter_batch_size` at a time. What is random belongs to
each request alone, so an image does not depend on the others of its batch but for the last bits of sums, which kernels
add up in another order for another shape: with painter_batch_size 1 a machine gives the same bytes always.

The weights load with the first request. One pipeline is held at a time: going from one task to the other loads anew.
"""

from __future__ import annotations

import gc
import importlib.util
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from curator.errors import EncoderError, GeneratorError, MissingExtra
from curator.generators.diffusion.guide_address import guide_revision, split_guide
from curator.generators.model_files import PIPELINE_MARKER, revision_of
from curator.generators.painter_settings import DrawSettings, InpaintSettings, Settings, read_settings
from curator.generators.pictures import LONGEST_SIDE, PictureFault, open_picture
from curator.generators.requests import Generator, Reply, Request, Role
from curator.generators.surroundings import Surroundings
from curator.printable import said_by

if TYPE_CHECKING:
    import torch

    from curator.generators import GeneratorOptions
    from curator.generators.diffusion.guides import Guide
    from curator.generators.diffusion.inpainting import Inpainter

Batch: TypeAlias = list[tuple[int, Request]]  # each with its position in the sequence that was asked

JPEG_QUALITY = 95


def make_painter(rest: str, role: Role, options: GeneratorOptions, surroundings: Surroundings) -> Generator:
    """The painter `diffusers:<id or folder>`; `options.quantise` and those of services do not concern it.

    Raises MissingExtra without diffusers, UsageError for a guide that cannot be. Loads nothing.
    """
    if importlib.util.find_spec("diffusers") is None:
        raise MissingExtra("diffusers", extra="diffusion", needed_for=f"the painter diffusers:{rest}")
    split_guide(options.guide)
    return DiffusersPainter(rest, options, surroundings)


class DiffusersPainter:
    """See `curator.generators.requests.Generator`.

    `revision` covers the checkpoint and the guide, with its encoder and ID labels: with another guide `inpaint` gives
    other images. `draw` does not look at the guide, but one painter has one revision. Where the guide is not there the
    revision says so: `draw` works, and `inpaint` tells what is missing.
    """

    def __init__(self, rest: str, options: GeneratorOptions, surroundings: Surroundings) -> None:
        self.model = f"diffusers:{rest}"
        self.room: int | None = None  # its tokenizer cuts what is too long
        self._rest = rest
        self._options = options
        self._surroundings = surroundings
        self._pipeline: tuple[type[Settings], Any] | None = None
        self._guide: Guide | None = None

    @cached_property
    def revision(self) -> str:
        offline = self._options.offline
        files = revision_of(self._rest, address=self.model, marker=PIPELINE_MARKER, offline=offline)
        try:
            return f"{files}+{guide_revision(self._options.guide, self._surroundings, offline=offline)}"
        except GeneratorError:
            return f"{files}+unguided"

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        """Raises UsageError for a prompt or setting that cannot be, before anything is painted."""
        for settings, batch in in_batches(requests, self._options.painter_batch_size):
            allowed = list(takewhile(lambda _: allow(), batch))
            if allowed:
                yield from self._answer(settings, allowed)
            if len(allowed) < len(batch):
                return

    def close(self) -> None:
        if self._pipeline is None and self._guide is None:
            return
        self._pipeline = self._guide = None
        gc.collect()  # modules hold one another in circles
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _answer(self, settings: Settings, batch: Batch) -> Iterator[Reply]:
        start = time.perf_counter()
        with _one_line_faults(self.model, len(batch)):
            if isinstance(settings, DrawSettings):
                replies = self._draw(settings, batch)
            else:
                replies = self._inpaint(settings, batch)
        seconds = (time.perf_counter() - start) / len(batch)
        return (replace(reply, seconds=seconds) for reply in replies)

    def _draw(self, settings: DrawSettings, batch: Batch) -> list[Reply]:
        from curator.generators.diffusion.inpainting import seeded

        pipeline = self._load(DrawSettings)
        sizes = {name: size for name in ("width", "height") if (size := getattr(settings, name))}
        found = pipeline(
            prompt=[request.text for _, request in batch],
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            generator=[seeded(request.seed) for _, request in batch],
            output_type="pil",
            **sizes,
        )
        flags = getattr(found, "nsfw_content_detected", None) or [False] * len(batch)
        facts = {"scheduler": type(pipeline.scheduler).__name__}
        return [
            refusal(position) if flag else picture_reply(position, image, facts)
            for (position, _), image, flag in zip(batch, found.images, flags, strict=True)
        ]

    def _inpaint(self, settings: InpaintSettings, batch: Batch) -> list[Reply]:
        from curator.generators.diffusion.inpainting import Task

        shown, replies = open_pictures(batch, longest_side=max(LONGEST_SIDE, 2 * settings.size))
        if not shown:
            return replies
        inpainter = self._inpainter(settings)
        common = {**inpainter.facts(settings), "guide": self._options.guide}
        tasks = [Task(image, request.text, request.seed) for _, request, image in shown]
        for (position, _, source), painted in zip(shown, inpainter.paint(tasks, settings), strict=True):
            facts = {**common, "losses": list(painted.losses), "source_size": [source.width, source.height]}
            if painted.image is None:
                replies.append(Reply(position, fault="the model gave values that are no numbers: try dtype float32"))
            else:
                replies.append(refusal(position) if painted.unsafe else picture_reply(position, painted.image, facts))
        return replies

    def _inpainter(self, settings: InpaintSettings) -> Inpainter:
        from curator.generators.diffusion.guide_losses import LossChoice, make_loss
        from curator.generators.diffusion.inpainting import Inpainter
        from curator.generators.diffusion.latents import StableDiffusionLatents

        latents = StableDiffusionLatents.of(self._load(InpaintSettings), address=self.model)
        guide = self._load_guide()
        loss = make_loss(LossChoice(settings.loss, settings.m_out, settings.tau), class_count=guide.class_count)
        return Inpainter(latents, guide, loss)

    def _load(self, task: type[Settings]) -> Any:
        if self._pipeline is None or self._pipeline[0] is not task:
            from curator.generators.diffusion.pipelines import load_for_drawing, load_for_inpainting

            self.close()
            load = load_for_drawing if task is DrawSettings else load_for_inpainting
            device, dtype = self._place()
            offline = self._options.offline
            made = load(self._rest, address=self.model, device=device, dtype=dtype, offline=offline)
            self._pipeline = (task, made)
        return self._pipeline[1]

    def _load_guide(self) -> Guide:
        if self._guide is None:
            from curator.generators.diffusion.guides import make_guide

            device, _ = self._place()
            options = self._options
            self._guide = make_guide(options.guide, self._surroundings, device=device, offline=options.offline)
        return self._guide

    def _place(self) -> tuple[torch.device, torch.dtype]:
        """auto is bfloat16 (before Ampere float16) on a GPU and float32 on a CPU, where pipelines have slow spots in
        other dtypes and images are compared bit for bit."""
        from curator.encoders.torch_runtime import resolve_device, resolve_dtype

        device = resolve_device(self._options.device)
        short = self._options.dtype != "auto" or device.type == "cuda"
        return device, resolve_dtype(self._options.dtype if short else "float32", device)


@contextmanager
def _one_line_faults(model: str, count: int) -> Iterator[None]:
    """What diffusers and torch raise, as GeneratorError; what curator raises passes, an encoder's under that name."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise GeneratorError(
            f"{model}: the GPU has too little memory to paint {count} at once",
            hint="lower generators.painter_batch_size, or paint smaller",
        ) from error
    except EncoderError as error:
        raise GeneratorError(f"{model}: {error.message}", hint=error.hint) from error
    except (ValueError, RuntimeError, TypeError) as error:  # of pipelines: sizes and arguments that a model cannot take
        raise GeneratorError(f"{model}: cannot paint: {said_by(error, whole=True)}") from error


def in_batches(requests: Sequence[Request], size: int) -> list[tuple[Settings, Batch]]:
    """Requests of equal prompt and settings together, at most `size` at a time; in order of first appearance. Raises
    UsageError for a prompt that is no painter's and for settings that cannot be."""
    groups: dict[tuple[str, str], tuple[Settings, Batch]] = {}
    for position, request in enumerate(requests):
        settings = read_settings(request.prompt.name, request.settings)
        key = (request.prompt.name, json.dumps(dict(request.settings), sort_keys=True))
        groups.setdefault(key, (settings, []))[1].append((position, request))
    return [
        (settings, members[start : start + size])
        for settings, members in groups.values()
        for start in range(0, len(members), size)
    ]


def open_pictures(batch: Batch, *, longest_side: int) -> tuple[list[tuple[int, Request, Image.Image]], list[Reply]]:
    """The one picture that each request shows, and replies with the fault of those that show none that can be read."""
    shown, faults = [], []
    for position, request in batch:
        if len(request.pictures) != 1:
            fault = f"inpaint repaints one picture, and {len(request.pictures)} were given"
            faults.append(Reply(position, fault=fault, final=True))
            continue
        try:
            shown.append((position, request, open_picture(request.pictures[0], longest_side=longest_side)))
        except PictureFault as fault:
            faults.append(Reply(position, fault=str(fault), final=fault.final))
    return shown, faults


def picture_reply(position: int, image: Image.Image, facts: Mapping[str, object]) -> Reply:
    """The picture as a JPEG, and its size among the facts."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    size = {"width": image.width, "height": image.height}
    return Reply(position, artefact=buffer.getvalue(), suffix=".jpg", facts={**facts, **size})


def refusal(position: int) -> Reply:
    return Reply(position, fault="the model's own safety checker refused the picture", final=True)
