"""Text embeddings on disk, keyed by all that shaped them: the encoder (weights included) and the prompt.

A prompt of several lines is an ensemble (see prompts.py) and has one vector, so eight templates cost the disk of one.
One folder per encoder, immutable files of up to 4,096 prompts with their vectors, each written whole under a name made
from its content: concurrent writers cannot disturb each other, and an interrupted build goes on where it stopped.
A file that cannot be read is as if it were not there, and the next build writes its texts again.

The tokenizer is no part of an encoder's id, which names the vectors of images: a mended one must not have the whole
lake embedded again. So each file says by which tokenizer its texts became tokens, and is not used by another. Files
from before that was written down are used where a few of their texts still have their vectors, and then say it as well.
"""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

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
SAMPLED = 4  # texts of a file that does not name its tokenizer, which are encoded again to tell whether it is this one
SAME_COSINE = 0.98  # another dtype moves a cosine by 0.012 at most; other tokens by far more
log = logging.getLogger(__name__)


Remembered: TypeAlias = tuple[list[str], Vectors, str]  # texts, (n, d), and the tokenizer, "" where it is not said


class TextCache:
    """Encodes texts through a folder of remembered embeddings. Cheap to make; reads the disk on every `encode`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def encode(self, encoder: Encoder, texts: Sequence[str]) -> Vectors:
        """texts: prompts, a line each text. Returns (n, d) float32 unit norm, in order, the same for equal prompts."""
        if not texts:
            return np.zeros((0, encoder.dimension), dtype=np.float32)
        folder = self.encoder_folder(encoder.encoder_id)
        tokenizer = str(getattr(encoder, "tokenizer_id", ""))
        known = dict(remembered(folder, encoder, tokenizer))
        missing = sorted(set(texts) - known.keys(), key=lambda text: (text.count("\n"), text))
        with step("encode labels", len(missing), "texts") as encoding:
            for start in range(0, len(missing), FILE_TEXTS):
                part, vectors = missing[start : start + FILE_TEXTS], []
                for batch in split_by_lines(part):
                    vectors.append(encode_prompts(encoder, batch))
                    encoding.advance(len(batch))
                write_file(folder, part, joined := np.concatenate(vectors), tokenizer=tokenizer)
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


def remembered(folder: Path, encoder: Encoder, tokenizer: str) -> Iterator[tuple[str, Vectors]]:
    """(text, vector) of all readable files whose texts became tokens by this tokenizer; "" where the encoder, whose id
    then says all, has none to name."""
    for texts, vectors, made_by in read_files(folder, encoder.dimension):
        if tokenizer and not made_by and is_as_before(encoder, texts, vectors):
            made_by = tokenizer
            with suppress(OSError):  # a disk that takes nothing is no reason not to use what it has
                write_file(folder, texts, vectors, tokenizer=tokenizer)
        if made_by == tokenizer:
            yield from zip(texts, vectors, strict=True)


def is_as_before(encoder: Encoder, texts: Sequence[str], vectors: Vectors) -> bool:
    """Whether a few of the texts, encoded now, have their vectors."""
    rows = range(0, len(texts), -(-len(texts) // SAMPLED))
    batches = split_by_lines([texts[row] for row in rows])
    again = np.concatenate([encode_prompts(encoder, batch) for batch in batches])
    return bool((again * vectors[rows]).sum(axis=1).min() >= SAME_COSINE)


def read_folder(folder: Path, dimension: int) -> Iterator[tuple[str, Vectors]]:
    """(text, vector) of all readable files."""
    for texts, vectors, _ in read_files(folder, dimension):
        yield from zip(texts, vectors, strict=True)


def read_files(folder: Path, dimension: int) -> Iterator[Remembered]:
    """What each readable file of vectors of this dimension holds."""
    for path in sorted(folder.glob("*.safetensors")):
        yield from (found for found in read_file(path) if found[1].shape == (len(found[0]), dimension))


def read_file(path: Path) -> list[Remembered]:
    """What a file holds; nothing, and a warning, when it is damaged or of an earlier form."""
    try:
        tensors = load_file(path)
        if checksum(tensors) != tensors["crc32"]:
            raise ValueError("its checksum does not match")
        tokenizer = tensors["tokenizer"].tobytes().decode("ascii") if "tokenizer" in tensors else ""
        return [(tensors["texts"].tobytes().decode("utf-8").split("\0"), tensors["vectors"], tokenizer)]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        log.warning("text cache: %s is unreadable and will be made again: %s", path, error)
        return []


def checksum(tensors: Mapping[str, NDArray[np.generic]]) -> int:
    """A CRC-32 of texts and vectors: a disk that errs must not change what labels mean."""
    return zlib.crc32(np.ascontiguousarray(tensors["vectors"]).data, zlib.crc32(tensors["texts"].data))


def write_file(folder: Path, texts: Sequence[str], vectors: Vectors, *, tokenizer: str = "") -> None:
    """One file of texts (joined by NUL) and vectors, named by the texts: a damaged one is replaced by its remake, and
    so is one of another tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    blob = "\0".join(texts).encode("utf-8")
    tensors: dict[str, NDArray[np.generic]] = {
        "texts": np.frombuffer(blob, dtype=np.uint8),
        "vectors": np.ascontiguousarray(vectors),
    }
    if tokenizer:
        tensors["tokenizer"] = np.frombuffer(tokenizer.encode("ascii"), dtype=np.uint8)
    data = save({**tensors, "crc32": np.array([checksum(tensors)], dtype=np.uint32)})
    write_durably(folder / f"{hashlib.sha256(blob).hexdigest()[:32]}.safetensors", data)
