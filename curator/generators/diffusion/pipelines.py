"""Loads diffusers pipelines: from a folder, or from the hub at a commit, and then with the network shut off.

A checkpoint's own parts are kept as they are, its safety checker included. Weights are read from safetensors only: a
pickle, which may run code, is never opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from curator.encoders.hub import ONLY_DATA, Repository, no_network, without_progress
from curator.errors import GeneratorError
from curator.generators.model_files import PIPELINE_MARKER, local_folder, revision_of
from curator.printable import said_by


def load_for_drawing(rest: str, *, address: str, device: torch.device, dtype: torch.dtype, offline: bool) -> Any:
    """A pipeline from text to image, of any family that diffusers knows. Raises GeneratorError."""
    pipeline = _load(diffusers.AutoPipelineForText2Image, rest, address, dtype, offline)
    unet, vae = getattr(pipeline, "unet", None), getattr(pipeline, "vae", None)
    # diffusers would load an inpainting checkpoint here without a word and fail in its first convolution
    if unet is not None and vae is not None and unet.config.in_channels != getattr(vae.config, "latent_channels", 0):
        raise GeneratorError(
            f"{address}: this is a model for inpainting, which cannot paint from a text alone",
            hint="use one from text to image, such as stable-diffusion-v1-5/stable-diffusion-v1-5",
        )
    return _placed(pipeline, device, address)


def load_for_inpainting(rest: str, *, address: str, device: torch.device, dtype: torch.dtype, offline: bool) -> Any:
    """A pipeline whose autoencoder is in float32, for gradients, and the rest in `dtype`. Raises GeneratorError."""
    dtypes = {"vae": torch.float32, "default": dtype}
    pipeline = _load(diffusers.AutoPipelineForInpainting, rest, address, dtypes, offline)
    if hasattr(pipeline, "vae"):
        pipeline.vae.requires_grad_(False)  # gradients pass through it and stay in no weight
    return _placed(pipeline, device, address)


def _load(kind: Any, rest: str, address: str, dtype: Any, offline: bool) -> Any:
    folder = local_folder(rest, address=address) or _download(rest, address, offline)
    try:
        with (
            no_network(),
            without_progress(diffusers.utils.logging, transformers.utils.logging),
            torch.random.fork_rng(devices=[]),
        ):
            return kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, **ONLY_DATA)
    # Broad on purpose: diffusers, transformers and safetensors raise what they like on files that do not fit.
    except Exception as error:
        raise GeneratorError(
            f"{address}: no pipeline can be built of {folder}: {said_by(error, whole=True)}",
            hint="the folder must hold a whole pipeline of a kind that diffusers has for this task",
        ) from error


def _download(rest: str, address: str, offline: bool) -> Path:
    """diffusers knows which of a repository's many files one pipeline needs."""
    commit = revision_of(rest, address=address, marker=PIPELINE_MARKER, offline=offline)
    name = Repository.parse(rest).name
    try:
        options = {"revision": commit, "use_safetensors": True, **ONLY_DATA, "local_files_only": offline}
        return Path(diffusers.DiffusionPipeline.download(name, **options))
    # Broad on purpose: connection, gate, quota and disk faults come as classes of several libraries; none is ours.
    except Exception as error:
        why = "offline mode forbids to download it" if offline else "it cannot be downloaded"
        raise GeneratorError(
            f"{address}: the model is not in the cache, and {why}: {said_by(error, whole=True)}"
        ) from error


def _placed(pipeline: Any, device: torch.device, address: str) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    try:
        return pipeline.to(device)
    except torch.OutOfMemoryError as error:
        raise GeneratorError(f"{address}: the GPU has too little memory for this model") from error
