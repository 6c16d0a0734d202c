"""Tiny diffusion pipelines and classifiers with random weights, saved the way real ones are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from tokenizers import pre_tokenizers

SIZE = 64  # of its images, in pixels; latents are 32 x 32
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
SCHEDULERS: dict[str, Callable[[], Any]] = {
    "ddim": lambda: diffusers.DDIMScheduler(**BETAS, steps_offset=1, set_alpha_to_one=False, clip_sample=False),
    "pndm": lambda: diffusers.PNDMScheduler(**BETAS, steps_offset=1, set_alpha_to_one=False, skip_prk_steps=True),
    "euler": lambda: diffusers.EulerDiscreteScheduler(**BETAS, steps_offset=1),
}


@contextmanager
def one_thread() -> Iterator[None]:
    """What is so small runs faster on one thread: on two busy cores 16 s for the tests of the loop, against 58 s."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seeded(build: Callable[[], Any], seed: int = 0) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build().eval()


def tokenizer() -> Any:
    """CLIP's, without merges: one token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(f"{symbol}</w>" for symbol in alphabet), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def text_encoder() -> Any:
    config = transformers.CLIPTextConfig(
        vocab_size=514, hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=77, bos_token_id=512, eos_token_id=513, pad_token_id=513,
    )  # fmt: skip
    return transformers.CLIPTextModel(config)


def unet(channels: int) -> Any:
    return diffusers.UNet2DConditionModel(
        sample_size=SIZE // 2, in_channels=channels, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=(2, 4), use_linear_projection=True,
    )  # fmt: skip


def vae() -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, sample_size=SIZE,
    )  # fmt: skip


def pipeline_folder(folder: Path, *, scheduler: str = "pndm", inpainting: bool = True) -> Path:
    """An inpainting pipeline (a U-Net of 9 channels) or one from text to image (4), 1.7 million parameters."""
    kind = diffusers.StableDiffusionInpaintPipeline if inpainting else diffusers.StableDiffusionPipeline
    made = kind(
        vae=seeded(vae, 1), text_encoder=seeded(text_encoder, 2), tokenizer=tokenizer(),
        unet=seeded(lambda: unet(9 if inpainting else 4), 3), scheduler=SCHEDULERS[scheduler](),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    made.save_pretrained(folder)
    return folder


def timm_folder(folder: Path, **given: Any) -> Path:
    """A ResNet of timm, as timm's repositories on the hub hold theirs."""
    import timm
    from timm.models import save_for_hf

    save_for_hf(seeded(lambda: timm.create_model("test_resnet", **given), 5), folder, safe_serialization=True)
    return folder


def classifier_folder(folder: Path, *, classes: int = 5) -> Path:
    """A ResNet for images of 32 px out of 36, with transformers' processor for it."""
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=classes
    )
    seeded(lambda: transformers.ResNetForImageClassification(config), 4).save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=32 / 36).save_pretrained(folder)
    return folder
