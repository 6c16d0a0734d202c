"""What happens to a shard, in three stages that every engine runs: read and recognise, decode, encode; then settle.

    shard ── chunks ──▶ Chunk ── DecodePool ──▶ DecodedBatch ── ShardBuilder ──▶ EncodedShard ── settle ──▶ ShardOutcome
                                                                    │ ▲
                                                                 Encoding

Order is kept from end to end, and each distinct content of a shard has its place in the shard's batches, also where
it has a vector already: that place is then blank, and a batch of blanks is not encoded. So the shape of a batch and
the place of an image in it, and with them every bit of every score, depend on the shard alone: not on timing, not on
the engine, not on what other shards hold, and not on where an earlier run was killed.

Nothing here starts a thread or a process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from curator.encoders.contract import has_direction
from curator.engines.batches import Encoding
from curator.engines.decode_pool import DecodedBatch, DecodeFault
from curator.engines.known import KnownContents
from curator.lake import PassedOver
from curator.types import (
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


class ShardBuilder:
    """Gathers the decoded chunks of one shard in batches and has them encoded.

    failed: of contents of earlier shards, by id, where this shard does not decode its copies of them again.
    """

    def __init__(self, shard: Shard, encoding: Encoding, failed: Mapping[str, Fault]) -> None:
        self._encoded = EncodedShard(shard, np.zeros((0, encoding.dimension), np.float32))
        self._encoding = encoding
        self._failed = failed
        self._ids: list[str | None] = []  # by place in the batch that is gathered; None: its vector is known
        self._buffer: Pixels | None = None
        self._batches: list[tuple[list[str | None], Future[tuple[Vectors, float]]]] = []

    def add(self, data: Sequence[Seen | Reject], passed: PassedOver, batch: DecodedBatch) -> None:
        """Take what was seen and passed over in a chunk and what decoding its fresh data gave, and release that."""
        self._encoded.data += data
        self._encoded.passed += passed
        self._encoded.decode_seconds += batch.cpu_seconds
        firsts = [item for item in data if isinstance(item, Seen) and item.first]
        if not self._ids and self._encoding.is_in_place and self._are_whole_batches(firsts, batch):
            self._send_in_place(firsts, batch)
            return
        outcomes, squares = iter(batch.outcomes), iter(batch.pixels)
        for item in firsts:
            self._place(item, next(outcomes) if item.fresh else None, squares)
        batch.release()

    def _are_whole_batches(self, firsts: Sequence[Seen], batch: DecodedBatch) -> bool:
        """Whether each content of a chunk is fresh and was decoded, and there is no more and no less than batches."""
        return 0 < len(firsts) == len(batch.pixels) and len(firsts) % self._encoding.batch_size == 0

    def _send_in_place(self, firsts: Sequence[Seen], batch: DecodedBatch) -> None:
        decoded = zip(firsts, batch.outcomes, strict=True)
        self._encoded.facts |= {item.image_id: facts for item, facts in decoded if isinstance(facts, ImageFacts)}
        for start in range(0, len(firsts), self._encoding.batch_size):
            end = start + self._encoding.batch_size
            done = batch.release if end == len(firsts) else None
            ids: list[str | None] = [item.image_id for item in firsts[start:end]]
            self._batches.append((ids, self._encoding.encode_in_place(batch.pixels[start:end], done)))

    def _place(self, item: Seen, outcome: ImageFacts | DecodeFault | None, squares: Iterator[Pixels]) -> None:
        """Give a content its place in the batches; one that cannot be decoded has none, in whichever shard."""
        if isinstance(outcome, DecodeFault):
            self._encoded.faults[item.image_id] = Fault("decode", outcome.reason, outcome.detail)
        elif outcome is not None:
            self._encoded.facts[item.image_id] = outcome
            if self._buffer is None:
                self._buffer = self._encoding.buffer()
            self._buffer[len(self._ids)] = next(squares)
            self._gathered(item.image_id)
        elif (fault := self._failed.get(item.image_id)) is None or fault.stage != "decode":
            self._gathered(None)

    def _gathered(self, image_id: str | None) -> None:
        self._ids.append(image_id)
        if len(self._ids) == self._encoding.batch_size:
            self._send()

    def _send(self) -> None:
        ids, self._ids = self._ids, []
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            buffer[[place for place, image_id in enumerate(ids) if image_id is None]] = 0
            self._batches.append((ids, self._encoding.encode(buffer, len(ids))))

    def close(self) -> dict[str, Fault]:
        """There are no more chunks: have the rest encoded. The faults of contents that could not be decoded."""
        if self._ids:
            self._send()
        return self._encoded.faults

    @property
    def is_done(self) -> bool:
        return all(batch.done() for _, batch in self._batches)

    def result(self) -> EncodedShard:
        """Wait for all batches. Raises what the encoder raised."""
        parts = [self._encoded.vectors]
        for ids, batch in self._batches:
            vectors, seconds = batch.result()
            vectors = vectors[[place for place, image_id in enumerate(ids) if image_id is not None]]
            self._encoded.encode_seconds += seconds
            whole = has_direction(vectors)
            for image_id, good in zip(filter(None, ids), whole.tolist(), strict=True):
                if good:
                    self._encoded.image_ids.append(image_id)
                else:
                    fault = Fault("encode", "not_finite", "the encoder gave a vector for it that is zero or not finite")
                    self._encoded.faults[image_id] = fault
            parts.append(vectors[whole])
        self._encoded.vectors = np.concatenate(parts)
        return self._encoded


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
