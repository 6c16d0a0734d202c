"""What every kind of source promises, whatever it is made of and wherever it lies."""

from __future__ import annotations

import functools
import io
import sys
import tarfile
import threading
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.lake import ReadOptions, Source, open_source, plan_shards, read_datum, read_shard
from curator.lake.files import connect
from curator.lake.sources.opening import SOURCES
from curator.types import Datum, SourceObject
from curator.urls import scheme_of

IMAGES = {f"{number:02}.jpg": b"GIF89a" + bytes([number]) * number for number in range(12)}
KINDS = {  # of each registered source
    "file": ["folder", "file", "glob", "tar", "tar.gz", "parquet"],
    "local": ["url"],
    "fsspec": ["memory", "http", "s3"],
}
watched: list[str] = []  # what was opened while a test listens
listening = threading.Event()


@functools.cache
def watch() -> None:
    """Hear what is opened, from the first test on that asks: a hook stays, and slows whatever comes after it."""

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and listening.is_set():
            watched.append(str(arguments[0]))

    sys.addaudithook(hear)


@dataclass(frozen=True)
class Example:
    address: str
    contents: tuple[bytes, ...]  # in the order of reading
    another: str  # an address that the source does not cover


def write_folder(root: Path) -> Path:
    for name, data in IMAGES.items():
        path = root / ("early" if name < "05" else "late") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "notes.txt").write_text("no image")
    return root


def write_tar(path: Path, mode: str) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in IMAGES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_parquet(path: Path) -> Path:
    pq.write_table(pa.table({"image": list(IMAGES.values())}), path, row_group_size=5)
    return path


