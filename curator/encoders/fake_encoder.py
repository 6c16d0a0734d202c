"""`fake`: an encoder without a model, so that everything around encoders can be tested in milliseconds.

It has just enough meaning to reason with: the first three coordinates are the mean colour, so an image lies near a
text that names its colour ("a red car"). The rest tells apart pictures by their layout and texts by their characters.
Nothing is learnt, nothing is random, torch is not needed.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

from curator.encoders.fingerprint import fingerprint
from curator.encoders.options import EncoderOptions, SuitedScore
from curator.errors import EncoderError, UsageError
from curator.types import Pixels, Preprocess, Vectors

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "cyan": (0, 1, 1),
    "magenta": (1, 0, 1), "white": (1, 1, 1), "black": (0, 0, 0),
}  # fmt: skip

GRID = 4  # cells a side
COLOUR_WEIGHT = 2.0
CONSTANT = 0.25  # keeps a mid-grey image away from the zero vector
TEXT_WEIGHT = 0.3
DEFAULT_DIMENSION = 16


class FakeFamily:
    """Addresses `fake` and `fake:<dimension>`."""

    def check(self, rest: str) -> None:
        _dimension(rest)

    def load(self, rest: str, options: EncoderOptions) -> FakeEncoder:
        return FakeEncoder(_dimension(rest), address=options.address, batch_size=options.batch_size or 64)

    def fetch(self, rest: str) -> str:
        return "fake has no weights: nothing to fetch"

    def suited_score(self, rest: str, id_labels: int) -> SuitedScore:
        return SuitedScore("neglabel", "as for CLIP, which it stands for in tests")

    @staticmethod
    def known() -> list[str]:
        return ["fake"]


class FakeEncoder:
    """See the module. Coordinates before normalisation: 3 of colour, 1 constant, the rest of layout or characters."""

    def __init__(self, dimension: int, *, address: str, batch_size: int) -> None:
        self.dimension = dimension
        self.batch_size = batch_size
        self.logit_scale = 100.0
        self.preprocess = Preprocess(size=32)
        self._layout = _waves(3 * GRID * GRID, dimension - 4)
        # Not of the matrix: the last bit of a cosine may differ between machines.
        self.encoder_id = f"{address}@{fingerprint([], self.preprocess, traits={'dimension': dimension})}"

    def encode_images(self, pixels: Pixels) -> Vectors:
        size = self.preprocess.size
        if pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3) or pixels.dtype != np.uint8:
            raise EncoderError(f"pixels are {pixels.dtype} {pixels.shape}, expected uint8 (n, {size}, {size}, 3)")
        n, cell = len(pixels), size // GRID
        cells = (pixels / 255.0).reshape(n, GRID, cell, GRID, cell, 3).mean(axis=(2, 4))  # (n, GRID, GRID, 3)
        colour = cells.mean(axis=(1, 2))
        layout = (cells - colour[:, None, None]).reshape(n, 3 * GRID * GRID) @ self._layout
        return _unit(self._join(colour - 0.5, layout))

    def encode_texts(self, texts: list[str], *, normalised: bool = True) -> Vectors:
        colours = np.array([_colour_of(text) for text in texts]).reshape(-1, 3)
        characters = np.array([_hashed(text, self.dimension - 4) for text in texts]).reshape(
            len(texts), self.dimension - 4
        )
        vectors = self._join(colours, TEXT_WEIGHT * characters)
        return _unit(vectors) if normalised else vectors.astype(np.float32)

    def _join(self, colour: NDArray[np.float64], rest: NDArray[np.float64]) -> NDArray[np.float64]:
        constant = np.full((len(colour), 1), CONSTANT)
        return np.concatenate([COLOUR_WEIGHT * colour, constant, rest], axis=1)


def _dimension(rest: str) -> int:
    if not rest:
        return DEFAULT_DIMENSION
    if not rest.isascii() or not rest.isdigit() or not 8 <= int(rest) <= 4096:
        raise UsageError(f"fake:{rest}: the dimension is a number from 8 to 4096", hint="for example fake:16")
    return int(rest)


def _waves(rows: int, columns: int) -> NDArray[np.float64]:
    """A fixed dense matrix; no random stream, whose values could change with a NumPy release."""
    row, column = np.indices((rows, columns))
    return np.ascontiguousarray(np.cos((row + 1) * (column + 1) * 0.7548776662466927))


def _colour_of(text: str) -> NDArray[np.float64]:
    """The mean of the colours that the text names, less one half; zero when it names none."""
    named = [COLOURS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in COLOURS]
    return np.mean(named, axis=0) - 0.5 if named else np.zeros(3)


def _hashed(text: str, size: int) -> NDArray[np.float64]:
    """A unit vector of signed counts of character trigrams."""
    padded = f"  {text.lower()} "
    counts = np.zeros(size)
    for start in range(len(padded) - 2):
        code = zlib.crc32(padded[start : start + 3].encode("utf-8", "replace"))
        counts[code % size] += 1.0 if code & 0x80000000 else -1.0
    return np.asarray(counts / (np.linalg.norm(counts) or 1.0))


def _unit(vectors: NDArray[np.float64]) -> Vectors:
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
