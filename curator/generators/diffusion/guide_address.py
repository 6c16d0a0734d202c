"""Addresses of a painter's guide, and what names its weights. Loading it is `guides`."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from curator.errors import GeneratorError, UsageError
from curator.generators.model_files import MODEL_MARKER, revision_of
from curator.generators.painter_settings import ZERO_SHOT
from curator.generators.surroundings import Surroundings

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

MODEL_KINDS = ("timm", "torchvision", "transformers")


def split_guide(address: str) -> tuple[str, str]:
    """Kind and model. Raises UsageError for an address that no guide has."""
    kind, _, rest = address.partition(":")
    if bool(rest) != (kind in MODEL_KINDS) or kind not in (ZERO_SHOT, *MODEL_KINDS):
        hint = f"timm:<name or folder>, torchvision:<name>, transformers:<id or folder>, or {ZERO_SHOT}"
        raise UsageError(f"there is no guide {address!r}", hint=hint)
    return kind, rest


def model_of(kind: str, rest: str) -> str:
    """The folder or repository of a classifier: timm's own are called without their owner."""
    return f"timm/{rest}" if kind == "timm" and "/" not in rest else rest


def torchvision_weights(rest: str) -> tuple[str, WeightsEnum]:
    """The model and its weights of `resnet50` (the newest ones) or `resnet50@IMAGENET1K_V1`. Raises GeneratorError."""
    from torchvision import models

    name, _, wanted = rest.partition("@")
    try:
        return name, models.get_model_weights(name)[wanted or "DEFAULT"]
    except (KeyError, ValueError) as error:
        raise GeneratorError(
            f"guide torchvision:{rest}: torchvision has no such model or weights",
            hint="a classifier such as torchvision:resnet50 or torchvision:resnet50@IMAGENET1K_V2",
        ) from error


def guide_revision(address: str, surroundings: Surroundings, *, offline: bool) -> str:
    """8 hexadecimal digits for all that shapes the guide's logits. Loads nothing; raises GeneratorError, UsageError."""
    kind, rest = split_guide(address)
    if kind == ZERO_SHOT:
        vectors = hashlib.sha256(surroundings.id_vectors.tobytes()).hexdigest()
        content = [kind, surroundings.encoder_id, vectors]
    elif kind == "torchvision":
        content = [kind, torchvision_weights(rest)[1].url]  # its name ends in the hash of the weights
    else:
        rest = model_of(kind, rest)
        content = [kind, revision_of(rest, address=f"guide {address}", marker=MODEL_MARKER, offline=offline)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