@pytest.fixture
def web(tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def bucket(monkeypatch, s3_server):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    client = boto3.client("s3")
    client.create_bucket(Bucket="contract")
    yield client
    client.delete_objects(Bucket="contract", Delete={"Objects": [{"Key": f"lake/{name}"} for name in IMAGES]})
    client.delete_bucket(Bucket="contract")
    client.close()


@pytest.fixture(params=[example for examples in KINDS.values() for example in examples])
def example(request, tmp_path):
    everything = tuple(IMAGES.values())
    if request.param in ("folder", "file", "glob", "url"):
        root = write_folder(tmp_path / "lake")
        if request.param == "url":
            return Example(f"local://{root}", everything, f"{root}-2/early/00.jpg")
        if request.param == "folder":
            return Example(str(root), everything, f"{root}-2/early/00.jpg")
        if request.param == "file":
            return Example(f"{root}/early/03.jpg", (IMAGES["03.jpg"],), f"{root}/early/04.jpg")
        return Example(f"{root}/*/0[0-6].jpg", everything[:7], f"{root}/late/07.jpg")
    if request.param in ("tar", "tar.gz"):
        path = write_tar(tmp_path / f"set.{request.param}", "w" if request.param == "tar" else "w:gz")
        return Example(str(path), everything, str(tmp_path / "other.tar"))
    if request.param == "parquet":
        path = write_parquet(tmp_path / "set.parquet")
        return Example(str(path), everything, str(tmp_path / "other.parquet"))
    if request.param == "http":
        write_folder(tmp_path / "lake")
        web = request.getfixturevalue("web")
        return Example(f"{web}/lake/", everything, f"{web}/other/00.jpg")
    return _on_store(request, everything)


def _on_store(request, everything):
    if request.param == "memory":
        filesystem = fsspec.filesystem("memory")
        filesystem.pipe({f"/contract/lake/{name}": data for name, data in IMAGES.items()})
        request.addfinalizer(lambda: filesystem.rm("/contract", recursive=True))
        return Example("memory://contract/lake", everything, "memory:///contract/other/00.jpg")
    client = request.getfixturevalue("bucket")
    for name, data in IMAGES.items():
        client.put_object(Bucket="contract", Key=f"lake/{name}", Body=data)
    return Example("s3://contract/lake", everything, "s3://contract/lake-2/00.jpg")


@pytest.fixture
def no_opening(monkeypatch):
    """Fails when anything of a source is opened: on its file system, or by the interpreter."""

    def forbid(address):
        watched.clear()
        if scheme_of(address) is None:
            watch()
            listening.set()
            return
        filesystem, _ = connect(address)

        def fail(*_, **__):
            raise AssertionError("a listing opened an object")

        for name in ("open", "_open", "cat_file", "_cat_file", "cat", "read_bytes"):
            # Those that are not asynchronous have an instance for each thread.
            target = filesystem if filesystem.async_impl else type(filesystem)
            monkeypatch.setattr(target, name, fail, raising=False)
        monkeypatch.setattr("curator.lake.s3.S3Object.read", fail)

    yield forbid
    listening.clear()


def is_object(path):
    return path.endswith((".jpg", ".tar", ".gz", ".parquet"))


def read_everything(objects):
    return [
        (shard, datum) for shard in plan_shards(objects, files_per_shard=5)
        for datum in read_shard(shard, options=ReadOptions())
    ]  # fmt: skip


def test_every_registered_source_is_under_contract():
    assert set(KINDS) == set(SOURCES.names())


def test_a_source_has_all_that_the_protocol_names(example):
    source = open_source(example.address)
    assert [name for name in dir(Source) if not name.startswith("_") and not hasattr(source, name)] == []


def test_listing_twice_gives_the_same_in_the_order_of_addresses(example):
    source = open_source(example.address)
    found = list(source.list())
    assert found and all(isinstance(item, SourceObject) for item in found)
    assert found == list(source.list()) == list(open_source(example.address).list())
    assert [item.uri for item in found] == sorted({item.uri for item in found})


def test_listing_opens_nothing_and_reading_does(example, no_opening):
    source = open_source(example.address)
    shards = list(plan_shards(source.list()))
    no_opening(shards[0].objects[0].path)
    assert list(source.list())
    assert [path for path in watched if is_object(path)] == []
    data = [datum for shard in shards for datum in read_shard(shard, options=ReadOptions())]
    seen = [path for path in watched if is_object(path)]
    assert seen or {item.detail for item in data} == {"a listing opened an object"}  # the watch works


def test_a_source_covers_what_it_lists_and_nothing_else(example):
    source = open_source(example.address)
    for item in source.list():
        assert source.covers(item.uri)
        assert item.uri.startswith(source.prefix)
    assert not source.covers(example.another)


def test_every_listed_object_says_its_size_and_version(example):
    for item in open_source(example.address).list():
        assert item.byte_size > 0 and item.version not in ("", "-", str(item.byte_size))
        item.uri.encode()


def test_everything_listed_is_read_in_the_same_order_each_time(example):
    objects = list(open_source(example.address).list())
    data = [datum for _, datum in read_everything(objects)]
    assert tuple(datum.data for datum in data) == example.contents
    assert data == [datum for _, datum in read_everything(objects)]
    assert len({datum.uri for datum in data}) == len(data)
    assert {datum.object_uri for datum in data} == {item.uri for item in objects}


def test_what_was_read_is_read_again_by_its_location(example):
    objects = list(open_source(example.address).list())
    paths = {item.uri: item.path for item in objects}
    for shard, datum in read_everything(objects):
        assert isinstance(datum, Datum)
        path = paths[datum.object_uri]
        size = len(datum.data)
        assert read_datum(path, shard.kind, member=datum.member) == datum.data
        exact = read_datum(path, shard.kind, member=datum.member, byte_offset=datum.byte_offset, byte_size=size)
        assert exact == datum.data


def test_planning_what_is_left_gives_the_remaining_shards(example):
    objects = list(open_source(example.address).list())
    shards = list(plan_shards(objects, files_per_shard=5))
    for done in range(len(shards) + 1):
        finished = {shard.shard_id for shard in shards[:done]}
        completed = {item.uri for shard in shards[:done] for item in shard.completes}
        left = plan_shards([item for item in objects if item.uri not in completed], files_per_shard=5)
        assert [shard for shard in left if shard.shard_id not in finished] == shards[done:]
