"""The second half of a scan: the outcome of each shard becomes a vector file and committed rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

from curator.engines.stages import NewImage, ShardOutcome
from curator.store import Ledger, ShardResult
from curator.store.tables import Columns, reject_row
from curator.types import ImageFacts
from curator.vectors import at_rest, write_shard
from curator.workspace.judge.scoring import Scorer
from curator.workspace.scan.request import ScanWatcher

FACTS = [item.name for item in fields(ImageFacts)]


@dataclass(slots=True)
class ShardCommitter:
    """Turns shard outcomes into committed rows: writes the vector file, scores the vectors as stored, commits."""

    ledger: Ledger
    scorer: Scorer | None
    vector_folder: Path
    role: str
    known_objects: frozenset[str]
    encoder_id: str

    def commit(self, outcome: ShardOutcome) -> ShardResult:
        shard = outcome.shard
        versions = {item.uri: item.version for item in shard.objects}
        ids = [image.image_id for image in outcome.images]
        result = ShardResult(
            shard_id=shard.shard_id,
            kind=shard.kind,
            role=self.role,
            encoder_id=self.encoder_id,
            locations=self._locations(outcome, versions),
            images=_image_columns(outcome.images),
            rejects=[
                reject_row(reject, role=self.role, version=versions[reject.object_uri], image_id=image_id)
                for reject, image_id in outcome.rejects
            ],
            vector_ids=ids,
            completes=shard.completes,
            passed=outcome.passed,
            # Rows of an unfinished earlier state can exist only for objects of several shards.
            replaces=shard.kind == "parquet" or any(item.uri in self.known_objects for item in shard.objects),
            duplicate_count=outcome.duplicate_count,
            decoded_count=outcome.decoded_count,
            byte_count=outcome.byte_count,
            decode_seconds=outcome.decode_seconds,
            encode_seconds=outcome.encode_seconds,
        )
        if ids:
            stored = at_rest(outcome.vectors)
            result.vector_file = vector_file_name(shard.shard_id, ids)
            write_shard(
                self.vector_folder / f"{result.vector_file}.safetensors",
                ids,
                outcome.vectors,
                encoder_id=self.encoder_id,
            )
            if self.scorer is not None:
                scored = outcome.scores
                result.scores = (
                    self.scorer.score_rows(ids, stored, run_id=self.ledger.run_id) if scored is None else scored
                )
        self.ledger.commit_shard(result)
        return result

    def _locations(self, outcome: ShardOutcome, versions: Mapping[str, str]) -> Columns:
        data = outcome.data
        return {
            "uri": [item.uri for item in data],
            "role": [self.role] * len(data),
            "object_uri": [item.object_uri for item in data],
            "object_version": [versions[item.object_uri] for item in data],
            "member": [item.member for item in data],
            "byte_offset": [item.byte_offset for item in data],
            "byte_size": [item.byte_size for item in data],
            "source_label": [getattr(item, "source_label", None) for item in data],
            "image_id": [getattr(item, "image_id", None) for item in data],
            "shard_id": [outcome.shard.shard_id] * len(data),
        }


def _image_columns(images: Sequence[NewImage]) -> Columns:
    return {
        "image_id": [image.image_id for image in images],
        "byte_size": [image.byte_size for image in images],
        **{name: [getattr(image.facts, name) for image in images] for name in FACTS},
    }


def vector_file_name(shard_id: str, image_ids: Sequence[str]) -> str:
    """The name of a vector file, by what is in it: a shard that is read again never overwrites vectors in use."""
    return hashlib.sha256("\n".join([shard_id, *image_ids]).encode()).hexdigest()[:32]


def commit_shards(outcomes: Iterator[ShardOutcome], committer: ShardCommitter, watcher: ScanWatcher) -> None:
    """Commit every shard as it comes.

    One shard is written while the next is encoded: waiting for the disk then costs nothing. One writer, in order.
    """
    with ThreadPoolExecutor(1, "curator-writer") as writer:
        writing: Future[ShardResult] | None = None
        for outcome in outcomes:
            _finish(writing, watcher)
            writing = writer.submit(committer.commit, outcome)
        _finish(writing, watcher)


def _finish(writing: Future[ShardResult] | None, watcher: ScanWatcher) -> None:
    """Wait for a shard to be committed; raises what its commit raised."""
    if writing is not None:
        watcher.advance(objects=len(writing.result().completes))
