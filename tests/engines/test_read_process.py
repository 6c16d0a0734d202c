"""The reading process: what it reads is what a scan reads by itself, and its death costs nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from curator.decode import DecodeOptions
from curator.encoders import EncoderOptions, load_encoder
from curator.engines import decode_pool, local
from curator.engines.chunks import ReadChunk, read_chunks
from curator.engines.decode_pool import DecodePool
from curator.engines.known import KnownContents
from curator.engines.local import LocalEngine
from curator.engines.parcels import Parcel, PixelSlots, mapped, read_place
from curator.engines.read_messages import chunk_of, fault_content, fault_of
from curator.engines.read_process import ReadProcess
from curator.errors import CuratorError, MissingExtra
from curator.lake import ReadOptions, open_source, plan_shards
from curator.types import Shard, SourceObject

OPTIONS = ReadOptions()


def shards_of(lake: Path, *, files: int = 100) -> list[Shard]:
    objects = [item for item in open_source(str(lake)).list() if isinstance(item, SourceObject)]
    return list(plan_shards(objects, files_per_shard=files))


def plain(chunks: Iterator[ReadChunk]) -> list[object]:
    """What was read, whatever the cut into chunks."""
    found: list[object] = []
    for chunk in chunks:
        contents = [read_place(chunk.parcel.descriptor, *place) for place in chunk.parcel.places]
        columns = zip(chunk.image_ids, contents, chunk.members, chunk.byte_offsets, chunk.source_labels, strict=True)
        data = iter(columns)
        found += [chunk.rejects.get(place) or next(data) for place in range(len(chunk))]
        if chunk.last:
            found.append(dict(chunk.passed))
    return found


def test_it_reads_what_a_scan_reads_by_itself(lake):
    with ReadProcess(OPTIONS) as reader:
        for shard in shards_of(lake):
            assert plain(reader.chunks(shard)) == plain(read_chunks(shard, OPTIONS))


@pytest.mark.parametrize("objects", [1, 1000])
def test_a_scan_gives_the_same_whoever_reads(objects, lake, monkeypatch):
    started: list[object] = []

    class Counted(ReadProcess):
        def __init__(self, options: ReadOptions) -> None:
            super().__init__(options)
            started.append(self)

    monkeypatch.setattr(local, "ReadProcess", Counted)
    monkeypatch.setattr(local, "MANY_OBJECTS", objects)
    encoder = load_encoder(EncoderOptions("fake", batch_size=4))
    found = []
    for workers in (0, 1):
        with DecodePool(workers=workers, preprocess=encoder.preprocess, options=DecodeOptions(), slots=2) as pool:
            engine = LocalEngine(encoder, pool, read=OPTIONS)
            outcomes = list(engine.run(shards_of(lake, files=5), known=KnownContents()))
        found.append([(item.data, item.rejects, item.images, item.vectors.tolist(), item.passed) for item in outcomes])
    assert found[0] == found[1]
    assert len(started) == (objects == 1)


def test_rejects_and_names_of_any_bytes_come_through(tmp_path):
    name = os.fsdecode(b"\xff-\xe2\x80\xae.png")
    (tmp_path / name).write_bytes(b"one")
    (tmp_path / "gone.png").write_bytes(b"two")
    (shard,) = shards_of(tmp_path)
    (tmp_path / "gone.png").unlink()
    with ReadProcess(OPTIONS) as reader:
        found = plain(reader.chunks(shard))
    assert found == plain(read_chunks(shard, OPTIONS))
    assert [getattr(item, "reason", None) for item in found] == [None, "not_found", None]


def test_a_reader_that_is_killed_costs_nothing(tmp_path):
    for number in range(800):
        (tmp_path / f"{number:03}.png").write_bytes(b"%d" % number)
    (shard,) = shards_of(tmp_path, files=800)
    killed: set[int] = set()
    found: list[str] = []
    with ReadProcess(OPTIONS) as reader:
        for number, chunk in enumerate(reader.chunks(shard)):
            found += chunk.image_ids
            if number in (0, 6):  # it has read a few chunks ahead
                killed.add(reader.process_id)
                os.kill(reader.process_id, signal.SIGKILL)
        assert len(killed | {reader.process_id}) == 3
    assert found == [image_id for chunk in read_chunks(shard, OPTIONS) for image_id in chunk.image_ids]


def test_an_object_that_kills_its_reader_is_one_clear_error(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"one")
    (shard,) = shards_of(tmp_path)

    def dying(channel: socket.socket, module: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["false"])

    monkeypatch.setattr(decode_pool, "start_process", dying)
    ended = r"a.png: .* ended 3 times, the last time: status 1"
    with ReadProcess(OPTIONS) as reader, pytest.raises(CuratorError, match=ended):
        list(reader.chunks(shard))


def test_whoever_waits_for_a_reader_that_is_ended_gets_an_error():
    item = SourceObject("slow.tar", "slow.tar", "tar", 1, "v")
    with ReadProcess(OPTIONS) as reader:
        os.kill(reader.process_id, signal.SIGSTOP)  # as one that waits for a store
        threading.Timer(0.1, reader.kill).start()
        with pytest.raises(CuratorError, match="ended 1 times"):
            list(reader.chunks(Shard("s", "tar", (item,))))


def test_errors_keep_their_kind():
    fault = fault_of(json.loads(json.dumps(fault_content(MissingExtra("s3fs", extra="s3", needed_for="s3://x")))))
    assert isinstance(fault, MissingExtra) and "s3fs" in fault.message and "pip install" in fault.hint


ID = "0" * 32
ONE = {"begin": 0, "ids": ID, "sizes": [3], "rejects": [], "last": False, "passed": {}}
NONSENSE = {
    "no columns": {},
    "an id too many": {"ids": ID * 2},
    "an id of other letters": {"ids": "g" * 32},
    "more bytes than there are": {"sizes": [4]},
    "bytes before the start": {"sizes": [-1]},
    "a size that is none": {"sizes": ["3"]},
    "a reject of one word": {"rejects": [[0, ["uri"]]]},
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_a_chunk_that_is_none_is_refused(said):
    parcel = Parcel.of([b"one"])
    content = {**ONE, **said} if said else {}
    with pytest.raises((ValueError, TypeError, LookupError)):
        chunk_of(content, os.dup(parcel.descriptor))


def test_nobody_can_change_what_was_hashed():
    parcel = Parcel.of([b"one", b"two"])
    for change in (lambda: os.pwrite(parcel.descriptor, b"x", 0), lambda: os.ftruncate(parcel.descriptor, 0)):
        with pytest.raises(PermissionError):
            change()
    again = os.open(f"/proc/self/fd/{parcel.descriptor}", os.O_RDWR)
    with pytest.raises(PermissionError):
        os.pwrite(again, b"x", 0)
    os.close(again)
    assert [read_place(parcel.descriptor, *place) for place in parcel.places] == [b"one", b"two"]


def test_pixels_cannot_be_cut_short_under_their_reader():
    slots = PixelSlots(slots=1, images=1, size=2)
    with pytest.raises(PermissionError):
        os.ftruncate(slots.descriptor, 0)
    mapped(slots.descriptor, slots.shape, writable=True)[0, 0] = 7
    slots.close()
    assert slots.squares(0).min() == 7
