"""What painters made, as the rest of the program needs it: a picture to look at, or vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from curator.decode import DecodeFailure
from curator.errors import GeneratorError
from curator.generators.asking import Call
from curator.generators.requests import Picture
from curator.lake import content_id
from curator.types import Vectors
from curator.workspace.learn.world import Learner


def painted_picture(learner: Learner, call: Call) -> Picture:
    """The picture of a painter's call, with the vector that it has, or is."""
    data = learner.asking.artefact(call)
    (vector,) = painted_vectors(learner, [call])[:1]
    return Picture(content_id(data), lambda: data, vector, decode=learner.world.context.looker.picture)


def painted_vectors(learner: Learner, calls: Sequence[Call]) -> Vectors:
    """The vectors (n, d) of what calls made, in order: the artefact itself, or a picture through the encoder.

    Raises GeneratorError for an artefact that is neither.
    """
    world = learner.world
    found: list[Vectors] = []
    for call in calls:
        data = learner.asking.artefact(call)
        is_vectors = (call.artefact or "").endswith(".safetensors")
        found.append(stored_vectors(data, call) if is_vectors else encoded(learner, data, call))
    return np.concatenate([np.zeros((0, world.parent.vectors.shape[1]), np.float32), *found])


def stored_vectors(data: bytes, call: Call) -> Vectors:
    try:
        vectors: Vectors = load(data)["vectors"]
    except (SafetensorError, KeyError) as fault:
        raise GeneratorError(f"generated/{call.artefact}: holds no vectors: {fault}") from fault
    return vectors


def encoded(learner: Learner, data: bytes, call: Call) -> Vectors:
    context = learner.world.context
    try:
        pixels = context.looker.square(data, context.encoder.preprocess)
    except DecodeFailure as failure:
        raise GeneratorError(f"generated/{call.artefact}: {failure.reason}: {failure.detail}") from failure
    return context.encoder.encode_images(pixels[None])
