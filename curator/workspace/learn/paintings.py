"""The vectors of what painters made: read where a painter makes vectors, else encoded, in batches and once.

What was encoded is remembered under `cache/painted` by the name of the picture, which is the hash of its content, so
that the same pictures under other settings of a system cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from curator.banks.text_cache import TextCache, read_folder, write_file
from curator.decode import DecodeFailure
from curator.errors import GeneratorError
from curator.types import Vectors
from curator.workspace.context import Context

AT_ONCE = 1024  # pictures whose pixels are held, and whose vectors go into one file


def painting_vectors(context: Context, names: Sequence[str], read: Callable[[str], bytes]) -> Vectors:
    """names: artefacts in `generated/`; read: their bytes. (n, d) unit norm in their order; an artefact of several
    vectors gives them all. Raises GeneratorError for one that is neither vectors nor a picture."""
    pictures = _encoded(context, [name for name in dict.fromkeys(names) if not _is_vectors(name)], read)
    found = [_vectors_in(name, read(name)) if _is_vectors(name) else pictures[name][None] for name in names]
    return np.concatenate(found) if found else np.zeros((0, context.encoder.dimension), np.float32)


def _encoded(context: Context, names: Sequence[str], read: Callable[[str], bytes]) -> Mapping[str, Vectors]:
    if not names:
        return {}
    encoder, wanted = context.encoder, set(names)
    folder = TextCache(context.layout.painted_cache).encoder_folder(encoder.encoder_id)
    known = {name: vector for name, vector in read_folder(folder, encoder.dimension) if name in wanted}
    missing = [name for name in names if name not in known]
    for start in range(0, len(missing), AT_ONCE):
        part = missing[start : start + AT_ONCE]
        vectors = encoder.encode_images(np.stack([*_squares(context, ((name, read(name)) for name in part))]))
        write_file(folder, part, vectors)
        known |= zip(part, vectors, strict=True)
    return known


def _squares(context: Context, pictures: Iterable[tuple[str, bytes]]) -> Iterable[np.ndarray]:
    for name, data in pictures:
        try:
            yield context.looker.square(data, context.encoder.preprocess)
        except DecodeFailure as failure:
            raise GeneratorError(f"generated/{name}: {failure.reason}: {failure.detail}") from failure


def _is_vectors(name: str) -> bool:
    return name.endswith(".safetensors")


def _vectors_in(name: str, data: bytes) -> Vectors:
    try:
        vectors: Vectors = load(data)["vectors"]
    except (SafetensorError, KeyError) as fault:
        raise GeneratorError(f"generated/{name}: holds no vectors: {fault}") from fault
    return vectors
