"""Tokenizers, as far as an encoder must mistrust them: do they tell texts apart, and do they fit the text tower?

Libraries build an empty tokenizer where its files are missing, and then all labels have one vector; and one of another
model, whose tokens mean other words, if they are known at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curator.errors import EncoderError
from curator.printable import one_line, printable

if TYPE_CHECKING:
    from torch import Tensor

PROBES = ("dog", "cat", "red", "sky", "tree", "seven")  # plain words that any tokenizer of texts tells apart
# What shows how a tokenizer treats case, signs, spaces, accents, other scripts, and texts that are too long.
SAMPLES = (
    *PROBES, "", "Dog.", "a photo of a dog", "the  nice\tHARBOUR_seal, 1990s!", "it's 100% naïve café", "漢字かな",
    "сова", "🦉", "internationalisation electroencephalography", "a photo of the very nice thing " * 40,
)  # fmt: skip
DIGITS = 12
SHOWN_TEXT = 40
REMEDY = "its own tokenizer.json, *.model, vocab.txt, or vocab.json and merges.txt belong beside the weights"


def ids_of(tokens: Mapping[str, Tensor]) -> Tensor:
    """The tokens themselves, (n, length), without the mask that some families have beside them."""
    return next(iter(tokens.values()))


def refuse_blind(tokens: Mapping[str, Tensor], *, address: str) -> None:
    """tokens: of PROBES. Raises EncoderError where two of them became the same."""
    met: dict[tuple[int, ...], str] = {}
    for word, row in zip(PROBES, ids_of(tokens).tolist(), strict=True):
        if (other := met.setdefault(tuple(row), word)) != word:
            raise EncoderError(
                f"{address}: its tokenizer makes the same tokens of '{other}' and '{word}', so labels are all alike",
                hint=REMEDY,
            )


def refuse_unknown(tokens: Mapping[str, Tensor], texts: Sequence[str], *, known: int | None, address: str) -> None:
    """Raises EncoderError for a token that the text tower does not have. known: how many it has; None: nobody says."""
    ids = ids_of(tokens)
    if known is None:
        return
    off = ((ids >= known) | (ids < 0)).nonzero()
    if len(off):
        row, column = off[0].tolist()
        text = printable(one_line(texts[row], longest=SHOWN_TEXT))
        raise EncoderError(
            f"{address}: its tokenizer, of another model, gives '{text}' the token {int(ids[row, column])}, "
            f"and the text tower has {known}",
            hint=REMEDY,
        )


def tokenizer_digest(tokenizer: Any, sampled: Mapping[str, Tensor]) -> str:
    """Twelve hexadecimal digits that change when texts would become other tokens: of its vocabulary, and of the tokens
    of SAMPLES, which show its rules. Not of its files, so the same tokenizer in another form stays the same."""
    inner = getattr(tokenizer, "tokenizer", tokenizer)  # open_clip wraps those of transformers
    words = inner.get_vocab() if hasattr(inner, "get_vocab") else getattr(inner, "encoder", {})
    known = sorted(words.items(), key=lambda item: (item[1], item[0]))
    return hashlib.sha256(json.dumps([known, ids_of(sampled).tolist()]).encode()).hexdigest()[:DIGITS]
