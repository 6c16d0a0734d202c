"""The values that travel between the stages. Nothing here has behaviour beyond its own fields.

A *source object* is what a listing finds (a file, a tar, a Parquet file); a *datum* is one image's bytes inside
one; a *shard* is the unit of work and of resume. A datum ends as an image, as a duplicate of one, or as a reject.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Vectors: TypeAlias = NDArray[np.float32]  # (n, d), unit norm
Pixels: TypeAlias = NDArray[np.uint8]  # (n, size, size, 3), RGB
ObjectKind: TypeAlias = Literal["file", "tar", "parquet"]
RejectStage: TypeAlias = Literal["list", "read", "decode", "encode"]
LabelRole: TypeAlias = Literal["id", "negative"]

UNIT_TOLERANCE = 0.01  # by how much the length of a unit vector may differ from 1


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One storage object found by a listing.

    `uri` is its key in the ledger (an absolute path for local files, else the fsspec URL); `path` is what opens it
    (the same but for names that are not valid UTF-8); `version` changes when the object does: size with mtime or ETag.
    """

    uri: str
    path: str
    kind: ObjectKind
    byte_size: int
    version: str


@dataclass(frozen=True, slots=True)
class Datum:
    """The bytes of one image and where they were seen. `member` is the tar member or the Parquet row number."""

    uri: str
    object_uri: str
    data: bytes
    member: str | None = None
    byte_offset: int | None = None
    source_label: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A datum that could not be processed: at which stage, for which reason (a short code), in which detail."""

    uri: str
    object_uri: str
    stage: RejectStage
    reason: str
    detail: str
    member: str | None = None
    byte_offset: int | None = None
    byte_size: int | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """The unit of work and of resume: a slice of files, a tar, or one row group of a Parquet file.

    `completes` are the objects that are wholly done once this shard is (the last row group completes its file).
    """

    shard_id: str
    kind: ObjectKind
    objects: tuple[SourceObject, ...]
    row_group: int | None = None
    completes: tuple[SourceObject, ...] = ()


class Quality(NamedTuple):
    """Measures of an image as a picture, rounded; `curator.decode.quality` says how they are taken.

    brightness_5, brightness_99: perceived brightness that 5 % and 99 % of the pixels do not exceed, 0-1.
    entropy: of the grey levels, in bits, 0-8.
    edge_deviation: standard deviation of the edges in grey levels, 0-128; low in a blurry image.
    level_deviation: standard deviation of how many pixels have each grey level, 0-256; high where few levels rule.
    """

    brightness_5: float
    brightness_99: float
    entropy: float
    edge_deviation: float
    level_deviation: float


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the decoder learnt of an image: size as shown (EXIF orientation applied), container format, stored mode.

    `remark` is what it chose or overlooked, where that is not the usual: `first 3 of 13 bands`, `scaled from 0..1`,
    `no end mark`, `no palette`; empty for most. quality: None where it was not measured.
    """

    width: int
    height: int
    format: str
    mode: str
    animated: bool
    remark: str = ""
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A datum without its bytes.

    `first`: the first occurrence of its content in the shard. `fresh`: also in the run, and unknown before it.
    """

    uri: str
    object_uri: str
    member: str | None
    byte_offset: int | None
    byte_size: int
    source_label: str | None
    image_id: str
    first: bool
    fresh: bool


@dataclass(frozen=True, slots=True)
class NewImage:
    """A content that got its vector in this shard."""

    image_id: str
    byte_size: int
    facts: ImageFacts


@dataclass(slots=True)
class ShardOutcome:
    """What became of every datum of a shard, in order, and the vectors of its new images, (n, d), in their order."""

    shard: Shard
    data: list[Seen | Reject]
    rejects: list[tuple[Reject, str | None]] = field(default_factory=list)  # with the content's id where it is known
    images: list[NewImage] = field(default_factory=list)
    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    scores: pa.Table | None = None  # one row an image, where the engine scores
    passed: Mapping[str, int] = field(default_factory=dict)  # over, in the shard
    duplicate_count: int = 0
    decoded_count: int = 0
    byte_count: int = 0
    decode_seconds: float = 0.0
    encode_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How pixels must look for an encoder. Part of the encoder's fingerprint; needs no torch, so workers can hold it.

    `resize` is `shortest` (shortest side to `size`, centre crop) or `squash` (both sides to `size`, aspect ignored).
    `mean` and `std` are per channel, for pixels in [0, 1]; the encoder applies them, not the decoder.
    `resize_to`: where the shortest side goes to more than `size` before the crop; None is `size`.
    """

    size: int
    resize: Literal["shortest", "squash"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    resize_to: int | None = None

    @property
    def side(self) -> int:
        """To how many pixels the shortest side is resized."""
        return self.resize_to or self.size


@runtime_checkable
class Encoder(Protocol):
    """Images and texts into one space. All vectors are unit norm float32 unless said, in the order of the input.

    `encoder_id` is `<address>@<fingerprint>`, the fingerprint covering weights and preprocessing; dtype, device and
    batch size are not part of it. `logit_scale` is the model's own (CLIP: 100, curator-mini: 30).
    """

    @property
    def encoder_id(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def logit_scale(self) -> float: ...
    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def batch_size(self) -> int: ...

    def encode_images(self, pixels: Pixels) -> Vectors:
        """pixels: (n, size, size, 3) uint8 RGB, already fitted. Returns (n, d)."""

    def encode_texts(self, texts: list[str], *, normalised: bool = True) -> Vectors:
        """Texts as they stand, templates already applied; too long ones are truncated. Returns (n, d).

        `normalised=False` gives the tower's own embeddings, of any norm: the mean of several of them is CSP's ensemble.
        """


@dataclass(frozen=True, slots=True)
class Label:
    """One text concept of a bank. `source` says where it came from (`labels.txt`, `wordnet:noun.artifact`, ...).

    `prompt` is what was encoded; one of several lines stands for the mean of its lines. For a negative: `statistic` is
    what mining sorted by (NegLabel: the 0.95 quantile of its cosines to the ID labels), or would have sorted by, and
    `nearest_id` / `nearest_id_cosine` the closest ID label.
    """

    text: str
    role: LabelRole
    source: str
    part_of_speech: str | None = None
    prompt: str | None = None
    statistic: float | None = None
    nearest_id: str | None = None
    nearest_id_cosine: float | None = None


@dataclass(frozen=True)
class Bank:
    """An immutable bank version: its labels in order (ID labels first), one unit vector each, and what made it.

    `parameters`: what a method needs beside the labels, by name (`projection.weight`, `proxies`, ...): arrays of any
    shape and of a number type. Each method says which it reads.
    """

    name: str
    digest: str
    encoder_id: str
    logit_scale: float
    labels: tuple[Label, ...]
    vectors: Vectors
    spec: Mapping[str, Any]
    lineage: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @cached_property
    def id_count(self) -> int:
        return sum(label.role == "id" for label in self.labels)

    @property
    def id_texts(self) -> tuple[str, ...]:
        """The texts of the ID labels, in order."""
        return tuple(label.text for label in self.labels[: self.id_count])

    @property
    def id_vectors(self) -> Vectors:
        return self.vectors[: self.id_count]

    @property
    def negative_vectors(self) -> Vectors:
        return self.vectors[self.id_count :]

    def label_columns(self) -> dict[str, list[Any]]:
        """The labels in order, as a list for each of their fields."""
        return {column.name: [getattr(label, column.name) for label in self.labels] for column in fields(Label)}
