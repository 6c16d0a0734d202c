"""A scan: list, classify, read what is new, embed, score, commit shard by shard, flag.

The same steps serve the lake (`curator scan`) and the reference images of a calibration: only the role differs. The
listing settles what is new, changed, unchanged and gone before anything is read, and an encoder is loaded only when
something has to be encoded.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from curator.config import ScanSection
from curator.engines.stages import NewImage, ShardOutcome
from curator.errors import SourceError
from curator.lake import Source, open_source, plan_shards
from curator.store import Database, Ledger, ListingCounts, ShardResult
from curator.store.tables import Columns, reject_row
from curator.types import ImageFacts, Reject, Shard, SourceObject
from curator.vectors import at_rest, write_shard
from curator.workspace.scoring import Scorer

LISTED = 1 << 15  # objects of a listing compared with the ledger at a time
FACTS = [item.name for item in fields(ImageFacts)]


class ScanWatcher(Protocol):
    """Hears how a scan goes on; the CLI shows it as a bar or as heartbeat lines."""

    def begin(self, *, objects: int, byte_size: int) -> None:
        """So much is to be read."""

    def advance(self, *, data: int = 0, objects: int = 0, byte_size: int = 0) -> None:
        """So much more was done."""


class SilentWatcher:
    """Shows nothing."""

    def begin(self, *, objects: int, byte_size: int) -> None:
        return

    def advance(self, *, data: int = 0, objects: int = 0, byte_size: int = 0) -> None:
        return


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What to scan and how strictly to believe the ledger.

    rehash: read everything again, though size and time are unchanged (known contents are not decoded again).
    retry_rejects: also read objects again that had rejects.
    wait_seconds: how long to wait for another run that holds the workspace.
    exclude, include: patterns of names, besides those of the configuration.
    """

    sources: tuple[str, ...]
    role: str = "lake"
    rehash: bool = False
    retry_rejects: bool = False
    wait_seconds: float = 0.0
    exclude: Sequence[str] = ()
    include: Sequence[str] = ()


@dataclass(slots=True)
class ListedSource:
    """One source after listing: what is to be read, what is gone, what could not be listed.

    known: of what is to be read, the uris that the ledger has rows of: changed or returned. uris: of all objects, kept
    for reference and evaluation images, whose sets they make.
    """

    source: Source
    to_read: list[SourceObject] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    missed: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    uris: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    byte_size: int = 0

    def add(self, objects: Sequence[SourceObject], states: Sequence[str], *, keep: bool) -> None:
        """Take in a part of the listing, with what the ledger says of each object."""
        pairs = list(zip(objects, states, strict=True))
        self.to_read += [item for item, state in pairs if state != "unchanged"]
        self.known |= {item.uri for item, state in pairs if state in ("changed", "returned")}
        self.uris += [item.uri for item in objects] if keep else []
        self.states.update(states)
        self.byte_size += sum(item.byte_size for item in objects)

    @property
    def gone(self) -> list[str]:
        """Objects that the ledger knows and the listing missed, where it could look."""
        unlisted = tuple(f"{item.uri.rstrip('/')}/" for item in self.rejects)
        return [uri for uri in self.missed if self.source.covers(uri) and not uri.startswith(unlisted)]

    @property
    def counts(self) -> ListingCounts:
        return ListingCounts(
            source=self.source.name,
            objects_listed=self.states.total(),
            objects_new=self.states["new"] + self.states["returned"],
            objects_changed=self.states["changed"],
            objects_unchanged=self.states["unchanged"],
            objects_gone=len(self.gone),
            bytes_listed=self.byte_size,
            bytes_to_read=sum(item.byte_size for item in self.to_read),
            ignored=dict(self.source.ignored),
        )


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What a scan did. `data_read` = images + duplicates + rejects.

    passed_over: members of archives that were read, as `ignored` of the listings has files.
    scored, flagged: images of the whole lake; new_scored, new_flagged: those that arrived in this run.
    stage_seconds: wall time. exit_code, broken_limits: what the limits that were set make of the night.
    """

    run_id: str
    listings: tuple[ListingCounts, ...]
    data_read: int
    images: int
    duplicates: int
    rejects: int
    decoded: int
    bytes_read: int
    reject_reasons: Mapping[str, int]
    passed_over: Mapping[str, int] = field(default_factory=dict)
    rescored: int = 0
    near_duplicates: int = 0
    scored: int = 0
    flagged: int = 0
    new_scored: int = 0
    new_flagged: int = 0
    encoder_id: str = ""
    bank: str = ""
    method_id: str = ""
    policy: str = ""
    policy_note: str = ""
    seconds: float = 0.0
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    exit_code: int = 0
    broken_limits: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def list_source(database: Database, source: Source, request: ScanRequest, *, encoder_id: str) -> ListedSource:
    """List one source and settle what has to be read. Opens no object, and holds none that is unchanged.

    Listings come in the order of their uris, so each part of one is compared with what the ledger knows in its range.
    """
    ledger = Ledger(database, "")
    found = ListedSource(source)
    after = ""
    for part in _parts(source):
        objects = [item for item in part if isinstance(item, SourceObject)]
        _check_order(source, after, objects)
        found.rejects += [item for item in part if isinstance(item, Reject)]
        states = ledger.classify(
            objects,
            role=request.role,
            encoder_id=encoder_id,
            rehash=request.rehash,
            retry_rejects=request.retry_rejects,
        )
        found.add(objects, states, keep=request.role != "lake")
        until = objects[-1].uri if objects else after
        found.missed += ledger.find_gone(objects, role=request.role, prefix=source.prefix, after=after, until=until)
        after = until
    found.missed += ledger.find_gone([], role=request.role, prefix=source.prefix, after=after)
    return found


def _parts(source: Source) -> Iterator[list[SourceObject | Reject]]:
    found = source.list()
    while part := list(islice(found, LISTED)):
        yield part


def _check_order(source: Source, after: str, objects: Sequence[SourceObject]) -> None:
    """Out of order, an object that is there would count as gone."""
    for item in objects:
        if item.uri <= after:
            raise SourceError(
                f"{source.name}: its listing is not in order, {item.uri} after {after}",
                hint="the store may have changed while it was listed: run the scan again",
            )
        after = item.uri


def open_sources(
    addresses: Sequence[str], config: ScanSection, *, exclude: Sequence[str] = (), include: Sequence[str] = ()
) -> list[Source]:
    """The sources of a scan; one that is named twice counts once.

    exclude, include: patterns of names, besides those of the configuration.
    """
    exclude, include = (*config.exclude, *exclude), (*config.include, *include)
    opened = (open_source(address, exclude=exclude, include=include) for address in addresses)
    return list({source.name: source for source in opened}.values())


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


def pending_shards(listed: Sequence[ListedSource], *, files_per_shard: int, finished: set[str]) -> Iterator[Shard]:
    """The shards of what has to be read, in order.

    finished: shards that need not be done again: row groups of a Parquet file whose scan was cut off before its end.
    """
    objects = {item.uri: item for source in listed for item in source.to_read}
    for shard in plan_shards(objects.values(), files_per_shard=files_per_shard):
        if shard.completes or shard.shard_id not in finished:
            yield shard


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
