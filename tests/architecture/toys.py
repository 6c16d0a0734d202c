"""A toy of each thing that can be added, written as the recipes of ARCHITECTURE.md say."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from curator.encoders.fingerprint import fingerprint
from curator.encoders.options import EncoderOptions, SuitedScore
from curator.errors import EncoderError, UsageError
from curator.lake.kinds import kind_of
from curator.lake.passed import PassedOver
from curator.lake.sources.filters import EVERYTHING, PathFilter
from curator.lake.versions import local_version
from curator.methods.maths import Cosines, Scores
from curator.methods.spec import Factor, PlainMethod
from curator.methods.statistics import Needs, Statistics, exact_statistics
from curator.types import Bank, Pixels, Preprocess, Reject, SourceObject, Vectors


def toy_score(id_cosines: Cosines, negative_cosines: Cosines | None = None, *, scale: float = 2.0) -> Scores:
    """scale * max_i c_i, from id_cosines (n, C). Negatives are ignored."""
    method = ToyMethod(scale=scale)
    return method.log_odds(exact_statistics(id_cosines, None, method.needs))


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyMethod(PlainMethod):
    """Twice the cosine of the nearest ID label."""

    name: ClassVar[str] = "toy"
    formula: ClassVar[Any] = staticmethod(toy_score)
    scale: Factor = 2.0

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        return cls(**parameters)

    @property
    def needs(self) -> Needs:
        return Needs()

    def log_odds(self, statistics: Statistics) -> Scores:
        return self.scale * statistics.id_cosine


class ToyFamily:
    """The address `toy`."""

    def check(self, rest: str) -> None:
        if rest:
            raise UsageError(f"toy:{rest}: toy takes nothing behind its name")

    def load(self, rest: str, options: EncoderOptions) -> ToyEncoder:
        self.check(rest)
        return ToyEncoder(options.batch_size or 16)

    def fetch(self, rest: str, cache_dir: Path | None) -> str:
        return "toy has no weights: nothing to fetch"

    def suited_score(self, rest: str, id_labels: int) -> SuitedScore:
        return SuitedScore("neglabel", "it is a toy")

    @staticmethod
    def known() -> list[str]:
        return ["toy"]


class ToyEncoder:
    """The mean colour, less mid-grey: a text is the colour that it names, and a checksum is a shade beside it."""

    dimension, logit_scale, preprocess = 4, 10.0, Preprocess(size=8)
    encoder_id = f"toy@{fingerprint([], preprocess)}"

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def encode_images(self, pixels: Pixels) -> Vectors:
        """pixels: uint8 (n, 8, 8, 3). Returns (n, 4), unit-norm."""
        if pixels.shape[1:] != (8, 8, 3) or pixels.dtype != np.uint8:
            raise EncoderError(f"pixels are {pixels.dtype} {pixels.shape}, expected uint8 (n, 8, 8, 3)")
        colours = pixels.mean(axis=(1, 2)) / 255 - 0.5
        return _unit(np.hstack([colours, np.full((len(pixels), 1), 0.1)]))

    def encode_texts(self, texts: list[str], *, normalised: bool = True) -> Vectors:
        texts = [text[:200] for text in texts]
        named = [[(name in text) - 0.5 for name in ("red", "green", "blue")] for text in texts]
        shades = [[0.1 + zlib.crc32(text.encode("utf-8", "replace")) / 2**35] for text in texts]
        joined = np.hstack([np.reshape(named, (-1, 3)), np.reshape(shades, (-1, 1))])
        return _unit(joined) if normalised else joined.astype(np.float32)


def _unit(rows: np.ndarray[Any, np.dtype[np.float64]]) -> Vectors:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@dataclass
class ToySource:
    """`toy:///folder/list.txt`: the images that a text file lists, one a line, as paths below its folder."""

    name: str
    file: Path
    ignored: PassedOver = field(default_factory=PassedOver)
    filter: PathFilter = EVERYTHING

    @classmethod
    def find(cls, address: str) -> ToySource:
        return cls(address, Path(address.removeprefix("toy://")))

    @property
    def prefix(self) -> str:
        return f"{self.file.parent}/"

    folder_prefix = prefix

    def list(self) -> Iterator[SourceObject | Reject]:
        self.ignored.clear()
        for line in sorted(set(self.file.read_text().splitlines())):
            path = f"{self.prefix}{line}"
            if (heading := self.filter.heading_of_file(line)) is not None:
                self.ignored.note(heading)
                continue
            status = Path(path).stat()
            yield SourceObject(path, path, kind_of(path) or "file", status.st_size, local_version(status))

    def covers(self, uri: str) -> bool:
        below = uri.removeprefix(self.prefix)
        return uri.startswith(self.prefix) and self.filter.heading_of_file(below) is None


TOY_VIEW = """-- How many images each label is nearest to.
create or replace view report.toy as
select top_id, count(*) as images
from report.scores
group by top_id;
"""
