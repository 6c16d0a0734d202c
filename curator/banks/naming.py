"""Names for people: which common word an image is nearest to, and how clearly.

The vocabulary is the common nouns of banks/nouns and the ID labels of a bank. How clear a name is, its margin, is the
share of the nearest word in a softmax over all words of the image's cosines, each image's measured in its own standard
deviations and sharpened fourfold: 1 / sum exp(4 (c_j - c_max) / s). So it needs no temperature of the encoder: cosines
of CLIP lie closer together than those of curator-mini, but the nearest word stands out of the others by as many
deviations. Which margin is too small to say a word is a rule on rows: sql/macros/shown_name.sql.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from curator.banks.id_names import squash
from curator.banks.nouns import common_nouns
from curator.banks.prompts import TEMPLATES, fill
from curator.banks.text_cache import TextCache
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.types import Bank, Encoder, Vectors

FORMAT = 1  # raised whenever the same words and vectors give other names or margins
TEMPLATE = TEMPLATES["nice"]  # that of most banks, whose candidates are in the text cache
SHARPNESS = 4.0
BLOCK_ROWS = 256
CACHED_ROWS = 16  # of them, whose cosines stay in the cache from one step to the next

_noun_vectors: dict[str, Vectors] = {}  # by encoder id: all workspaces of a process that have the same ask for the same


@dataclass(frozen=True)
class NameVocabulary:
    """What an image may be called, in the space of a bank's encoder. `nouns`: those that are no ID label."""

    bank: Bank
    nouns: tuple[str, ...]
    noun_vectors: Vectors

    @classmethod
    def of(cls, bank: Bank, encoder: Encoder, text_cache: TextCache) -> NameVocabulary:
        """The nouns are encoded through the cache, once for ever: a second of curator-mini on two cores."""
        every = common_nouns()
        if bank.encoder_id not in _noun_vectors:
            prompts = [fill(TEMPLATE, noun) for noun in every]
            _noun_vectors[bank.encoder_id] = text_cache.encode(encoder, prompts)
        vectors = _noun_vectors[bank.encoder_id]
        nouns = nouns_beside(bank)
        kept = [place for place, noun in enumerate(every) if noun in nouns]
        return cls(bank, tuple(nouns), vectors[kept])

    @cached_property
    def words(self) -> tuple[str, ...]:
        return (*self.bank.id_texts, *self.nouns)

    @cached_property
    def _vectors(self) -> NDArray[np.float64]:
        return on_grid(np.concatenate([self.bank.id_vectors, self.noun_vectors]))

    def names(self, vectors: Vectors) -> tuple[list[str], NDArray[np.float64]]:
        """vectors: (n, d), unit norm. The nearest word of each and its margin, in (0, 1].

        A row's results do not depend, to the bit, on the other rows. Raises EncoderError for a vector of another norm.
        """
        names: list[str] = []
        margins = [np.zeros(0)]
        memory = np.empty((min(BLOCK_ROWS, len(vectors)), len(self._vectors)))
        for start in range(0, len(vectors), BLOCK_ROWS):
            rows = on_grid(vectors[start : start + BLOCK_ROWS])
            block = exact_cosines(rows, self._vectors, out=memory[: len(rows)])
            for first in range(0, len(block), CACHED_ROWS):
                cosines = block[first : first + CACHED_ROWS]
                nearest = cosines.argmax(axis=1)
                names += [self.words[place] for place in nearest]
                deviation = np.maximum(cosines.std(axis=1, keepdims=True), 1e-12)
                cosines -= np.take_along_axis(cosines, nearest[:, None], axis=1)
                cosines *= SHARPNESS / deviation
                margins.append(1 / np.exp(cosines, out=cosines).sum(axis=1))
        return names, np.concatenate(margins)


def nouns_beside(bank: Bank) -> dict[str, None]:
    """The common nouns, in order, that no ID label of the bank is, however it is written."""
    labels = {squash(text) for text in bank.id_texts}
    return {noun: None for noun, squashed in _squashed_nouns() if squashed not in labels}


@cache
def _squashed_nouns() -> tuple[tuple[str, str], ...]:
    return tuple((noun, squash(noun)) for noun in common_nouns())


def vocabulary_digest(bank: Bank) -> str:
    """Of all that shapes names, but for the encoder; it needs no vector of a noun."""
    digest = hashlib.sha256(f"{FORMAT} {TEMPLATE} {SHARPNESS}\n".encode())
    for text in (*bank.id_texts, *nouns_beside(bank)):
        digest.update(text.encode("utf-8", "surrogateescape") + b"\n")
    digest.update(np.ascontiguousarray(bank.id_vectors, dtype="<f4").tobytes())
    return digest.hexdigest()
