"""What happens to a shard, in three stages that every engine runs: read and recognise, decode, encode; then settle.

    shard ── chunks ──▶ Chunk ── DecodePool ──▶ DecodedBatch ── ShardBuilder ──▶ EncodedShard ── settle ──▶ ShardOutcome

Order is kept from end to end, and each distinct content of a shard has its place in the shard's batches, also where
it has a vector already: that place is then blank, and a batch of blanks is not encoded. So the shape of a batch and
the place of an image in it, and with them every bit of every score, depend on the shard alone: not on timing, not on
the engine, not on what other shards hold, and not on where an earlier run was killed.

Nothing here starts a thread or a process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.engines.decode_pool import Decoded, DecodedBatch, DecodeFault
from curator.engines.known import KnownContents
from curator.lake import PassedOver, ReadOptions, content_id, read_shard
from curator.types import (
    Datum,
    ImageFacts,
    NewImage,
    Pixels,
    Reject,
    RejectStage,
    Seen,
    Shard,
    ShardOutcome,
    Vectors,
)

CHUNK_IMAGES = 16  # data a decode task; large enough that hand-over costs little, small enough to spread over workers
CHUNK_BYTES = 8 << 20

Progress: TypeAlias = Callable[[int, int], None]  # data and bytes done since the last call


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a content became a reject."""

    stage: RejectStage
    reason: str
    detail: str

    def of(self, item: Seen) -> Reject:
        """The reject of one location of the content."""
        return Reject(
            item.uri,
            item.object_uri,
            self.stage,
            self.reason,
            self.detail,
            item.member,
            item.byte_offset,
            item.byte_size,
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of data of one shard: what was seen, the bytes of the fresh ones, and whether it closes the shard.

    passed: what was passed over in the shard; all of it comes with the last chunk.
    """

    shard: Shard
    data: list[Seen | Reject]
    fresh: list[bytes]
    last: bool
    passed: PassedOver = field(default_factory=PassedOver)


@dataclass(slots=True)
class EncodedShard:
    """A shard after its last stage: vectors (n, d) and facts of the contents that got one, faults of the others.

    image_ids: of the rows of `vectors`. scores: one row a vector, where the engine scores. passed: over, in the shard.
    """

    shard: Shard
    vectors: Vectors
    data: list[Seen | Reject] = field(default_factory=list)
    image_ids: list[str] = field(default_factory=list)
    facts: dict[str, ImageFacts] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    decode_seconds: float = 0.0
    encode_seconds: float = 0.0
    passed: PassedOver = field(default_factory=PassedOver)
    scores: pa.Table | None = None


def shard_chunks(shard: Shard, known: KnownContents, options: ReadOptions) -> Iterator[Chunk]:
    """Read a shard and recognise its contents; the last chunk closes it and may be empty."""
    data: list[Seen | Reject] = []
    fresh: list[bytes] = []
    size = 0
    here = KnownContents()
    passed = PassedOver()
    for item in read_shard(shard, options=options, passed=passed):
        if isinstance(item, Reject):
            data.append(item)
        else:
            entry = _recognise(item, here, known)
            data.append(entry)
            if entry.fresh:
                fresh.append(item.data)
                size += len(item.data)
        if len(data) >= CHUNK_IMAGES or size >= CHUNK_BYTES:
            yield Chunk(shard, data, fresh, last=False)
            data, fresh, size = [], [], 0
    yield Chunk(shard, data, fresh, last=True, passed=passed)


def _recognise(datum: Datum, here: KnownContents, known: KnownContents) -> Seen:
    image_id = content_id(datum.data)
    first = here.add(image_id)
    return Seen(
        datum.uri,
        datum.object_uri,
        datum.member,
        datum.byte_offset,
        len(datum.data),
        datum.source_label,
        image_id,
        first,
        first and known.add(image_id),
    )


class ImageEncoder(Protocol):
    """The part of an encoder that shards need."""

    @property
    def batch_size(self) -> int: ...
    @property
    def dimension(self) -> int: ...

    def encode_images(self, pixels: Pixels) -> Vectors: ...


class ShardBuilder:
    """Gathers the decoded chunks of one shard and encodes them in batches.

    failed: of contents of earlier shards, by id, where this shard does not decode its copies of them again.
    """

    def __init__(self, shard: Shard, encoder: ImageEncoder, failed: Mapping[str, Fault]) -> None:
        self._encoded = EncodedShard(shard, np.zeros((0, encoder.dimension), np.float32))
        self._encoder = encoder
        self._failed = failed
        self._places: list[tuple[str, Pixels] | None] = []
        self._vectors: list[Vectors] = [self._encoded.vectors]

    def add(self, data: Sequence[Seen | Reject], passed: PassedOver, batch: DecodedBatch) -> None:
        """Take what was seen and passed over in a chunk and what decoding its fresh data gave; encode whole batches."""
        self._encoded.data += data
        self._encoded.passed += passed
        self._encoded.decode_seconds += batch.cpu_seconds
        decoded = iter(batch.items)
        for item in data:
            if isinstance(item, Seen) and item.first:
                self._place(item, next(decoded) if item.fresh else None)
        while len(self._places) >= self._encoder.batch_size:
            self._encode(self._encoder.batch_size)

    def _place(self, item: Seen, result: Decoded | DecodeFault | None) -> None:
        """Give a content its place in the batches; one that cannot be decoded has none, in whichever shard."""
        if isinstance(result, DecodeFault):
            self._encoded.faults[item.image_id] = Fault("decode", result.reason, result.detail)
        elif result is not None:
            self._encoded.facts[item.image_id] = result.facts
            self._places.append((item.image_id, result.pixels))
        elif (fault := self._failed.get(item.image_id)) is None or fault.stage != "decode":
            self._places.append(None)

    def finish(self) -> EncodedShard:
        """Encode the rest."""
        if self._places:
            self._encode(len(self._places))
        self._encoded.vectors = np.concatenate(self._vectors)
        return self._encoded

    def _encode(self, count: int) -> None:
        places, self._places = self._places[:count], self._places[count:]
        rows = [row for row, place in enumerate(places) if place is not None]
        if not rows:
            return
        images = [place for place in places if place is not None]
        pixels = np.zeros((count, *images[0][1].shape), np.uint8)
        pixels[rows] = [image for _, image in images]
        started = time.perf_counter()
        vectors = self._encoder.encode_images(pixels)[rows]
        self._encoded.encode_seconds += time.perf_counter() - started
        finite: NDArray[np.bool_] = np.all(np.isfinite(vectors), axis=1)
        for (image_id, _), good in zip(images, finite, strict=True):
            if good:
                self._encoded.image_ids.append(image_id)
            else:
                self._encoded.faults[image_id] = Fault(
                    "encode", "not_finite", "the encoder gave no finite vector for it"
                )
        self._vectors.append(vectors[finite])


class Settlement:
    """Settles the shards of a run in order where each was done without knowing what the others hold.

    Two shards may then have encoded the same content: the first one has it, as if they had been done one by one.
    """

    def __init__(self, known: KnownContents) -> None:
        self._known = known
        self._failed: dict[str, Fault] = {}

    def settle(self, encoded: EncodedShard) -> ShardOutcome:
        """The outcome of the next shard."""
        encoded.data = [self._in_run(item) for item in encoded.data]
        fresh = {item.image_id for item in encoded.data if isinstance(item, Seen) and item.fresh}
        self._failed |= {image_id: fault for image_id, fault in encoded.faults.items() if image_id in fresh}
        return settle(encoded, self._failed)

    def _in_run(self, item: Seen | Reject) -> Seen | Reject:
        if isinstance(item, Seen) and item.fresh and not self._known.add(item.image_id):
            return replace(item, fresh=False)
        return item


def settle(encoded: EncodedShard, failed: Mapping[str, Fault]) -> ShardOutcome:
    """What became of each datum. failed: of all contents of the run, by id: a copy of a bad image fails like it."""
    outcome = ShardOutcome(encoded.shard, encoded.data, passed=encoded.passed)
    outcome.decode_seconds, outcome.encode_seconds = encoded.decode_seconds, encoded.encode_seconds
    for item in encoded.data:
        _settle_datum(item, encoded.facts, failed, outcome)
    row_of = {image_id: row for row, image_id in enumerate(encoded.image_ids)}
    rows = [row_of[image.image_id] for image in outcome.images]
    outcome.vectors = encoded.vectors[rows]
    if encoded.scores is not None:
        outcome.scores = encoded.scores.take(pa.array(rows, pa.int64()))
    return outcome


def _settle_datum(
    item: Seen | Reject, facts: Mapping[str, ImageFacts], failed: Mapping[str, Fault], outcome: ShardOutcome
) -> None:
    if isinstance(item, Reject):
        outcome.rejects.append((item, None))
        return
    outcome.byte_count += item.byte_size
    outcome.decoded_count += item.fresh
    if fault := failed.get(item.image_id):
        outcome.rejects.append((fault.of(item), item.image_id))
    elif item.fresh:
        outcome.images.append(NewImage(item.image_id, item.byte_size, facts[item.image_id]))
    else:
        outcome.duplicate_count += 1
