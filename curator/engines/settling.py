"""The outcome of each datum of a shard, once the shard is encoded: an image, a duplicate or a reject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from curator.engines.known import KnownContents
from curator.engines.stages import EncodedShard, Fault
from curator.types import ImageFacts, NewImage, Reject, Seen, ShardOutcome


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
