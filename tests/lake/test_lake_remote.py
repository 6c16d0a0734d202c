from __future__ import annotations

import gzip
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.errors import MissingExtra, SourceError
from curator.lake import ReadOptions, encodings, open_source, plan_shards, read_datum, read_shard
from curator.types import Datum, SourceObject


def names(source):
    return [item.uri for item in source.list()]


def test_a_folder_in_memory_is_listed_sorted_with_size_and_time(memory):
    for name in ("b/y.jpg", "a.jpg", "b.jpg", "b/z/deep.tar", "n.txt", ".hidden/x.jpg"):
        memory.pipe(f"/lake/{name}", name.encode())
    source = open_source("memory://lake")
    found = list(source.list())
    assert [item.uri.removeprefix("memory:///lake/") for item in found] == ["a.jpg", "b.jpg", "b/y.jpg", "b/z/deep.tar"]
    assert [item.byte_size for item in found] == [5, 5, 7, 12]
    assert dict(source.ignored) == {".txt": 1, "(hidden)": 1}
    assert names(source) == [item.uri for item in found]
    assert (source.name, source.prefix) == ("memory:///lake", "memory:///lake/")
    assert all(source.covers(item.uri) for item in found) and not source.covers("memory:///lake2/a.jpg")


def test_a_change_shows_in_the_version(memory):
    memory.pipe("/lake/a.jpg", b"one")
    source = open_source("memory://lake")
    (before,) = source.list()
    memory.pipe("/lake/a.jpg", b"two")
    (after,) = source.list()
    assert before.version != after.version and before.uri == after.uri


def test_globs_match_remote_addresses(memory):
    for name in ("2025-12/a.jpg", "2026-01/b.jpg", "2026-02/x/c.jpg", "2026-02/d.txt"):
        memory.pipe(f"/lake/{name}", b"x")
    source = open_source("memory://lake/2026-*/**/*.jpg")
    assert names(source) == ["memory:///lake/2026-01/b.jpg", "memory:///lake/2026-02/x/c.jpg"]
    assert source.prefix == "memory:///lake/2026-"
    assert source.covers("memory:///lake/2026-09/e.jpg") and not source.covers("memory:///lake/2025-12/a.jpg")


def test_a_single_object_is_read_whatever_it_is_called(memory, read_all):
    memory.pipe("/lake/blob", b"image")
    (datum,) = read_all("memory://lake/blob")
    assert (datum.uri, datum.data) == ("memory:///lake/blob", b"image")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nosuch://lake/a.jpg", "Protocol not known: nosuch"),
        ("memory://missing", "no such bucket, folder or object"),
        ("memory://missing/*.jpg", "no such bucket, folder or object"),
        ("simplecache::memory://lake", "chained URLs are not read"),
        ("http://127.0.0.1:9/a.jpg", "no such bucket, folder or object"),
    ],
)
def test_what_cannot_be_reached_is_one_clear_error(memory, address, message):
    with pytest.raises(SourceError) as caught:
        open_source(address)
    assert caught.value.message.startswith(address) and message in caught.value.message
    assert "\n" not in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    ("address", "module", "extra"),
    [
        ("s3://b/x", "s3fs", "s3"),
        ("gs://b/x", "gcsfs", "gcs"),
        ("https://h/x.jpg", "fsspec.implementations.http", "http"),
    ],
)
def test_a_missing_package_names_the_extra_to_install(monkeypatch, address, module, extra):
    loaded = import_module("fsspec.registry")._registry
    for name in ("s3", "s3a", "gs", "gcs", "http", "https"):
        monkeypatch.delitem(loaded, name, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra) as caught:
        open_source(address)
    assert address in caught.value.message and f"ood-curator[{extra}]" in caught.value.hint


