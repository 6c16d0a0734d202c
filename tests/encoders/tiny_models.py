"""Tiny models with random weights, saved the way real ones are: every encoder family without a download.

Loaded by path (see conftest.py and test_contract_encoders.py), as test folders are no packages. open_clip, which takes
5 seconds to import, is imported by the functions that make its models: collecting tests needs none.
"""

from __future__ import annotations

import json
import math
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

ARCHITECTURE = "curator-test-tiny"
TEXT = {"vocab_size": 49408, "width": 32, "heads": 2, "layers": 2, "context_length": 16}
VISION = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16}


def seeded(build: Callable[[], Any], seed: int = 0) -> Any:
    """A model with weights large enough that inputs matter, and a logit scale of 100, whatever its own start is."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = build()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=parameter.shape[-1] ** -0.5)
            model.logit_scale.fill_(math.log(100))
    return model.eval()


def register_open_clip(folder: Path) -> str:
    """The tiny architecture, known to open_clip from now on."""
    import open_clip

    if ARCHITECTURE not in open_clip.list_models():
        config = folder / f"{ARCHITECTURE}.json"
        config.write_text(json.dumps({"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}))
        open_clip.add_model_config(config)
    return ARCHITECTURE


def open_clip_checkpoint(folder: Path, *, seed: int = 0, suffix: str = ".safetensors") -> Path:
    import open_clip

    register_open_clip(folder)
    model = seeded(lambda: open_clip.model.CLIP(24, dict(VISION), dict(TEXT)), seed)
    path = folder / f"tiny-{seed}{suffix}"
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    return path


def open_clip_folder(folder: Path, **preprocess: Any) -> Path:
    """open_clip's layout for the hub, with a text tower like SigLIP's: attends both ways, pools the last column."""
    import open_clip

    text = {**TEXT, "no_causal_mask": True, "pool_type": "last"}
    config = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": text, "custom_text": True}
    model = seeded(lambda: open_clip.model.CustomTextCLIP(24, dict(VISION), dict(text)))
    half = [0.5, 0.5, 0.5]
    settings = {"mean": half, "std": half, "interpolation": "bicubic", "resize_mode": "squash", **preprocess}
    folder.mkdir(exist_ok=True)
    document = {"model_cfg": config, "preprocess_cfg": settings}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return folder


def clip_folder(folder: Path, *, seed: int = 0, image_mean: float = 0.45) -> Path:
    tokenizer = byte_tokenizer("<|startoftext|>", "<|endoftext|>", pad="<|endoftext|>")
    start, end = tokenizer.convert_tokens_to_ids(["<|startoftext|>", "<|endoftext|>"])
    text = {
        **towers(), "vocab_size": len(tokenizer), "max_position_embeddings": 20,
        "bos_token_id": start, "eos_token_id": end, "pad_token_id": end,
    }  # fmt: skip
    config = transformers.CLIPConfig(text_config=text, vision_config=vision(), projection_dim=24)
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_mean=[image_mean] * 3
    )
    return save(folder, seeded(lambda: transformers.CLIPModel(config), seed), tokenizer, processor)


def siglip_folder(folder: Path, *, tokenizer_class: str = "") -> Path:
    tokenizer = byte_tokenizer(None, "</s>", pad="<pad>")
    text = {**towers(), "vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": 24}
    config = transformers.SiglipConfig(text_config=text, vision_config=vision())
    processor = transformers.SiglipImageProcessor(size={"height": 32, "width": 32})
    save(folder, seeded(lambda: transformers.SiglipModel(config)), tokenizer, processor)
    if tokenizer_class:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": tokenizer_class}))
    return folder


def naflex_folder(folder: Path) -> Path:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    vocabulary = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *string.printable[:94], "▁"]
    tokenizer = transformers.Siglip2Tokenizer(
        vocab={token: number for number, token in enumerate(vocabulary)}, merges=[], padding_side="right"
    )
    text = {**towers(), "vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": 24}
    image = {**towers(), "patch_size": 8, "num_patches": 16}
    config = transformers.Siglip2Config(text_config=text, vision_config=image)
    processor = transformers.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
    return save(folder, seeded(lambda: transformers.Siglip2Model(config)), tokenizer, processor)


def towers() -> dict[str, int]:
    return {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def vision() -> dict[str, int]:
    return {**towers(), "image_size": 32, "patch_size": 8}


def byte_tokenizer(start: str | None, end: str, *, pad: str) -> Any:
    """One token a byte, between `start` and `end`."""
    special = list(dict.fromkeys(token for token in (pad, start, end) if token))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    if start:  # CLIP's pooling wants the end to have the highest id in old configurations; it does no harm in new ones
        vocabulary = {token: number for number, token in enumerate([*alphabet, start, end])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    single = f"{start} $A {end}" if start else f"$A {end}"
    pairs = [(token, vocabulary[token]) for token in (start, end) if token]
    backend.post_processor = processors.TemplateProcessing(single=single, special_tokens=pairs)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=end, pad_token=pad, bos_token=start)


def save(folder: Path, model: Any, tokenizer: Any, processor: Any) -> Path:
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)
    return folder


def all_addresses(folder: Path) -> dict[str, str]:
    """One address of every kind, under a name for test ids."""
    architecture = register_open_clip(folder)
    return {
        "fake": "fake",
        "fake-wide": "fake:40",
        "mini": "mini",
        "open_clip-checkpoint": f"open_clip:{architecture}/{open_clip_checkpoint(folder)}",
        "open_clip-random": f"open_clip:{architecture}/random?seed=3",
        "open_clip-folder": f"open_clip:local-dir:{open_clip_folder(folder / 'siglip-like')}",
        "transformers-clip": f"transformers:{clip_folder(folder / 'clip')}",
        "transformers-siglip": f"transformers:{siglip_folder(folder / 'siglip')}",
        "transformers-naflex": f"transformers:{naflex_folder(folder / 'naflex')}",
    }


NAMES = (
    "fake", "fake-wide", "mini", "open_clip-checkpoint", "open_clip-random", "open_clip-folder",
    "transformers-clip", "transformers-siglip", "transformers-naflex",
)  # fmt: skip
