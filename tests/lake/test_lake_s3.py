from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3fs import S3FileSystem

from curator.errors import SourceError
from curator.lake import ReadOptions, encodings, open_source, plan_shards, read_datum, read_shard
from curator.types import Reject

PNG = b"\x89PNG\r\n\x1a\n"


def put(client, **objects):
    for key, data in objects.items():
        client.put_object(Bucket="lake", Key=key, Body=data)


def test_only_what_is_under_the_folder_is_listed(s3):
    put(s3, **{"night/a.jpg": b"1", "night2/b.jpg": b"2", "night/n.txt": b"3", "night/": b"", "night/.x/c.jpg": b"4"})
    source = open_source("s3://lake/night/")
    assert [item.uri for item in source.list()] == ["s3://lake/night/a.jpg"]
    assert dict(source.ignored) == {".txt": 1, "(hidden)": 1}
    assert (source.name, source.prefix) == ("s3://lake/night", "s3://lake/night/")


def test_a_replaced_object_of_the_same_size_shows_by_its_etag_at_once(s3):
    put(s3, **{"a.jpg": b"one", "b.jpg": b"two"})
    source = open_source("s3://lake")
    before = {item.uri: item.version for item in source.list()}
    put(s3, **{"a.jpg": b"new"})
    after = {item.uri: item.version for item in source.list()}
    assert before["s3://lake/a.jpg"] != after["s3://lake/a.jpg"]
    assert before["s3://lake/b.jpg"] == after["s3://lake/b.jpg"]


def test_the_same_content_written_again_is_no_change(s3):
    put(s3, **{"a.jpg": b"one"})
    source = open_source("s3://lake/a.jpg")
    (before,) = source.list()
    put(s3, **{"a.jpg": b"one"})
    (after,) = source.list()
    assert before == after


def test_objects_vanishing_and_coming_are_seen_by_the_next_listing_and_reading(s3, rejects_of):
    put(s3, **{"a.jpg": b"1", "b.jpg": b"2"})
    source = open_source("s3://lake")
    (shard,) = plan_shards(source.list())
    s3.delete_object(Bucket="lake", Key="a.jpg")
    put(s3, **{"c.jpg": b"3"})
    found = list(read_shard(shard, options=ReadOptions()))
    assert rejects_of(found) == [("not_found", None)] and found[1].data == b"2"
    assert [item.uri for item in source.list()] == ["s3://lake/b.jpg", "s3://lake/c.jpg"]


def test_tar_members_are_read_and_read_again_by_their_offset(s3, make_tar, read_all):
    path = make_tar(*((f"{n}.jpg", bytes([n]) * 3000) for n in range(20)), ("19.cls", b"cat"))
    s3.upload_file(str(path), "lake", "sets/a.tar")
    data = read_all("s3://lake/sets/a.tar")
    assert [item.data for item in data] == [bytes([n]) * 3000 for n in range(20)]
    assert data[0].uri == "s3://lake/sets/a.tar#0.jpg" and data[-1].source_label == "cat"
    place = {"member": "7.jpg", "byte_offset": data[7].byte_offset, "byte_size": 3000}
    assert read_datum("s3://lake/sets/a.tar", "tar", **place) == data[7].data


def test_globs_and_keys_with_odd_signs_are_read(s3, read_all):
    put(s3, **{"2026-01/a #1 50%.jpg": b"1", "2026-02/é::x.jpg": b"2", "2025/b.jpg": b"3"})
    data = read_all("s3://lake/2026-*/*.jpg")
    assert [(item.uri, item.data) for item in data] == [
        ("s3://lake/2026-01/a #1 50%.jpg", b"1"),
        ("s3://lake/2026-02/é::x.jpg", b"2"),
    ]