def test_a_url_that_its_store_makes_nothing_of_is_one_clear_error(memory, monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    def refuse(*args, **kwargs):
        raise TypeError("missing required argument 'host'")

    monkeypatch.setattr(MemoryFileSystem, "__init__", refuse)
    monkeypatch.setattr(MemoryFileSystem, "cachable", False)
    with pytest.raises(SourceError, match="host"):
        open_source("memory://lake")


def test_errors_of_foreign_families_become_rejects(memory, monkeypatch, read_all, rejects_of):
    memory.pipe("/lake/a.jpg", b"a")
    memory.pipe("/lake/b.tar", b"b")
    memory.pipe("/lake/c.parquet", b"c")

    class ClientError(Exception):
        """Derives from nothing that we know, as botocore's errors do."""

    def fail(*args, **kwargs):
        raise ClientError("the connection\nwas reset")

    monkeypatch.setattr(type(memory), "cat_file", fail)
    monkeypatch.setattr(type(memory), "_open", fail)
    data = read_all("memory://lake")
    assert [item.reason for item in data] == ["read_failed"] * 3
    assert {item.detail for item in data} == {"the connection"}


def test_errors_in_the_middle_of_a_remote_tar_keep_what_came_before(memory, monkeypatch, make_tar):
    content = make_tar(*((f"{n:03}.jpg", bytes([n]) * 200_000) for n in range(50))).read_bytes()
    memory.pipe("/lake/a.tar", content)
    real = memory._open

    def flaky(path, **options):
        file = real(path, **options)
        read = file.read

        def limited(count=-1):
            if file.tell() > 5_000_000:
                raise TimeoutError("timed out")
            return read(count)

        file.read = limited
        return file

    monkeypatch.setattr(memory, "_open", flaky)
    (shard,) = plan_shards(open_source("memory://lake/a.tar").list())
    monkeypatch.setattr("curator.lake.files.connect", lambda path: (memory, "/lake/a.tar"))
    *data, reject = read_shard(shard, options=ReadOptions())
    assert len(data) >= 20 and all(isinstance(item, Datum) for item in data)
    assert (reject.uri, reject.reason, reject.detail) == ("memory:///lake/a.tar", "read_failed", "timed out")


# A web server on loopback


def test_a_web_object_has_size_and_time_from_its_server(make_tree, serve, read_all):
    root = make_tree("a.jpg")
    os.utime(root / "a.jpg", (0, 0))
    url, log = serve(root)
    source = open_source(f"{url}/a.jpg")
    (item,) = source.list()
    assert (item.byte_size, item.version) == (5, "5-Thu, 01 Jan 1970 00:00:00 GMT")
    assert {method for method, _ in log} == {"HEAD"}  # asked for, not opened
    assert [datum.data for datum in read_all(item.uri)] == [b"a.jpg"]


def test_a_question_mark_in_a_web_address_is_a_query(make_tree, serve, read_all):
    url, _ = serve(make_tree("a.jpg"))
    (datum,) = read_all(f"{url}/a.jpg?size=large")
    assert (datum.uri, datum.data) == (f"{url}/a.jpg?size=large", b"a.jpg")


def test_an_index_page_is_a_folder_and_its_objects_are_asked_for_one_by_one(make_tree, serve, read_all):
    url, log = serve(make_tree("b.jpg", "a.jpg", "d/c.png", "n.txt"))
    source = open_source(f"{url}/")
    found = list(source.list())
    assert [item.uri for item in found] == [f"{url}/a.jpg", f"{url}/b.jpg", f"{url}/d/c.png"]
    assert [item.byte_size for item in found] == [5, 5, 7] and all("GMT" in item.version for item in found)
    assert not [path for method, path in log if method == "GET" and path.endswith((".jpg", ".png"))]
    assert [item.data for item in read_all(f"{url}/")] == [b"a.jpg", b"b.jpg", b"d/c.png"]
    assert [item.uri for item in open_source(f"{url}/**/*.png").list()] == [f"{url}/d/c.png"]


def test_a_forbidden_web_object_is_one_clear_error(make_tree, serve):
    url, _ = serve(make_tree("private/a.jpg"))
    with pytest.raises(SourceError, match="403"):
        open_source(f"{url}/private/a.jpg")


def test_web_objects_that_vanish_or_are_forbidden_are_rejects(make_tree, serve):
    url, _ = serve(make_tree("a.jpg"))
    objects = [SourceObject(f"{url}/{name}", f"{url}/{name}", "file", 5, "v") for name in ("gone.jpg", "private/x.jpg")]
    (shard,) = plan_shards(objects)
    found = list(read_shard(shard, options=ReadOptions()))
    assert [item.reason for item in found] == ["not_found", "permission_denied"]


@pytest.mark.parametrize("ranges", [False, True])
def test_containers_are_read_from_web_servers_with_and_without_ranges(make_tar, tmp_path, serve, read_all, ranges):
    random = b"\x89PNG\r\n\x1a\n" + os.urandom(9_000_000)  # more than one block
    make_tar(("a.jpg", random), ("b.jpg", b"second"), ("b.cls", b"cat"))
    table = pa.table({"image": pa.array([random, b"second"]), "label": ["dog", "cat"]})
    pq.write_table(table, tmp_path / "set.parquet", row_group_size=1, compression="none")
    url, _ = serve(tmp_path, ranges=ranges)
    for name, kind in (("set.tar", "tar"), ("set.parquet", "parquet")):
        data = read_all(f"{url}/{name}")
        assert [item.data for item in data] == [random, b"second"]
        assert data[1].source_label == "cat"
        for item in data:
            place = {"member": item.member, "byte_offset": item.byte_offset, "byte_size": len(item.data)}
            assert read_datum(f"{url}/{name}", kind, **place) == item.data


def test_a_web_tar_is_read_in_one_request(make_tar, tmp_path, serve, read_all):
    make_tar(*((f"{n}.jpg", b"x" * 10_000) for n in range(100)))
    url, log = serve(tmp_path)
    source = open_source(f"{url}/set.tar")
    (shard,) = plan_shards(source.list())
    log.clear()
    assert len(list(read_shard(shard, options=ReadOptions()))) == 100
    assert [method for method, _ in log].count("GET") == 1


@pytest.fixture
def serve_encoded():
    """A web server that gives contents only with `Content-Encoding: gzip`, ranges of them too; its URL."""
    contents = {}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            return

        def do_GET(self):
            data = gzip.compress(contents[self.path], mtime=0)
            first, _, last = (self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")
            start = int(first) if first else len(data) - int(last)
            part = data[start : int(last) + 1 if first and last else len(data)]
            self.send_response(206 if self.headers.get("Range") else 200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(part)

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", contents
    server.shutdown()
    server.server_close()


def test_encoded_web_objects_are_decoded_and_read_again(serve_encoded, make_tar, tmp_path, read_all):
    url, contents = serve_encoded
    picture = b"\x89PNG\r\n\x1a\n" + bytes(99)
    pq.write_table(pa.table({"image": [picture]}), tmp_path / "c.parquet")
    contents["/a.jpg"] = os.urandom(3000)  # which grows when it is encoded
    contents["/b.tar"] = make_tar(("m.jpg", b"m" * 600), ("n.jpg", b"n")).read_bytes()
    contents["/c.parquet"] = (tmp_path / "c.parquet").read_bytes()
    for name, kind, expected in (("a.jpg", "file", [contents["/a.jpg"]]), ("b.tar", "tar", [b"m" * 600, b"n"]),
                                 ("c.parquet", "parquet", [picture])):  # fmt: skip
        data = read_all(f"{url}/{name}")
        assert [item.data for item in data] == expected
        for item in data:
            place = {"member": item.member, "byte_offset": item.byte_offset, "byte_size": len(item.data)}
            assert read_datum(item.object_uri, kind, **place) == item.data


def test_an_encoded_web_object_that_expands_beyond_reason_is_one_reject(serve_encoded, read_all, monkeypatch):
    url, contents = serve_encoded
    contents["/a.jpg"] = contents["/c.parquet"] = bytes(2_000_000)
    monkeypatch.setattr(encodings, "EXPANSION_FREE", 100_000)
    monkeypatch.setattr(encodings, "MAX_EXPANSION", 2)
    (reject,) = read_all(f"{url}/a.jpg", max_object_bytes=1_000_000)
    assert (reject.reason, reject.byte_size) == ("too_large", 1_000_001)
    (reject,) = read_all(f"{url}/c.parquet")
    assert reject.reason == "expands_too_far"


def test_the_kind_of_a_web_object_is_taken_from_before_its_query(serve, make_tree, make_tar, read_all):
    make_tar(("m.jpg", b"m"))
    url, _ = serve(make_tree("page"))
    (datum,) = read_all(f"{url}/page?set=1.tar")
    assert datum.data == b"page"
    (datum,) = read_all(f"{url}/set.tar?size=big.jpg")
    assert (datum.uri, datum.data) == (f"{url}/set.tar?size=big.jpg#m.jpg", b"m")
