"""Encoders built from open_clip models. Where their files lie is `open_clip_address`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor, nn

from curator.encoders.clip_tokens import tokenize_with
from curator.encoders.hub import no_network
from curator.encoders.options import EncoderOptions
from curator.encoders.torch_runtime import Tokens, TorchEncoder, Towers, weights_fingerprint
from curator.errors import EncoderError
from curator.printable import said_by
from curator.types import Encoder, Preprocess

if TYPE_CHECKING:
    from curator.encoders.open_clip_address import OpenClipModel


def load_open_clip(model: OpenClipModel, options: EncoderOptions) -> Encoder:
    """Build the encoder of files that are on this machine. Raises EncoderError when they do not make one."""
    try:
        with no_network(), untouched_globals(seed=model.seed):
            module = _create(model)
            tokenizer = open_clip.get_tokenizer(model.name)
    # Broad on purpose: open_clip, timm, torch and safetensors raise what they like on files that do not fit.
    except Exception as error:
        raise EncoderError(
            f"{options.address}: no encoder can be built of {model.checkpoint or model.name}: "
            f"{said_by(error, whole=True)}",
            hint="the architecture must be that of the weights; pickles must hold tensors only (better: safetensors)",
        ) from error
    return TorchEncoder(make_towers(module, tokenizer, address=options.address), options)


def make_towers(module: Any, tokenizer: Any, *, address: str) -> Towers:
    """module: an open_clip model in float32 on the CPU."""
    module.eval()
    preprocess = read_preprocess(module.visual.preprocess_cfg, address=address)
    tower = _causal_tower(module)
    tokens_of = tokenize_with(tokenizer)
    traits = {"activations": ",".join(sorted(_activations(module)))}
    return Towers(
        module=module,
        castable=module,
        embed_images=module.encode_image,
        embed_texts=lambda tokens: _encode_causal(tower, tokens) if tower else module.encode_text(tokens["text"]),
        tokenize=lambda texts: {"text": tokens_of(texts)},
        tokenizer=tokenizer,
        token_count=getattr(getattr(module, "text", module), "vocab_size", None) or None,
        text_lengths=(lambda tokens: _end_positions(tower, tokens["text"]) + 1) if tower else None,
        preprocess=preprocess,
        logit_scale=float(module.logit_scale.detach().exp()),
        fingerprint=weights_fingerprint(module, preprocess, traits=traits),
    )


def read_preprocess(config: dict[str, Any], *, address: str) -> Preprocess:
    """open_clip's PreprocessCfg as ours. Raises EncoderError for one that cannot be expressed."""
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
    if height != width:
        raise EncoderError(f"{address}: its images are {height} x {width}, and only squares are supported")
    if config["resize_mode"] not in ("shortest", "squash"):
        raise EncoderError(f"{address}: the resize mode {config['resize_mode']!r} is not supported")
    return Preprocess(
        size=height,
        resize=config["resize_mode"],
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


@contextmanager
def untouched_globals(*, seed: int | None = None) -> Iterator[None]:
    """Initialising a module draws random numbers, and open_clip logs through functions that set up the root logger.

    Neither shall be seen outside. With `seed` the numbers drawn within are repeatable.
    """
    silent = logging.NullHandler()  # a root logger that has a handler is not set up
    logging.getLogger().addHandler(silent)
    try:
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs as well
            yield
    finally:
        logging.getLogger().removeHandler(silent)


def _create(model: OpenClipModel) -> nn.Module:
    created: nn.Module = open_clip.create_model(
        model.name,
        pretrained=None if model.checkpoint is None else str(model.checkpoint),
        precision="fp32",
        force_quick_gelu=model.quick_gelu,
        force_preprocess_cfg=dict(model.preprocess),
        pretrained_text=False,
        require_pretrained=model.seed is None,
        weights_only=True,
    )
    return created


def _causal_tower(module: nn.Module) -> Any:
    """The text tower, if what it says of a text cannot depend on the padding behind it; else None.

    So it is where attention looks back only and the end-of-text token is pooled: every CLIP, but no SigLIP or CoCa.
    """
    tower: Any = module if isinstance(module, open_clip.CLIP) else getattr(module, "text", None)
    if not isinstance(tower, open_clip.CLIP | TextTransformer) or tower.attn_mask is None:
        return None
    special = getattr(tower, "cls_emb", None) is not None or getattr(tower, "output_tokens", False)
    return None if special or _pool_type(tower) not in ("argmax", "eos") else tower


def _pool_type(tower: Any) -> str:
    return str(tower.text_pool_type if isinstance(tower, open_clip.CLIP) else tower.pool_type)


def _eos_id(tower: Any) -> Any:
    return tower.text_eos_id if isinstance(tower, open_clip.CLIP) else tower.eos_id


def _end_positions(tower: Any, text: Tensor) -> Tensor:
    """Where the pooled token stands, (n,): as open_clip's text_global_pool finds it."""
    if _pool_type(tower) == "argmax":
        return text.argmax(dim=-1)
    return torch.eq(text, _eos_id(tower)).int().argmax(dim=-1)


def _encode_causal(tower: Any, tokens: Tokens) -> Tensor:
    """`encode_text` for token rows shorter than the context, which open_clip's own does not take."""
    text = tokens["text"]
    length = text.shape[1]
    dtype = tower.transformer.get_cast_dtype()
    x = tower.token_embedding(text).to(dtype) + tower.positional_embedding[:length].to(dtype)  # (n, length, width)
    x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:length, :length]))
    pooled = text_global_pool(x, text, _pool_type(tower), eos_token_id=_eos_id(tower))
    projection = tower.text_projection
    if projection is None:
        return pooled  # type: ignore[no-any-return]
    return projection(pooled) if isinstance(projection, nn.Module) else pooled @ projection  # type: ignore[no-any-return]


def _activations(module: nn.Module) -> set[str]:
    """Kinds of modules without weights: QuickGELU in the place of GELU is another model with the same weights."""
    return {type(part).__name__ for part in module.modules() if "GELU" in type(part).__name__}
