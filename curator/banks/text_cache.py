"""Text embeddings on disk, keyed by all that shaped them: the encoder (weights included) and the prompted text.

One folder per encoder, immutable files of up to 4,096 texts with their vectors, each written whole under a name made
from its content: concurrent writers cannot disturb each other, and an interrupted build goes on where it stopped.
A file that cannot be read is as if it were not there, and the next build writes its texts again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from curator.durable import write_durably
from curator.errors import EncoderError
from curator.types import Encoder, Vectors

Progress: TypeAlias = Callable[[int, int], None]  # texts encoded so far, texts to encode

FILE_TEXTS = 4096
log = logging.getLogger(__name__)


class TextCache:
    """Encodes texts through a folder of remembered embeddings. Cheap to make; reads the disk on every `encode`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def encode(self, encoder: Encoder, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """texts: prompts as they stand. Returns (n, d) float32 unit norm, in their order; equal texts, equal vectors.

        `progress` is called after every batch, and not at all when nothing has to be encoded.
        """
        if not texts:
            return np.zeros((0, encoder.dimension), dtype=np.float32)
        folder = self.encoder_folder(encoder.encoder_id)
        known = dict(read_folder(folder, encoder.dimension))
        missing = sorted(set(texts) - known.keys())
        for start in range(0, len(missing), FILE_TEXTS):
            part = missing[start : start + FILE_TEXTS]
            vectors = encode_in_batches(encoder, part, before=start, total=len(missing), progress=progress)
            write_file(folder, part, vectors)
            known.update(zip(part, vectors, strict=True))
        return np.stack([known[text] for text in texts])

    def encoder_folder(self, encoder_id: str) -> Path:
        return self.folder / hashlib.sha256(encoder_id.encode()).hexdigest()[:16]


def encode_in_batches(
    encoder: Encoder, texts: list[str], *, before: int, total: int, progress: Progress | None
) -> Vectors:
    """The texts in batches of the encoder's size. Raises EncoderError when it returns the wrong shape."""
    batches = []
    for start in range(0, len(texts), encoder.batch_size):
        batch = texts[start : start + encoder.batch_size]
        vectors = np.asarray(encoder.encode_texts(batch), dtype=np.float32)
        if vectors.shape != (len(batch), encoder.dimension):
            raise EncoderError(
                f"{encoder.encoder_id} returned shape {vectors.shape} for {len(batch)} texts",
                hint=f"expected ({len(batch)}, {encoder.dimension})",
            )
        batches.append(vectors)
        if progress is not None:
            progress(before + start + len(batch), total)
    return np.concatenate(batches)


def read_folder(folder: Path, dimension: int) -> Iterator[tuple[str, Vectors]]:
    """(text, vector) of all readable files."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            tensors = load_file(path)
            texts = tensors["texts"].tobytes().decode("utf-8").split("\0")
            vectors = tensors["vectors"]
        except (OSError, SafetensorError, KeyError, UnicodeDecodeError) as error:
            log.warning("text cache: %s is unreadable and will be made again: %s", path, error)
            continue
        if vectors.shape == (len(texts), dimension):
            yield from zip(texts, vectors, strict=True)


def write_file(folder: Path, texts: Sequence[str], vectors: Vectors) -> None:
    """One file of texts (joined by NUL) and vectors, named by the texts: a damaged one is replaced by its remake."""
    folder.mkdir(parents=True, exist_ok=True)
    blob = "\0".join(texts).encode("utf-8")
    data = save({"texts": np.frombuffer(blob, dtype=np.uint8), "vectors": np.ascontiguousarray(vectors)})
    write_durably(folder / f"{hashlib.sha256(blob).hexdigest()[:32]}.safetensors", data)
