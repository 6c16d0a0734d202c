"""SynOOD's loop: paint an image anew so that a guide cannot place it (ICCV 2025, stage 3; code at commit e13114e).

The image is noised, denoised under a text that names its surroundings but not its subject, and judged; then the noise
moves against the gradient of the loss. That gradient is taken at the input of the decoder and applied to the noise as
it is, which stands for the chain through all denoising steps (the "skip gradient"; the constant between them is part of
the learning rate). Differences from the code: noise comes from a generator of each request rather than one of the whole
run, so nothing depends on the order or the size of batches; the latents of the empty (masked) image are drawn once
rather than in every pass; losses are summed, not averaged; the default loss is uniform_ce.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from curator.generators.diffusion.guide_losses import GuideLoss
from curator.generators.diffusion.guides import Guide
from curator.generators.diffusion.latents import StableDiffusionLatents
from curator.generators.painter_settings import InpaintSettings


@dataclass(frozen=True, slots=True)
class Task:
    """An image to repaint, under which text, with which seed."""

    image: Image.Image
    prompt: str
    seed: int


@dataclass(frozen=True)
class Inpainted:
    """image: of the last pass; None when the model gave values that are no numbers. losses: of every pass, in order.
    unsafe: what the checkpoint's safety checker says."""

    image: Image.Image | None
    losses: tuple[float, ...]
    unsafe: bool = False


@dataclass(frozen=True)
class Inpainter:
    """A model and the guide that judges what it paints."""

    latents: StableDiffusionLatents
    guide: Guide
    loss: GuideLoss

    def paint(self, tasks: Sequence[Task], settings: InpaintSettings) -> list[Inpainted]:
        """One painting for each task, in order; all are encoded, denoised, decoded and judged together."""
        model, size = self.latents, settings.size
        model.check_size(size)
        timestep = model.first_timestep(settings)
        generators = [seeded(task.seed) for task in tasks]
        z = model.encode([task.image for task in tasks], size, generators)  # (n, 4, h, w)
        masked = model.encode_nothing(size, generators)
        noise = torch.cat([torch.randn(z[:1].shape, generator=generator) for generator in generators]).to(z.device)

        judged: list[Judgement] = []
        for number in range(settings.passes):
            painted = model.denoise(
                model.noise(z, noise, timestep),
                [task.prompt for task in tasks],
                settings,
                image_latents=z,
                masked_latents=masked,
            )
            judged.append(self._judge(painted / model.scaling, with_gradient=number < settings.passes - 1))
            noise = moved(noise, judged[-1].gradient, settings.learning_rate)
        histories = zip(*(found.losses for found in judged), strict=True)
        return [
            Inpainted(to_image(image), history, unsafe=model.is_unsafe(image))
            if bool(image.isfinite().all())
            else Inpainted(None, history)
            for image, history in zip(torch.split(judged[-1].images, 1), histories, strict=True)
        ]

    def facts(self, settings: InpaintSettings) -> dict[str, object]:
        """What is worth keeping of how it paints: JSON values."""
        timestep = self.latents.first_timestep(settings)
        return {
            "timestep": timestep,
            "kept_share": round(self.latents.kept_share(timestep), 6),
            "scheduler": type(self.latents.pipeline.scheduler).__name__,
            "guide_classes": self.guide.class_count,
        }

    def _judge(self, unscaled: Tensor, *, with_gradient: bool) -> Judgement:
        """unscaled: (n, 4, h, w), z_0 / scaling: the gradient is that of the decoder's input. Each image's is its own,
        as losses are summed and no layer mixes images."""
        with torch.set_grad_enabled(with_gradient):
            leaf = unscaled.detach().requires_grad_(with_gradient)
            images = self.latents.decode(leaf)
            losses = self.loss(self.guide.logits(images))
            gradient = torch.autograd.grad(losses.sum(), leaf)[0] if with_gradient else torch.zeros_like(leaf)
        return Judgement(images.detach(), tuple(losses.detach().tolist()), gradient)


@dataclass(frozen=True)
class Judgement:
    """images: (n, 3, H, W) in [0, 1]; losses: (n,); gradient: (n, 4, h, w) of their sum to the decoder's input, zeros
    if not wanted."""

    images: Tensor
    losses: tuple[float, ...]
    gradient: Tensor


def moved(noise: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
    """The skip gradient: eps - lr dLoss/dd, of the same shape; no clipping, and no return to unit variance."""
    return noise - learning_rate * gradient.to(noise.device, noise.dtype)


def to_image(pixels: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1]."""
    values = (pixels[0].permute(1, 2, 0) * 255).round().to("cpu", torch.uint8)
    return Image.fromarray(values.numpy())


def seeded(seed: int) -> torch.Generator:
    """On the CPU, so that a seed means the same noise on every device."""
    return torch.Generator("cpu").manual_seed(seed % 2**63)
