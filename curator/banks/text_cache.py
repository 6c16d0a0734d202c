"""Text embeddings on disk, keyed by all that shaped them: the encoder (weights included) and the prompt.

A prompt of several lines is an ensemble (see prompts.py) and has one vector, so eight templates cost the disk of one.
One folder per encoder, immutable files of up to 4,096 prompts with their vectors, each written whole under a name made
from its content: concurrent writers cannot disturb each other, and an interrupted build goes on where it stopped.
A file that cannot be read is as if it were not there, and the next build writes its texts again.
"""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from curator.banks.prompts import lines_of
from curator.durable import write_durably
from curator.errors import EncoderError
from curator.progress import step
from curator.types import Encoder, Vectors

FILE_TEXTS = 4096
TEXTS_AT_ONCE = 1024  # for the encoder, which sorts them by length and so pads less the more it has
log = logging.getLogger(__name__)


class TextCache:
    """Encodes texts through a folder of remembered embeddings. Cheap to make; reads the disk on every `encode`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def encode(self, encoder: Encoder, texts: Sequence[str]) -> Vectors:
        """texts: prompts, a line each text. Returns (n, d) float32 unit norm, in order, the same for equal prompts."""
        if not texts:
            return np.zeros((0, encoder.dimension), dtype=np.float32)
        folder = self.encoder_folder(encoder.encoder_id)
        known = dict(read_folder(folder, encoder.dimension))
        missing = sorted(set(texts) - known.keys(), key=lambda text: (text.count("\n"), text))
        with step("encode labels", len(missing), "texts") as encoding:
            for start in range(0, len(missing), FILE_TEXTS):
                part, vectors = missing[start : start + FILE_TEXTS], []
                for batch in split_by_lines(part):
                    vectors.append(encode_prompts(encoder, batch))
                    encoding.advance(len(batch))
                write_file(folder, part, joined := np.concatenate(vectors))
                known.update(zip(part, joined, strict=True))
        return np.stack([known[text] for text in texts])

    def damaged_files(self) -> list[Path]:
        """The files of all encoders that cannot be used."""
        return [path for path in sorted(self.folder.glob("*/*.safetensors")) if not read_file(path)]

    def encoder_folder(self, encoder_id: str) -> Path:
        return self.folder / hashlib.sha256(encoder_id.encode()).hexdigest()[:16]


def split_by_lines(prompts: list[str]) -> Iterator[list[str]]:
    """Runs of prompts of one number of lines, with at most TEXTS_AT_ONCE lines in all but at least one prompt."""
    for lines, run in groupby(prompts, key=lambda prompt: prompt.count("\n") + 1):
        alike, size = list(run), max(1, TEXTS_AT_ONCE // lines)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))


def encode_prompts(encoder: Encoder, prompts: list[str]) -> Vectors:
    """Prompts of one number of lines. Returns (n, d): the unit vectors of single lines, or the normalised means of
    the embeddings as they come. Raises EncoderError when the encoder returns the wrong shape."""
    lines = [line for prompt in prompts for line in lines_of(prompt)]
    if len(lines) == len(prompts):
        return checked(encoder.encode_texts(lines), encoder, len(lines))
    embeddings = checked(encoder.encode_texts(lines, normalised=False), encoder, len(lines)).astype(np.float64)
    means = embeddings.reshape(len(prompts), -1, encoder.dimension).mean(axis=1)
    unit: Vectors = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    return unit


def checked(vectors: Vectors, encoder: Encoder, count: int) -> Vectors:
    """(count, d) float32. Raises EncoderError for another shape."""
    found = np.asarray(vectors, dtype=np.float32)
    if found.shape != (count, encoder.dimension):
        raise EncoderError(
            f"{encoder.encoder_id} returned shape {found.shape} for {count} texts",
            hint=f"expected ({count}, {encoder.dimension})",
        )
    return found


def read_folder(folder: Path, dimension: int) -> Iterator[tuple[str, Vectors]]:
    """(text, vector) of all readable files."""
    for path in sorted(folder.glob("*.safetensors")):
        for texts, vectors in read_file(path):
            if vectors.shape == (len(texts), dimension):
                yield from zip(texts, vectors, strict=True)


def read_file(path: Path) -> list[tuple[list[str], Vectors]]:
    """Texts and vectors of a file; nothing, and a warning, when it is damaged or of an earlier form."""
    try:
        tensors = load_file(path)
        if checksum(tensors) != tensors["crc32"]:
            raise ValueError("its checksum does not match")
        return [(tensors["texts"].tobytes().decode("utf-8").split("\0"), tensors["vectors"])]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        log.warning("text cache: %s is unreadable and will be made again: %s", path, error)
        return []


def checksum(tensors: Mapping[str, NDArray[np.generic]]) -> int:
    """A CRC-32 of texts and vectors: a disk that errs must not change what labels mean."""
    return zlib.crc32(np.ascontiguousarray(tensors["vectors"]).data, zlib.crc32(tensors["texts"].data))


def write_file(folder: Path, texts: Sequence[str], vectors: Vectors) -> None:
    """One file of texts (joined by NUL) and vectors, named by the texts: a damaged one is replaced by its remake."""
    folder.mkdir(parents=True, exist_ok=True)
    blob = "\0".join(texts).encode("utf-8")
    tensors: dict[str, NDArray[np.generic]] = {
        "texts": np.frombuffer(blob, dtype=np.uint8),
        "vectors": np.ascontiguousarray(vectors),
    }
    data = save({**tensors, "crc32": np.array([checksum(tensors)], dtype=np.uint32)})
    write_durably(folder / f"{hashlib.sha256(blob).hexdigest()[:32]}.safetensors", data)