@pytest.mark.parametrize(
    "address", ["s3://no-such-bucket", "s3://no-such-bucket/a/*.jpg", "s3://lake/missing", "s3://lake/missing.jpg"]
)
def test_a_missing_bucket_or_folder_is_one_clear_error(s3, address):
    with pytest.raises(SourceError) as caught:
        open_source(address)
    assert caught.value.message.startswith(f"{address}: no such bucket, folder or object")
    assert "\n" not in str(caught.value)


def test_a_wildcard_for_the_bucket_is_one_clear_error(s3):
    with pytest.raises(SourceError, match="where the bucket is named"):
        open_source("s3://la*/a.jpg")


def test_a_bucket_that_vanishes_before_its_listing_is_an_error_and_not_an_empty_listing(s3):
    s3.create_bucket(Bucket="short-lived")
    s3.put_object(Bucket="short-lived", Key="a.jpg", Body=b"x")
    source = open_source("s3://short-lived")
    s3.delete_object(Bucket="short-lived", Key="a.jpg")
    s3.delete_bucket(Bucket="short-lived")
    with pytest.raises(SourceError, match="no such bucket"):
        list(source.list())


def test_denied_access_is_one_clear_error(s3, serve, tmp_path, monkeypatch):
    url, _ = serve(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setattr(S3FileSystem, "cachable", False)  # clients read the environment when they are made
    with pytest.raises(SourceError, match="access denied") as caught:
        list(open_source("s3://private/lake").list())
    assert "credentials" in caught.value.hint


def test_a_question_mark_is_a_sign_of_a_key_and_begins_the_query_of_a_web_address_only(s3, make_tar, read_all):
    content = make_tar(("m.jpg", b"m")).read_bytes()
    put(s3, **{"in/page?set=1.tar": content, "in/photo.tar?size=big.jpg": b"j", "in/a?versionId=1.jpg": b"v"})
    found = {item.uri: item.kind for item in open_source("s3://lake/in").list()}
    assert found == {
        "s3://lake/in/a?versionId=1.jpg": "file",
        "s3://lake/in/page?set=1.tar": "tar",
        "s3://lake/in/photo.tar?size=big.jpg": "file",
    }
    assert [(item.uri.removeprefix("s3://lake/in/"), item.data) for item in read_all("s3://lake/in")] == [
        ("a?versionId=1.jpg", b"v"),
        ("photo.tar?size=big.jpg", b"j"),
        ("page?set=1.tar#m.jpg", b"m"),
    ]


def test_a_key_that_bears_the_address_of_a_tars_member_is_a_reject_and_the_member_is_read(s3, make_tar):
    put(s3, **{"set.tar": make_tar(("m.jpg", b"m")).read_bytes(), "set.tar#m.jpg": b"k", "a#b.jpg": b"a"})
    source = open_source("s3://lake")
    found = list(source.list())
    assert [item.uri for item in found if not isinstance(item, Reject)] == ["s3://lake/a#b.jpg", "s3://lake/set.tar"]
    assert [(item.uri, item.stage, item.reason) for item in found if isinstance(item, Reject)] == [
        ("s3://lake/set.tar#m.jpg@ambiguous", "list", "ambiguous_name")
    ]
    data = [datum for shard in plan_shards(item for item in found if not isinstance(item, Reject))
            for datum in read_shard(shard, options=ReadOptions())]  # fmt: skip
    assert {item.uri: item.data for item in data} == {"s3://lake/a#b.jpg": b"a", "s3://lake/set.tar#m.jpg": b"m"}


def test_an_empty_part_of_a_key_is_a_part_and_only_the_prefix_that_was_asked_for_is_listed(s3, read_all):
    put(s3, **{"in/a.jpg": b"1", "in//b.jpg": b"2", "in//c/d.jpg": b"3", "in///e.jpg": b"4"})
    source = open_source("s3://lake/in//")
    found = [item.uri for item in source.list()]
    assert found == ["s3://lake/in///e.jpg", "s3://lake/in//b.jpg", "s3://lake/in//c/d.jpg"]
    assert source.prefix == "s3://lake/in//" and all(map(source.covers, found))
    assert not source.covers("s3://lake/in/a.jpg")
    assert [item.data for item in read_all("s3://lake/in//")] == [b"4", b"2", b"3"]
    assert [item.data for item in read_all("s3://lake/in///")] == [b"4"]
    assert [item.data for item in read_all("s3://lake/in")] == [b"4", b"2", b"3", b"1"]
    with pytest.raises(SourceError, match="no such bucket, folder or object"):
        open_source("s3://lake/other//")


@pytest.mark.parametrize("storage", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_a_reject_of_its_own_reason_whatever_its_kind(s3, make_tar, tmp_path, storage):
    pq.write_table(pa.table({"image": [PNG]}), tmp_path / "c.parquet")
    bodies = {"a.jpg": b"1", "b.tar": make_tar(("m.jpg", b"m")).read_bytes()}
    for key, body in {**bodies, "c.parquet": (tmp_path / "c.parquet").read_bytes()}.items():
        s3.put_object(Bucket="lake", Key=key, Body=body, StorageClass=storage)
    put(s3, **{"d.jpg": b"4"})
    shards = plan_shards(open_source("s3://lake").list())
    found = [datum for shard in shards for datum in read_shard(shard, options=ReadOptions())]
    assert {item.uri: getattr(item, "reason", "read") for item in found} == {
        "s3://lake/a.jpg": "archived",
        "s3://lake/b.tar": "archived",
        "s3://lake/c.parquet": "archived",
        "s3://lake/d.jpg": "read",
    }


def encoded(client, key, data):
    client.put_object(Bucket="lake", Key=key, Body=gzip.compress(data), ContentEncoding="gzip")


def test_objects_with_gzip_as_their_content_encoding_are_decoded_and_read_again(s3, make_tar, tmp_path, read_all):
    pq.write_table(pa.table({"image": [PNG + b"p", PNG + b"q"]}), tmp_path / "c.parquet", row_group_size=1)
    encoded(s3, "a.jpg", b"picture" * 100)
    encoded(s3, "b.tar", make_tar(("m.jpg", b"m" * 600), ("n.jpg", b"n")).read_bytes())
    encoded(s3, "c.parquet", (tmp_path / "c.parquet").read_bytes())
    data = read_all("s3://lake")
    assert [item.data for item in data] == [b"picture" * 100, b"m" * 600, b"n", PNG + b"p", PNG + b"q"]
    for item, kind in zip(data, ["file", "tar", "tar", "parquet", "parquet"], strict=True):
        assert item.byte_offset is None
        again = read_datum(item.object_uri, kind, member=item.member, byte_size=len(item.data))
        assert again == item.data


def test_a_content_encoding_that_is_not_true_does_no_harm(s3, read_all):
    packed = gzip.compress(b"kept")
    objects = {"a.jpg": (b"plain", "gzip"), "b.jpg": (packed, "aws-chunked"), "d.jpg": (b"", "gzip")}
    objects["c.jpg"] = (b"\x1f\x8bdamaged", "aws-chunked, gzip")
    for key, (body, encoding) in objects.items():
        s3.put_object(Bucket="lake", Key=key, Body=body, ContentEncoding=encoding)
    assert [item.data for item in read_all("s3://lake")] == [b"plain", packed, b"\x1f\x8bdamaged", b""]


def test_an_encoded_object_that_expands_beyond_reason_is_one_reject(s3, read_all, rejects_of, monkeypatch):
    encoded(s3, "a.jpg", bytes(2_000_000))
    encoded(s3, "c.parquet", bytes(2_000_000))
    monkeypatch.setattr(encodings, "EXPANSION_FREE", 100_000)
    monkeypatch.setattr(encodings, "MAX_EXPANSION", 2)
    found = read_all("s3://lake", max_object_bytes=1_000_000)
    assert [(item.reason, item.byte_size) for item in found[:1]] == [("too_large", 1_000_001)]
    assert rejects_of(found[1:]) == [("expands_too_far", None)]
