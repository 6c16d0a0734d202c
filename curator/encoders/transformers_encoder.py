"""Encoders built from transformers models: CLIP, SigLIP, and SigLIP 2 in its fixed and its NaFlex form.

SigLIP scores a pair by sigmoid(scale * cosine + bias). Softmax methods over labels use the scale only: a bias that is
the same for every label cancels.

NaFlex takes any aspect ratio. Here every image is squashed to the largest square that its patch budget allows, since
an encoder states one size; a square image gives the same vector as the library's own processor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from curator.encoders.hub import ONLY_DATA, no_network, without_progress
from curator.encoders.options import EncoderOptions
from curator.encoders.torch_runtime import Tokens, TorchEncoder, Towers, weights_fingerprint
from curator.errors import EncoderError
from curator.printable import said_by
from curator.types import Encoder, Preprocess

SIGLIP_CONTEXT = 64  # both were trained with texts padded to this length
RESAMPLE = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers


def load_transformers(folder: Path, model_type: str, options: EncoderOptions) -> Encoder:
    """Build the encoder of a folder that `save_pretrained` wrote. Raises EncoderError when it does not make one."""
    try:
        with no_network(), without_progress(transformers.utils.logging), torch.random.fork_rng(devices=[]):
            module, report = transformers.AutoModel.from_pretrained(
                folder, dtype=torch.float32, output_loading_info=True, weights_only=True, **ONLY_DATA
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **ONLY_DATA)
            images: Any = transformers.AutoImageProcessor
            processor = images.from_pretrained(folder, **ONLY_DATA)
    except ImportError as error:
        raise EncoderError(
            f"{options.address}: its tokenizer needs a package that is not installed: {said_by(error, whole=True)}",
            hint="pip install sentencepiece; or open_clip's SigLIP, which needs none: open_clip:ViT-B-16-SigLIP/webli",
        ) from error
    # Broad on purpose: transformers, tokenizers and safetensors raise what they like on files that do not fit.
    except Exception as error:
        raise EncoderError(
            f"{options.address}: no encoder can be built of {folder}: {said_by(error, whole=True)}",
            hint=f"complete a broken download with: curator models fetch {options.address}",
        ) from error
    if report["missing_keys"]:  # transformers only warns, and leaves them random
        names = ", ".join(sorted(report["missing_keys"])[:3])
        raise EncoderError(f"{options.address}: the weights in {folder} lack {names}")
    make = _naflex_towers if model_type == "siglip2" else _square_towers
    return TorchEncoder(make(module.eval(), tokenizer, processor, options.address), options)


def _square_towers(module: Any, tokenizer: Any, processor: Any, address: str) -> Towers:
    return _towers(module, tokenizer, read_preprocess(processor, address=address), _image_features(module))


def _naflex_towers(module: Any, tokenizer: Any, processor: Any, address: str) -> Towers:
    side = math.isqrt(processor.max_num_patches)
    preprocess = Preprocess(
        size=side * processor.patch_size,
        resize="squash",
        interpolation=_interpolation(processor, address),
        **_statistics(processor, address),
    )
    features = _image_features(module)

    def embed(images: Tensor) -> Tensor:
        patches = to_patches(images, processor.patch_size)  # (n, side * side, 3 * patch * patch)
        n = len(patches)
        return features(
            patches,
            pixel_attention_mask=torch.ones(patches.shape[:2], dtype=torch.int32, device=patches.device),
            spatial_shapes=torch.tensor([[side, side]]).expand(n, 2),  # on the CPU: read there, image by image
        )

    return _towers(module, tokenizer, preprocess, embed)


def _towers(module: Any, tokenizer: Any, preprocess: Preprocess, embed_images: Callable[..., Tensor]) -> Towers:
    clip = module.config.model_type == "clip"
    context = module.config.text_config.max_position_embeddings
    activations = {"activations": f"{module.config.vision_config.hidden_act},{module.config.text_config.hidden_act}"}
    return Towers(
        module=module,
        castable=module,
        embed_images=embed_images,
        embed_texts=lambda tokens: module.get_text_features(**tokens).pooler_output,
        tokenize=_clip_tokenize(tokenizer, context) if clip else _siglip_tokenize(tokenizer, context),
        tokenizer=tokenizer,
        token_count=module.config.text_config.vocab_size,
        # CLIP attends backwards only and pools the end of the text; SigLIP pools the last column, padding and all.
        text_lengths=(lambda tokens: tokens["attention_mask"].sum(dim=1)) if clip else None,
        preprocess=preprocess,
        logit_scale=math.exp(float(module.logit_scale.detach())),
        fingerprint=weights_fingerprint(module, preprocess, traits=activations),
    )


def _image_features(module: Any) -> Callable[..., Tensor]:
    return lambda images, **other: module.get_image_features(images, **other).pooler_output


def _clip_tokenize(tokenizer: Any, context: int) -> Callable[[list[str]], Tokens]:
    def tokenize(texts: list[str]) -> Tokens:
        rows = tokenizer(
            texts, padding=True, padding_side="right", truncation=True, max_length=context, return_tensors="pt"
        )
        return {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}

    return tokenize


def _siglip_tokenize(tokenizer: Any, context: int) -> Callable[[list[str]], Tokens]:
    """Lower case, as both SigLIPs were trained: the plain Gemma tokenizer of some SigLIP 2 files leaves case alone."""
    length = min(SIGLIP_CONTEXT, context)

    def tokenize(texts: list[str]) -> Tokens:
        lower = [text.lower() for text in texts]
        rows = tokenizer(lower, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        return {name: part for name, part in rows.items() if name in ("input_ids", "attention_mask")}

    return tokenize


def read_preprocess(processor: Any, *, address: str) -> Preprocess:
    """An image processor's settings as ours. Raises EncoderError for settings that cannot be expressed."""
    size = dict(processor.size)
    crop = dict(processor.crop_size or {}) if getattr(processor, "do_center_crop", False) else {}
    shortest = size.get("shortest_edge")
    square = (shortest, shortest) if shortest else (size.get("height"), size.get("width"))
    wanted = (crop.get("height"), crop.get("width")) if crop else square
    if not processor.do_resize or square != wanted or not square[0] or square[0] != square[1]:
        raise _unfit(address, f"resizes to {size} and crops to {crop or 'nothing'}")
    if shortest and not crop:
        raise _unfit(address, "keeps the aspect ratio without a crop")
    return Preprocess(
        size=int(square[0]),
        resize="shortest" if shortest else "squash",
        interpolation=_interpolation(processor, address),
        **_statistics(processor, address),
    )


def _interpolation(processor: Any, address: str) -> Any:
    if int(processor.resample) not in RESAMPLE:
        raise _unfit(address, f"resamples with Pillow's filter {processor.resample}")
    return RESAMPLE[int(processor.resample)]


def _statistics(processor: Any, address: str) -> dict[str, Any]:
    if not processor.do_rescale or not math.isclose(processor.rescale_factor, 1 / 255, rel_tol=1e-3):
        raise _unfit(address, "does not bring pixels to [0, 1]")
    if not processor.do_normalize:
        return {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return {"mean": tuple(processor.image_mean), "std": tuple(processor.image_std)}


def _unfit(address: str, problem: str) -> EncoderError:
    return EncoderError(f"{address}: its image processor {problem}, which curator does not do")


def to_patches(images: Tensor, patch: int) -> Tensor:
    """(n, 3, g * patch, g * patch) to (n, g * g, patch * patch * 3): rows of patches, channels last within one."""
    n, channels, height, width = images.shape
    grid = images.reshape(n, channels, height // patch, patch, width // patch, patch)
    return grid.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, patch * patch * channels)
