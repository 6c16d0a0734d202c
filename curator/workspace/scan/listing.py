"""The first half of a scan: what is new, changed, unchanged and gone, settled before any object is opened.

The same steps serve the lake (`curator scan`) and the reference images of a calibration: only the role differs. An
encoder is loaded only when something has to be encoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from curator.config import ScanSection
from curator.errors import SourceError
from curator.lake import Source, open_source, plan_shards
from curator.store import Database, ListingCounts
from curator.store.tables import object_table
from curator.types import Reject, Shard, SourceObject
from curator.workspace.scan.request import ScanRequest

LISTED = 1 << 15  # objects of a listing compared with the ledger at a time


@dataclass(slots=True)
class ListedSource:
    """One source after listing: what is to be read, what is gone, what could not be listed.

    known: of what is to be read, the uris that the ledger has rows of: changed, returned or retried. uris: of all
    objects, kept for reference and evaluation images, whose sets they make.
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
        self.known |= {item.uri for item, state in pairs if state in ("changed", "returned", "retried")}
        self.uris += [item.uri for item in objects] if keep else []
        self.states.update(states)
        self.byte_size += sum(item.byte_size for item in objects)

    @property
    def gone(self) -> list[str]:
        """Objects that the ledger knows and the listing missed, where it could look."""
        unlisted = tuple(f"{item.uri.rstrip('/')}/" for item in self.rejects)
        return [uri for uri in self.missed if self.source.covers(uri) and not uri.startswith(unlisted)]

    @property
    def is_emptied(self) -> bool:
        """Whether nothing is left of what was there: the night may have come before its disk."""
        return bool(self.gone) and not self.states.total()

    @property
    def counts(self) -> ListingCounts:
        return ListingCounts(
            source=self.source.name,
            objects_listed=self.states.total(),
            objects_new=self.states["new"] + self.states["returned"],
            objects_changed=self.states["changed"],
            objects_unchanged=self.states["unchanged"] + self.states["retried"],
            objects_gone=len(self.gone),
            bytes_listed=self.byte_size,
            bytes_to_read=sum(item.byte_size for item in self.to_read),
            ignored=dict(self.source.ignored),
            objects_back=self.states["returned"],
            objects_retried=self.states["retried"],
            unlisted=len(self.rejects),
        )


def list_source(
    database: Database, source: Source, request: ScanRequest, *, encoder_id: str, change_times: bool = True
) -> ListedSource:
    """List one source and settle what has to be read. Opens no object, and holds none that is unchanged.

    change_times: whether a local file has changed of which nothing but its change time differs.

    Listings come in the order of their uris, so each part of one is compared with what the ledger knows in its range.
    """
    found, role, after = ListedSource(source), request.role, ""
    for part, is_last in _parts(source):
        objects = [item for item in part if isinstance(item, SourceObject)]
        _check_order(source, after, objects)
        found.rejects += [item for item in part if isinstance(item, Reject)]
        until = None if is_last else objects[-1].uri if objects else after
        with database.incoming(object=object_table(objects, role)):
            if objects:
                states = database.column(
                    "classify_objects",
                    role=role,
                    encoder_id=encoder_id,
                    rehash=request.rehash,
                    retry_rejects=request.retry_rejects,
                    change_times=change_times,
                )
                found.add(objects, states, keep=role != "lake")
            found.missed += database.column(
                "find_gone_objects", role=role, prefix=source.prefix, after=after, until=until
            )
        after = until or after
    return found


def _parts(source: Source) -> Iterator[tuple[list[SourceObject | Reject], bool]]:
    """The parts of a listing, one at least, each with whether it is the last: all that is known beyond is gone."""
    found = source.list()
    part = list(islice(found, LISTED))
    while following := list(islice(found, LISTED)):
        yield part, False
        part = following
    yield part, True


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


def finished_shards(database: Database, listed: Sequence[ListedSource], *, encoder_id: str, role: str) -> set[str]:
    """Row groups that need not be read again; only Parquet files have any."""
    if not any(item.kind == "parquet" for source in listed for item in source.to_read):
        return set()
    return set(database.column("list_finished_shards", encoder_id=encoder_id, role=role))


def pending_shards(listed: Sequence[ListedSource], *, files_per_shard: int, finished: set[str]) -> Iterator[Shard]:
    """The shards of what has to be read, in order.

    finished: shards that need not be done again: row groups of a Parquet file whose scan was cut off before its end.
    """
    objects = {item.uri: item for source in listed for item in source.to_read}
    for shard in plan_shards(objects.values(), files_per_shard=files_per_shard):
        if shard.completes or shard.shard_id not in finished:
            yield shard
