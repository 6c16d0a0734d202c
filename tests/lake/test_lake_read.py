from __future__ import annotations

import threading

import pytest

from curator.errors import SourceError, UsageError
from curator.lake import ReadOptions, open_source, plan_shards, read_datum, read_shard
from curator.lake import read as read_module
from curator.types import Datum, SourceObject
from tests.patience import BRAKE_SECONDS


def test_files_are_read_in_order_whatever_the_number_of_threads(make_tree, read_all):
    root = make_tree(*(f"{number:03}.jpg" for number in range(50)))
    expected = [(f"{root}/{number:03}.jpg", f"{number:03}.jpg".encode()) for number in range(50)]
    for threads in (1, 3, 16):
        assert [(item.uri, item.data) for item in read_all(root, read_threads=threads)] == expected


def test_an_empty_file_is_a_datum(make_tree, read_all):
    (datum,) = read_all(make_tree(**{"a.jpg": b""}))
    assert isinstance(datum, Datum) and datum.data == b""


def test_what_cannot_be_read_is_a_reject_and_the_rest_goes_on(make_tree, monkeypatch, rejects_of):
    root = make_tree("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")
    (shard,) = plan_shards(open_source(str(root)).list())
    (root / "a.jpg").unlink()
    (root / "b.jpg").unlink()
    (root / "b.jpg").mkdir()
    real = read_module.read_bytes

    def read(path, *args, **kwargs):
        if path.endswith("c.jpg"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(read_module, "read_bytes", read)
    found = list(read_shard(shard, options=ReadOptions()))
    assert [reason for reason, _ in rejects_of(found)] == ["not_found", "read_failed", "permission_denied"]
    assert [item.data for item in found[3:]] == [b"d.jpg", b"e.jpg"]
    assert all(item.stage == "read" and item.object_uri == item.uri for item in found[:3])


def test_files_over_the_limit_are_rejected_and_never_opened(make_tree, read_all, monkeypatch):
    root = make_tree(**{"big.jpg": b"x" * 101, "fits.jpg": b"x" * 100})
    opened = []
    real = read_module.read_bytes
    monkeypatch.setattr(read_module, "read_bytes", lambda path, *a, **k: opened.append(path) or real(path, *a, **k))
    big, fits = read_all(root, max_object_bytes=100)
    assert (big.reason, big.byte_size) == ("too_large", 101)
    assert isinstance(fits, Datum) and opened == [f"{root}/fits.jpg"]


def test_a_file_that_grew_past_the_limit_since_its_listing_is_rejected(make_tree):
    root = make_tree(**{"a.jpg": b"x"})
    (shard,) = plan_shards(open_source(str(root)).list())
    (root / "a.jpg").write_bytes(b"x" * 1000)
    (found,) = read_shard(shard, options=ReadOptions(max_object_bytes=100))
    assert found.reason == "too_large"


def test_reading_ahead_is_bounded_in_number_and_in_bytes(monkeypatch):
    started = []
    monkeypatch.setattr(read_module, "_read_file", lambda item, options: started.append(item.uri) or item.uri)
    monkeypatch.setattr(read_module, "MAX_WAITING_BYTES", 100)

    def first_of(size):
        started.clear()
        objects = [SourceObject(str(n), str(n), "file", size, "v") for n in range(100)]
        data = read_module._read_files(objects, ReadOptions(read_threads=4))
        assert next(data) == "0"
        data.close()
        return len(started)

    assert first_of(1) <= 9 * read_module.LOCAL_RUN  # twice the threads, and the run in hand
    assert first_of(60) <= 2  # two of them do not fit the bound


def test_closing_the_reader_early_leaves_no_thread_behind(make_tree):
    root = make_tree(*(f"{number:03}.jpg" for number in range(100)))
    (shard,) = plan_shards(open_source(str(root)).list())
    data = read_shard(shard, options=ReadOptions())
    next(data)
    data.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("curator-read")]


def test_slow_stores_are_read_in_parallel(monkeypatch):
    together = threading.Barrier(8)

    def slow(item, options):
        together.wait(BRAKE_SECONDS)  # goes on only once eight reads are under way at once
        return item.uri

    monkeypatch.setattr(read_module, "_read_file", slow)
    objects = [SourceObject(f"s3://lake/{n}", f"s3://lake/{n}", "file", 1, "v") for n in range(40)]
    found = list(read_module._read_files(objects, ReadOptions(read_threads=8)))
    assert found == [f"s3://lake/{n}" for n in range(40)]


def test_limits_below_one_are_usage_errors():
    for options in ({"read_threads": 0}, {"max_object_bytes": 0}):
        with pytest.raises(UsageError):
            ReadOptions(**options)


def test_a_datum_that_is_no_longer_there_is_one_clear_error(tmp_path, make_tar):
    tar = make_tar(("a.jpg", b"1234"))
    for path, kind, place in [
        (str(tmp_path / "gone.jpg"), "file", {}),
        (str(tar), "tar", {"member": "b.jpg"}),
        (str(tar), "tar", {"member": "a.jpg", "byte_offset": 10**6, "byte_size": 4}),
        (str(tmp_path / "gone.tar"), "tar", {"member": "a.jpg"}),
        (str(tar), "parquet", {"member": "0"}),
        (str(tmp_path / "gone.parquet"), "parquet", {"member": "0"}),
    ]:
        with pytest.raises(SourceError) as caught:
            read_datum(path, kind, **place)
        assert path in caught.value.message and "curator scan" in caught.value.hint


def test_all_loose_development_images_are_read(shared_data, read_all):
    data = read_all(shared_data / "objects-folder") + read_all(shared_data / "hostile")
    files = [
        path for name in ("objects-folder", "hostile") for path in (shared_data / name).rglob("*") if path.is_file()
    ]
    assert len(data) + sum(path.suffix == "" for path in files) == len(files)
    assert all(isinstance(item, Datum) for item in data)
