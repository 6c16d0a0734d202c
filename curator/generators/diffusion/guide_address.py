"""Addresses of a painter's guide, and what names its weights. Loading it is `guides`."""

from __future__ import annotations

import hashlib
import json

from curator.errors import UsageError
from curator.generators.model_files import MODEL_MARKER, revision_of
from curator.generators.surroundings import Surroundings

ZERO_SHOT = "zero-shot"


def split_guide(address: str) -> tuple[str, str]:
    """Kind and model. Raises UsageError for an address that no guide has."""
    kind, _, rest = address.partition(":")
    if (kind, bool(rest)) not in ((ZERO_SHOT, False), ("transformers", True)):
        raise UsageError(f"there is no guide {address!r}", hint=f"{ZERO_SHOT}, or transformers:<id or folder>")
    return kind, rest


def guide_revision(address: str, surroundings: Surroundings, *, offline: bool) -> str:
    """8 hexadecimal digits for all that shapes the guide's logits. Loads nothing; raises GeneratorError, UsageError."""
    kind, rest = split_guide(address)
    if kind == ZERO_SHOT:
        vectors = hashlib.sha256(surroundings.id_vectors.tobytes()).hexdigest()
        content = [kind, surroundings.encoder_id, vectors]
    else:
        content = [kind, revision_of(rest, address=f"guide {address}", marker=MODEL_MARKER, offline=offline)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
