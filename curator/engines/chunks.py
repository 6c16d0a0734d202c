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

CHUNK_IMAGES = 64  # data a decode task: one or two batches of an encoder on a CPU at 224 px
CHUNK_BYTES = 8 << 20


@dataclass(slots=True)
class ReadChunk:
    """A run of data of one shard as they were read, one value a datum in each column; rejects stand between them.

    begin: how many data of the shard come before. members, byte_offsets, source_labels: as a Datum has them. rejects:
    by their place in the run. parcel: the bytes of all data. last: it closes the shard, and may be empty. passed: what
    was passed over in the shard; all of it comes with the last chunk.
    """

    begin: int = 0
    image_ids: list[str] = field(default_factory=list)
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
        self.members.append(item.member)
        self.byte_offsets.append(item.byte_offset)
        self.source_labels.append(item.source_label)


def read_chunks(shard: Shard, options: ReadOptions, *, after: int = 0) -> Iterator[ReadChunk]:
    """Read a shard; the last chunk closes it. after: so many data are passed over, as they were read before."""
    passed = PassedOver()
    chunk, contents, size = ReadChunk(after), list[bytes](), 0
    for number, item in enumerate(read_shard(shard, options=options, passed=passed)):
        if number < after:
            continue
        chunk.take(item)
        if isinstance(item, Datum):
            contents.append(item.data)
            size += len(item.data)
        if len(chunk) >= CHUNK_IMAGES or size >= CHUNK_BYTES:
            chunk.parcel = Parcel.of(contents)
            yield chunk
            chunk, contents, size = ReadChunk(number + 1), [], 0
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
        self._here: set[str] = set()
        self._known = known

    def __call__(self, read: ReadChunk) -> Chunk:
        firsts = [image_id for image_id in dict.fromkeys(read.image_ids) if image_id not in self._here]
        new = {image_id for image_id, is_new in zip(firsts, self._known.add_all(firsts), strict=True) if is_new}
        self._here.update(firsts)
        left = set(firsts)
        data: list[Seen | Reject] = []
        fresh: list[tuple[int, int]] = []
        columns = zip(
            read.image_ids, read.members, read.byte_offsets, read.source_labels, read.parcel.places, strict=True
        )
        for image_id, member, offset, label, place in columns:
            self._pass_rejects(read, data)
            is_first, is_fresh = image_id in left, False
            if is_first:
                left.remove(image_id)
                if is_fresh := image_id in new:
                    fresh.append(place)
            uri, object_uri = self._address(read.begin + len(data), member)
            data.append(Seen(uri, object_uri, member, offset, place[1], label, image_id, is_first, is_fresh))
        self._pass_rejects(read, data)
        return Chunk(self._shard, data, fresh, read.parcel, read.last, read.passed)

    def _pass_rejects(self, read: ReadChunk, data: list[Seen | Reject]) -> None:
        while len(data) in read.rejects:
            data.append(read.rejects[len(data)])

    def _address(self, number: int, member: str | None) -> tuple[str, str]:
        """Of a datum and of its object. Each loose file is one datum, in order."""
        objects = self._shard.objects
        if self._shard.kind == "file":
            return objects[number].uri, objects[number].uri
        return f"{objects[0].uri}#{member}", objects[0].uri


def shard_chunks(shard: Shard, known: KnownContents, options: ReadOptions) -> Iterator[Chunk]:
    """Read a shard and recognise its contents."""
    return map(Recognition(shard, known), read_chunks(shard, options))
