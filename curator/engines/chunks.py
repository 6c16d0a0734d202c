"""Reading a shard, a run of data at a time: what was seen, the bytes as a parcel, and which of them are to be decoded.

    shard ── read_chunks ──▶ ReadChunk ── Recognition ──▶ Chunk

Reading names each content by the hash of its bytes and asks nobody; whether one is new only the run can tell, in the
order of the shards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from curator.engines.known import KnownContents
from curator.engines.parcels import Parcel
from curator.lake import PassedOver, ReadOptions, content_id, read_shard
from curator.types import Datum, Reject, Seen, Shard

CHUNK_IMAGES = 32  # data a decode task; large enough that hand-over costs little, small enough to spread over workers
CHUNK_BYTES = 8 << 20


@dataclass(slots=True)
class ReadChunk:
    """A run of data of one shard as they were read, one value a datum in each column; `rejects` stand between them.

    rejects: by their place among all. parcel: the bytes of all data. last: it closes the shard, and may be empty.
    passed: what was passed over in the shard; all of it comes with the last chunk.
    """

    image_ids: list[str] = field(default_factory=list)
    uris: list[str] = field(default_factory=list)
    object_uris: list[str] = field(default_factory=list)
    members: list[str | None] = field(default_factory=list)
    byte_offsets: list[int | None] = field(default_factory=list)
    source_labels: list[str | None] = field(default_factory=list)
    rejects: dict[int, Reject] = field(default_factory=dict)
    parcel: Parcel = field(default_factory=lambda: Parcel(-1, ()))
    last: bool = False
    passed: PassedOver = field(default_factory=PassedOver)

    def __len__(self) -> int:
        return len(self.image_ids) + len(self.rejects)

    def take(self, item: Datum | Reject) -> None:
        """Add one to the columns; its bytes are for the parcel."""
        if isinstance(item, Reject):
            self.rejects[len(self)] = item
            return
        self.image_ids.append(content_id(item.data))
        self.uris.append(item.uri)
        self.object_uris.append(item.object_uri)
        self.members.append(item.member)
        self.byte_offsets.append(item.byte_offset)
        self.source_labels.append(item.source_label)


def read_chunks(shard: Shard, options: ReadOptions) -> Iterator[ReadChunk]:
    """Read a shard; the last chunk closes it."""
    passed = PassedOver()
    chunk, contents, size = ReadChunk(), list[bytes](), 0
    for item in read_shard(shard, options=options, passed=passed):
        chunk.take(item)
        if isinstance(item, Datum):
            contents.append(item.data)
            size += len(item.data)
        if len(chunk) >= CHUNK_IMAGES or size >= CHUNK_BYTES:
            chunk.parcel = Parcel.of(contents)
            yield chunk
            chunk, contents, size = ReadChunk(), [], 0
    chunk.parcel, chunk.last, chunk.passed = Parcel.of(contents), True, passed
    yield chunk


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of data of one shard: what was seen, and where in the parcel the fresh ones are, by offset and size."""

    shard: Shard
    data: list[Seen | Reject]
    fresh: list[tuple[int, int]]
    parcel: Parcel
    last: bool
    passed: PassedOver


class Recognition:
    """Tells of each datum of a shard whether its content is new, chunk by chunk in order."""

    def __init__(self, shard: Shard, known: KnownContents) -> None:
        """known: contents that have a vector, and those that the run met; gets those that it meets here."""
        self._shard = shard
        self._here = KnownContents()
        self._known = known

    def __call__(self, read: ReadChunk) -> Chunk:
        data: list[Seen | Reject] = []
        fresh: list[tuple[int, int]] = []
        columns = zip(
            read.uris,
            read.object_uris,
            read.members,
            read.byte_offsets,
            read.parcel.sizes,
            read.source_labels,
            read.image_ids,
            read.parcel.places,
            strict=True,
        )
        for uri, object_uri, member, offset, size, label, image_id, place in columns:
            while len(data) in read.rejects:
                data.append(read.rejects[len(data)])
            first = self._here.add(image_id)
            new = first and self._known.add(image_id)
            data.append(Seen(uri, object_uri, member, offset, size, label, image_id, first, new))
            if new:
                fresh.append(place)
        data += [reject for number, reject in read.rejects.items() if number >= len(data)]
        return Chunk(self._shard, data, fresh, read.parcel, read.last, read.passed)


def shard_chunks(shard: Shard, known: KnownContents, options: ReadOptions) -> Iterator[Chunk]:
    """Read a shard and recognise its contents."""
    recognise = Recognition(shard, known)
    return map(recognise, read_chunks(shard, options))
