"""What reading from S3 asks for: pages, versions and ranges, counted by a proxy before a real server."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from curator.lake import ColumnNames, ReadOptions, open_source, plan_shards, read_datum, read_shard
from curator.lake.files import connect
from curator.lake.s3 import list_prefix
from curator.types import Datum, SourceObject


def put(client, **objects):
    for key, data in objects.items():
        client.put_object(Bucket="lake", Key=key, Body=data)


def put_many(keys, data=b"x"):
    for key in keys:  # a request each would take ten seconds
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object("lake", key, data)


def read_source(address, **options):
    shards = plan_shards(open_source(address).list())
    return [datum for shard in shards for datum in read_shard(shard, options=ReadOptions(**options))]


def test_a_large_prefix_is_listed_page_by_page_each_key_once_and_sorted(s3, store):
    keys = sorted(f"night/{number % 7}/{number:04}.jpg" for number in range(2100))
    put_many(keys)
    source = open_source("s3://lake/night")
    store.requests.clear()
    found = list(source.list())
    assert [item.uri for item in found] == [f"s3://lake/{key}" for key in keys]
    assert {item.byte_size for item in found} == {1} and all(item.version for item in found)
    assert [item.is_listing for item in store.requests] == [True] * 3

    filesystem, path = connect("s3://lake/night")
    store.requests.clear()
    pages = list_prefix(filesystem, path)
    next(pages)
    assert len(store.requests) == 1  # one page is held; the next is asked for when this one is used up
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets["lake"].keys.clear()  # faster than two thousand deletions


def test_only_what_changed_has_another_version_and_nothing_is_fetched_to_know_it(s3, store):
    put(s3, **{"a.jpg": b"one", "b.jpg": b"two", "c.jpg": b"six", "d.jpg": b"ten"})
    source = open_source("s3://lake")
    before = {item.uri[-5:]: item.version for item in source.list()}
    put(s3, **{"a.jpg": b"new"})
    s3.copy_object(Bucket="lake", Key="moved.jpg", CopySource="lake/c.jpg")
    s3.delete_object(Bucket="lake", Key="c.jpg")
    s3.delete_object(Bucket="lake", Key="d.jpg")
    store.requests.clear()
    after = {item.uri.rpartition("/")[2]: item.version for item in source.list()}
    assert list(after) == ["a.jpg", "b.jpg", "moved.jpg"]
    assert after["a.jpg"] != before["a.jpg"] and after["b.jpg"] == before["b.jpg"]
    assert after["moved.jpg"] == before["c.jpg"]  # its content is its version
    assert store.gets() == []


def test_an_object_written_in_parts_is_read_under_its_own_kind_of_etag(s3, store):
    parts = [os.urandom(5 << 20), b"the last part"]
    upload = s3.create_multipart_upload(Bucket="lake", Key="big.jpg")["UploadId"]
    place = {"Bucket": "lake", "Key": "big.jpg", "UploadId": upload}
    tags = [s3.upload_part(**place, PartNumber=n, Body=part)["ETag"] for n, part in enumerate(parts, 1)]
    numbered = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": numbered})
    (item,) = open_source("s3://lake").list()
    assert item.version.endswith("-2")  # the number of parts
    (datum,) = read_source("s3://lake")
    assert datum.data == b"".join(parts)
    assert len(store.gets("big.jpg")) == 1


def test_each_loose_file_costs_one_request(s3, store):
    put_many([f"{number}.jpg" for number in range(20)], b"image")
    shards = list(plan_shards(open_source("s3://lake").list()))
    store.requests.clear()
    assert len([datum for shard in shards for datum in read_shard(shard, options=ReadOptions())]) == 20
    assert [item.method for item in store.requests] == ["GET"] * 20


def test_one_that_is_larger_than_the_limit_is_not_fetched_whole(s3, store):
    put(s3, **{"big.jpg": os.urandom(3 << 20)})
    item = SourceObject("s3://lake/big.jpg", "s3://lake/big.jpg", "file", 0, "")  # of a size that is not known
    (shard,) = plan_shards([item])
    (found,) = read_shard(shard, options=ReadOptions(max_object_bytes=1000))
    assert (found.reason, found.byte_size) == ("too_large", 1001)


def test_a_member_of_a_tar_is_one_request_of_exactly_its_bytes(s3, store, make_tar):
    path = make_tar(*((f"{n}.jpg", os.urandom(200_000)) for n in range(20)))
    s3.upload_file(str(path), "lake", "set.tar")
    datum = read_source("s3://lake/set.tar")[7]
    store.requests.clear()
    place = {"member": "7.jpg", "byte_offset": datum.byte_offset, "byte_size": len(datum.data)}
    assert read_datum("s3://lake/set.tar", "tar", **place) == datum.data
    (request,) = store.requests
    assert (request.range, request.sent) == (f"bytes={datum.byte_offset}-{datum.byte_offset + 199_999}", 200_000)


def test_a_tar_is_read_once_and_in_large_pieces(s3, store, make_tar):
    path = make_tar(*((f"{n:02}.jpg", os.urandom(1_000_000)) for n in range(24)))
    s3.upload_file(str(path), "lake", "set.tar")
    (shard,) = plan_shards(open_source("s3://lake/set.tar").list())
    store.requests.clear()
    assert len(list(read_shard(shard, options=ReadOptions()))) == 24
    gets = store.gets()
    assert sum(item.sent for item in gets) == path.stat().st_size
    assert len(gets) <= 12 and len(store.requests) == len(gets) + 1  # one HEAD


def test_of_a_parquet_file_its_footer_and_one_row_group_are_read(s3, store, tmp_path):
    table = pa.table({"other": [os.urandom(100_000)] * 60, "image": [os.urandom(100_000) for _ in range(60)]})
    options = ReadOptions(columns=(ColumnNames("*", "image"),))
    pq.write_table(table, tmp_path / "set.parquet", row_group_size=10, compression="none", use_dictionary=False)
    size = (tmp_path / "set.parquet").stat().st_size
    s3.upload_file(str(tmp_path / "set.parquet"), "lake", "set.parquet")
    shards = list(plan_shards(open_source("s3://lake/set.parquet").list()))
    assert len(shards) == 6 and sum(item.sent for item in store.gets()) < 100_000
    store.requests.clear()
    data = list(read_shard(shards[2], options=options))
    assert [item.data for item in data] == table["image"].to_pylist()[20:30]
    sent = sum(item.sent for item in store.gets())
    assert 1_000_000 < sent < 1_200_000 < size / 10  # of 12 MB: the images of the row group and the footer
    assert not [item for item in store.gets() if item.range is None]


@pytest.mark.parametrize("name", ["a.jpg", "set.tar", "set.parquet"])
def test_what_was_replaced_since_its_listing_is_never_read_under_the_old_version(s3, store, make_tar, tmp_path, name):
    def write(content):
        make_tar(("a.jpg", content))
        pq.write_table(pa.table({"image": [b"\x89PNG\r\n\x1a\n" + content]}), tmp_path / "set.parquet")
        (tmp_path / "a.jpg").write_bytes(content)
        s3.upload_file(str(tmp_path / name), "lake", name)

    write(b"old" * 1000)
    source = open_source("s3://lake")
    (shard,) = plan_shards(source.list())
    write(b"new" * 1000)
    (reject,) = read_shard(shard, options=ReadOptions())
    assert (reject.stage, reject.reason) == ("read", "changed_while_read")
    (shard,) = plan_shards(source.list())
    (datum,) = read_shard(shard, options=ReadOptions())
    assert datum.data.endswith(b"new" * 1000)


def test_a_tar_that_is_replaced_while_it_is_read_gives_nothing_of_its_new_state(s3, store, make_tar):
    old, new = ([(f"{n:02}.jpg", bytes([mark + n]) * 100_000) for n in range(20)] for mark in (0, 100))
    s3.upload_file(str(make_tar(*old)), "lake", "set.tar")
    (shard,) = plan_shards(open_source("s3://lake/set.tar").list())
    replacement = make_tar(*new).read_bytes()

    def replace(request):
        if request.method == "GET" and len(store.gets()) == 4:
            s3.put_object(Bucket="lake", Key="set.tar", Body=replacement)

    store.before = replace
    *data, reject = read_shard(shard, options=ReadOptions())
    assert reject.reason == "changed_while_read"
    assert [item.data for item in data if isinstance(item, Datum)] == [content for _, content in old[: len(data)]]
    assert 0 < len(data) < 20
