"""Stable Diffusion's latents behind four steps: encode, noise, denoise, decode. All that the painter knows of a family.

The denoising is the stock pipeline's own, called with latents that are already noised. That is right only for
schedulers which take such latents as they are: those of the Euler kind multiply them by `init_noise_sigma` (14.6), and
models of flow matching noise and pack latents in other ways. Both are refused rather than painted wrongly.

The autoencoder works in float32: gradients pass through its decoder, which overflows in float16 for some checkpoints.
Their memory, gigabytes an image at 512 px, grows with the batch, which is why a painter has a batch size of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from curator.errors import GeneratorError, UsageError
from curator.generators.painter_settings import InpaintSettings

SCHEDULERS = ("DDIMScheduler", "PNDMScheduler")
PIPELINES = ("StableDiffusionInpaintPipeline",)


@dataclass(frozen=True)
class StableDiffusionLatents:
    """The steps on one pipeline. Latents are (n, 4, h, w) float32 on the pipeline's device, scaled by `scaling`.

    A generator is one image's own, on the CPU: what is drawn for an image depends on no other and on no device.
    """

    pipeline: Any

    @classmethod
    def of(cls, pipeline: Any, *, address: str) -> StableDiffusionLatents:
        """Raises GeneratorError for a family or a scheduler that these steps would be wrong for."""
        family, scheduler = type(pipeline).__name__, type(pipeline.scheduler).__name__
        if family not in PIPELINES:
            raise GeneratorError(
                f"{address}: {family} is not supported for inpainting",
                hint="supported: Stable Diffusion 1 and 2, such as sd2-community/stable-diffusion-2-inpainting",
            )
        if scheduler not in SCHEDULERS:
            raise GeneratorError(
                f"{address}: its scheduler {scheduler} is not supported for inpainting: not all of them take noised "
                "latents as they are",
                hint=f"save the pipeline with {' or '.join(SCHEDULERS)}, made by its from_config(scheduler.config)",
            )
        return cls(pipeline)

    @property
    def scaling(self) -> float:
        return float(self.pipeline.vae.config.scaling_factor)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.pipeline.vae.device
        return device

    def check_size(self, size: int) -> None:
        """Raises UsageError for a size that has no whole number of latents."""
        if size % self.pipeline.vae_scale_factor:
            raise UsageError(f"inpaint: size is {size}", hint=f"a multiple of {self.pipeline.vae_scale_factor}")

    @torch.no_grad()
    def encode(self, images: Sequence[Image.Image], size: int, generators: Sequence[torch.Generator]) -> Tensor:
        """z, (n, 4, h, w), samples of the encoder's distributions; images are resized to a square."""
        pixels = self.pipeline.image_processor.preprocess(list(images), height=size, width=size)
        return self._encode(pixels, generators)

    @torch.no_grad()
    def encode_nothing(self, size: int, generators: Sequence[torch.Generator]) -> Tensor:
        """The latents of images of which everything is to be repainted: of mid-grey, (n, 4, h, w)."""
        return self._encode(torch.zeros(1, 3, size, size), generators)

    def first_timestep(self, settings: InpaintSettings) -> int:
        """t0, at which the denoising sets in: 601 with PNDM and 551 with DDIM for 20 steps at strength 0.6."""
        scheduler = self.pipeline.scheduler
        scheduler.set_timesteps(settings.steps, device=self.device)
        timesteps, _ = self.pipeline.get_timesteps(settings.steps, settings.strength, self.device)
        return int(timesteps[0])

    def noise(self, latents: Tensor, noise: Tensor, timestep: int) -> Tensor:
        """z_t = sqrt(abar_t) z + sqrt(1 - abar_t) eps (DDPM, Ho et al. 2020, eq. 4)."""
        kept = self.kept_share(timestep)
        return latents * math.sqrt(kept) + noise * math.sqrt(1 - kept)

    def kept_share(self, timestep: int) -> float:
        """abar_t, the share of the image in the variance of noised latents."""
        return float(self.pipeline.scheduler.alphas_cumprod[timestep])

    @torch.no_grad()
    def denoise(
        self,
        noised: Tensor,
        prompts: Sequence[str],
        settings: InpaintSettings,
        *,
        image_latents: Tensor,
        masked_latents: Tensor,
    ) -> Tensor:
        """z_0 of z_T under the prompts, with a mask of ones. Draws nothing; sets the scheduler's timesteps anew.

        image_latents are read by U-Nets of 4 channels only, and the mask keeps nothing of them; masked_latents by those
        of 9 channels. Given both, the pipeline does not touch the autoencoder.
        """
        dtype = self.pipeline.unet.dtype
        found: Tensor = self.pipeline(
            prompt=list(prompts),
            image=image_latents.to(dtype),
            masked_image_latents=masked_latents.to(dtype),
            mask_image=torch.ones(1, 1, settings.size, settings.size),
            latents=noised.to(dtype),
            height=settings.size,
            width=settings.size,
            strength=settings.strength,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            output_type="latent",
        ).images
        return found.float()

    def decode(self, unscaled: Tensor) -> Tensor:
        """Images (n, 3, H, W) float32 in [0, 1] of z_0 / scaling, with gradients to it. Clamping stops the gradients of
        saturated pixels, as in SynOOD's code."""
        decoded: Tensor = self.pipeline.vae.decode(unscaled).sample
        return (decoded / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def is_unsafe(self, images: Tensor) -> bool:
        """What the checkpoint's own safety checker says of images in [0, 1]; without one, nothing is unsafe."""
        checked = images * 2 - 1
        _, flags = self.pipeline.run_safety_checker(checked, self.device, self.pipeline.unet.dtype)
        return any(flags or ())

    def _encode(self, pixels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """pixels: (n, 3, H, W), or (1, 3, H, W) of which every generator draws a sample."""
        spread = self.pipeline.vae.encode(pixels.to(self.device, torch.float32)).latent_dist
        drawn = [torch.randn(spread.mean[:1].shape, generator=generator) for generator in generators]
        sample: Tensor = (spread.mean + spread.std * torch.cat(drawn).to(self.device)) * self.scaling
        return sample
