"""The fingerprint in an encoder's id: twelve hexadecimal digits that change when its vectors would.

It covers the weights by name, shape and bytes, the preprocessing, and traits that weights do not show (an activation
function). It leaves out dtype, device and batch size: those do not make another model. Weights are hashed as float32,
before any cast, so the container (safetensors, pickle) does not matter either. Versions of the libraries that make the
pixels are left out too: `decode.identity` refuses those that make others. SHA-256 takes about 0.5 s for the
600 MB of a ViT-B/16.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from curator.types import Preprocess

DIGITS = 12


def fingerprint(
    weights: Iterable[tuple[str, NDArray[np.generic]]],
    preprocess: Preprocess,
    *,
    traits: Mapping[str, str | int | bool] | None = None,
) -> str:
    """weights: pairs of a name and a C-contiguous array; their order does not matter."""
    digest = hashlib.sha256()
    for name, array in sorted(weights, key=lambda pair: pair[0]):
        digest.update(f"{name} {array.shape} {array.dtype}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    settings = {"preprocess": settings_of(preprocess), "traits": dict(traits or {})}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()[:DIGITS]


def settings_of(preprocess: Preprocess) -> dict[str, object]:
    """As JSON values; what is not in use is left out, so that ids from before it existed stay."""
    return {name: value for name, value in asdict(preprocess).items() if value is not None}
