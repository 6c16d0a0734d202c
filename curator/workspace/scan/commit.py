"""The second half of a scan: the outcome of each shard becomes a vector file and committed rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from curator.store import Ledger
from curator.store.shards import commit_shard, has_other_images
from curator.types import ShardOutcome
from curator.vectors import at_rest, write_shard
from curator.vectors.blas import one_thread
from curator.workspace.judge.naming import Namer
from curator.workspace.judge.scoring import Scorer
from curator.workspace.scan.request import ScanWatcher


@dataclass(slots=True)
class ShardCommitter:
    """Turns shard outcomes into committed rows: writes the vectors, scores and names them as stored, commits."""

    ledger: Ledger
    scorer: Scorer | None
    namer: Namer | None
    vector_folder: Path
    role: str
    known_objects: frozenset[str]
    encoder_id: str
    _others: bool = field(init=False)

    def __post_init__(self) -> None:
        self._others = has_other_images(self.ledger.database, self.encoder_id)

    def commit(self, outcome: ShardOutcome) -> int:
        """Returns how many objects are wholly done with it."""
        shard = outcome.shard
        ids = [image.image_id for image in outcome.images]
        name = vector_file_name(shard.shard_id, ids) if ids else None
        names = None
        if name is not None:
            path = self.vector_folder / f"{name}.safetensors"
            write_shard(path, ids, outcome.vectors, encoder_id=self.encoder_id)
            stored = at_rest(outcome.vectors)
            if self.scorer is not None and outcome.scores is None:
                outcome.scores = self.scorer.score_rows(ids, stored, run_id=self.ledger.run_id)
            if self.namer is not None:
                with one_thread():  # others would take the encoder's cores, and spin
                    names = self.namer.name_rows(self.ledger, ids, stored)
        commit_shard(
            self.ledger,
            outcome,
            role=self.role,
            encoder_id=self.encoder_id,
            vector_file=name,
            names=names,
            # Rows of an unfinished earlier state can exist only for objects of several shards.
            replaces=shard.kind == "parquet" or any(item.uri in self.known_objects for item in shard.objects),
            may_be_there=self._others,
        )
        return len(shard.completes)


def vector_file_name(shard_id: str, image_ids: Sequence[str]) -> str:
    """The name of a vector file, by what is in it: a shard that is read again never overwrites vectors in use."""
    return hashlib.sha256("\n".join([shard_id, *image_ids]).encode()).hexdigest()[:32]


def commit_shards(outcomes: Iterator[ShardOutcome], committer: ShardCommitter, watcher: ScanWatcher) -> None:
    """Commit every shard as it comes.

    One shard is written while the next is encoded: waiting for the disk then costs nothing. One writer, in order.
    """
    with ThreadPoolExecutor(1, "curator-writer") as writer:
        writing: Future[int] | None = None
        for outcome in outcomes:
            _finish(writing, watcher)
            writing = writer.submit(committer.commit, outcome)
        _finish(writing, watcher)


def _finish(writing: Future[int] | None, watcher: ScanWatcher) -> None:
    """Wait for a shard to be committed; raises what its commit raised."""
    if writing is not None:
        watcher.advance(objects=writing.result())
