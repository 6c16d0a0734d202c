"""A small deterministic text encoder: letter pairs and triples hashed, so that words alike in spelling are near."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import pytest

from curator.types import Pixels, Preprocess, Vectors


@dataclass
class LetterEncoder:
    encoder_id: str = "letters@1"
    dimension: int = 64
    logit_scale: float = 20.0
    batch_size: int = 50
    preprocess: Preprocess = field(default_factory=lambda: Preprocess(size=8))
    encoded: list[str] = field(default_factory=list)

    def encode_images(self, pixels: Pixels) -> Vectors:
        raise NotImplementedError

    def encode_texts(self, texts: list[str], *, normalised: bool = True) -> Vectors:
        assert texts
        self.encoded += texts
        vectors = np.ones((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for start in range(len(text)):
                for piece in (text[start : start + 2], text[start : start + 3]):
                    row[zlib.crc32(piece.encode()) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if normalised else vectors


@pytest.fixture
def encoder() -> LetterEncoder:
    return LetterEncoder()
