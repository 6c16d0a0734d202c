"""Real containers on disk, and loopback servers, for the tests of the lake."""

from __future__ import annotations

import functools
import io
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import fsspec
import pytest

from curator.lake import ReadOptions, open_source, plan_shards, read_shard
from curator.types import Reject, SourceObject
from tests.lake import fault_store


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Requests are repeated as ever, but at once."""
    monkeypatch.setattr("curator.lake.patience.pause", lambda attempt: None)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0)


@pytest.fixture
def make_tree(tmp_path):
    """Write files by relative path; contents default to the path itself."""

    def make(*names, root=tmp_path, **contents):
        for name, data in {**{name: name.encode() for name in names}, **contents}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        return root

    return make


@pytest.fixture
def make_tar(tmp_path):
    """Write a tar of (name, bytes) pairs, or of ready TarInfos, in their order."""

    def make(*members, name="set.tar", mode="w", format=tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / name, mode, format=format) as archive:
            for member in members:
                if isinstance(member, tarfile.TarInfo):
                    archive.addfile(member)
                else:
                    info = tarfile.TarInfo(member[0])
                    info.size = len(member[1])
                    archive.addfile(info, io.BytesIO(member[1]))
        return tmp_path / name

    return make


@pytest.fixture
def read_all():
    """Everything that reading a source gives, over all its shards."""

    def read(address, **options):
        found = ReadOptions(**options)
        objects = [item for item in open_source(str(address)).list() if isinstance(item, SourceObject)]
        shards = plan_shards(objects)
        return [datum for shard in shards for datum in read_shard(shard, options=found)]

    return read


@pytest.fixture
def rejects_of():
    """(reason, member) of the rejects among read data."""
    return lambda data: [(item.reason, item.member) for item in data if isinstance(item, Reject)]


@pytest.fixture
def memory():
    """The in-memory file system, emptied before and after."""
    filesystem = fsspec.filesystem("memory")

    def empty():
        filesystem.store.clear()
        filesystem.pseudo_dirs[:] = [""]

    empty()
    yield filesystem
    empty()


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder without ranges, as Python's server does, or with them; counts requests."""

    def __init__(self, *args, log, ranges, **kwargs):
        self.log, self.ranges = log, ranges
        super().__init__(*args, **kwargs)

    def log_message(self, *_):
        self.log.append((self.command, self.path))

    def send_head(self):
        if self.path.startswith("/private"):
            self.send_error(403)
            return None
        wanted = self.headers.get("Range")
        if not (self.ranges and wanted):
            return super().send_head()
        data = Path(self.translate_path(self.path)).read_bytes()
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(data) - int(last)
        part = data[start : int(last) + 1 if first and last else len(data)]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(data)}")
        self.end_headers()
        return io.BytesIO(part)


@pytest.fixture
def serve():
    """Serve a folder over HTTP on loopback: (its URL, the log of requests)."""
    servers = []

    def start(folder, *, ranges=False):
        log = []
        handler = functools.partial(_Handler, directory=str(folder), log=log, ranges=ranges)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", log

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """A boto3 client of an empty store with the bucket `lake`; the environment points everything else at it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    client = boto3.client("s3")
    client.create_bucket(Bucket="lake")
    yield client
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="lake"):
        keys = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
        if keys:
            client.delete_objects(Bucket="lake", Delete={"Objects": keys})
    client.delete_bucket(Bucket="lake")
    client.close()


@pytest.fixture
def store(s3, s3_server, monkeypatch):
    """A `FaultStore` before the store of `s3`; the environment points everything but the `s3` client at it."""
    from s3fs import S3FileSystem

    found, stop = fault_store.start(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    S3FileSystem.clear_instance_cache()  # clients read the environment when they are made
    yield found
    S3FileSystem.clear_instance_cache()
    stop()
