"""The tokens of CLIP, as open_clip's tokeniser gives them, with less work.

open_clip mends each text by ftfy and twice by html.unescape, and puts the bytes of each of its words together again.
What is printable ASCII without `&` has nothing to be mended, and words come again and again: what they become is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from open_clip.tokenizer import SimpleTokenizer, get_clean_fn
from torch import Tensor

KEPT_WORDS = 100_000


class ClipTokenizer:
    """Texts to tokens, (n, context) int64, of an open_clip tokeniser that `suits`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._tokens_of = lru_cache(KEPT_WORDS)(self._encode)

    @staticmethod
    def suits(tokenizer: Any) -> bool:
        """Whether it is CLIP's: others clean their texts otherwise, or shorten them by other rules."""
        return (
            type(tokenizer) is SimpleTokenizer
            and tokenizer.clean_fn is get_clean_fn("lower")
            and tokenizer.reduction_fn is None
        )

    def __call__(self, texts: list[str]) -> Tensor:
        context = self._tokenizer.context_length
        rows = np.zeros((len(texts), context), np.int64)
        for row, text in zip(rows, texts, strict=True):
            tokens = [self._tokenizer.sot_token_id]
            for word in self._cleaned(text).split():  # no token reaches over a space
                tokens += self._tokens_of(word)
            tokens = [*tokens[: context - 1], self._tokenizer.eot_token_id]
            row[: len(tokens)] = tokens
        return torch.from_numpy(rows)

    def _cleaned(self, text: str) -> str:
        plain = text.isascii() and text.isprintable() and "&" not in text
        return text.lower() if plain else str(self._tokenizer.clean_fn(text))

    def _encode(self, word: str) -> list[int]:
        """The tokens of what stands between two spaces: letters, digits and signs are encoded apart."""
        vocabulary, letter = self._tokenizer.encoder, self._tokenizer.byte_encoder
        pieces = ("".join(letter[byte] for byte in piece.encode()) for piece in self._tokenizer.pat.findall(word))
        return [vocabulary[part] for piece in pieces for part in self._tokenizer.bpe(piece).split()]


def tokenize_with(tokenizer: Any) -> Callable[[list[str]], Tensor]:
    """The tokens that the tokeniser gives, in the quickest way there is."""
    found: Callable[[list[str]], Tensor] = ClipTokenizer(tokenizer) if ClipTokenizer.suits(tokenizer) else tokenizer
    return found
