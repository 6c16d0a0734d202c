"""Encoders and a decoder that only pretend, to measure what is around them. Registered by `register`, in this process.

`free:<dimension>` costs nothing: its vectors are seeded and differ from image to image. `device:<rate>` takes what a
device of so many images a second would, asleep, and knows since when and how long it was busy. Both want 224 pixels.
"""

from __future__ import annotations

import time
from contextlib import suppress

import numpy as np

from curator.decode import DecodeOptions
from curator.encoders import ENCODERS, EncoderOptions
from curator.encoders.fake_encoder import FakeEncoder
from curator.encoders.options import SuitedScore
from curator.types import ImageFacts, Pixels, Preprocess, Vectors

VECTORS = 1 << 14  # no image of a scan of 12,000 is like another


def register() -> None:
    for name, family in (("free", "FreeFamily"), ("device", "DeviceFamily")):
        with suppress(ValueError):  # it is registered already
            ENCODERS.register(name, f"tests.bench.pretended:{family}")


def pretend_to_decode(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[Pixels, ImageFacts]:
    """A square of one colour, which is that of the bytes' end."""
    size = preprocess.size
    return np.full((size, size, 3), data[-1], np.uint8), ImageFacts(size, size, "JPEG", "RGB", False)


class FreeEncoder:
    """Vectors by the order in which images come."""

    def __init__(self, address: str, dimension: int, batch_size: int) -> None:
        self.dimension, self.batch_size, self.logit_scale = dimension, batch_size, 100.0
        self.preprocess = Preprocess(size=224)
        self.encoder_id = f"{address}@000000000000"
        vectors = np.random.default_rng(0).standard_normal((VECTORS, dimension), np.float32)
        self._vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self._texts = FakeEncoder(dimension, address="fake", batch_size=batch_size)
        self._met = 0

    def encode_images(self, pixels: Pixels) -> Vectors:
        rows = (self._met + np.arange(len(pixels))) % VECTORS
        self._met += len(pixels)
        found: Vectors = self._vectors[rows]
        return found

    def encode_texts(self, texts: list[str], *, normalised: bool = True) -> Vectors:
        return self._texts.encode_texts(texts, normalised=normalised)


class DeviceEncoder(FreeEncoder):
    """It sleeps. busy: seconds, since `begun` and until `ended`, both of `time.perf_counter`."""

    def __init__(self, address: str, rate: float, batch_size: int) -> None:
        super().__init__(address, 16, batch_size)
        self._rate = rate
        self.restart()

    def restart(self) -> None:
        self.busy, self.begun, self.ended = 0.0, 0.0, 0.0

    @property
    def busy_share(self) -> float:
        return self.busy / (self.ended - self.begun)

    def encode_images(self, pixels: Pixels) -> Vectors:
        started = time.perf_counter()
        self.begun = self.begun or started
        seconds = len(pixels) / self._rate
        time.sleep(seconds)
        self.busy += seconds
        self.ended = time.perf_counter()
        return super().encode_images(pixels)


class FreeFamily:
    """The address `free:<dimension>`."""

    def check(self, rest: str) -> None:
        int(rest)

    def load(self, rest: str, options: EncoderOptions) -> FreeEncoder:
        return FreeEncoder(options.address, int(rest), options.batch_size or 64)

    def fetch(self, rest: str) -> str:
        return "nothing to fetch"

    def suited_score(self, rest: str, id_labels: int) -> SuitedScore:
        return SuitedScore("neglabel", "it costs little")

    @staticmethod
    def known() -> list[str]:
        return []


class DeviceFamily(FreeFamily):
    """The address `device:<images a second>`."""

    def load(self, rest: str, options: EncoderOptions) -> DeviceEncoder:
        return DeviceEncoder(options.address, float(rest), options.batch_size or 256)
