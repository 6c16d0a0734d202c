from __future__ import annotations

import pytest

from curator.errors import SourceError
from curator.lake import ReadOptions, open_source, plan_shards, read_datum, read_shard


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
    with pytest.raises(SourceError, match="access denied") as caught:
        list(open_source("s3://private/lake", storage_options={"endpoint_url": url}).list())
    assert "credentials" in caught.value.hint


def test_storage_options_reach_the_store_when_listing_planning_and_reading(s3, s3_server, monkeypatch, read_all):
    put(s3, **{"a.jpg": b"1"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    options = {"endpoint_url": s3_server}
    found = list(open_source("s3://lake", storage_options=options).list())
    (shard,) = plan_shards(found, storage_options=options)
    (datum,) = read_shard(shard, options=ReadOptions(storage_options=options))
    assert datum.data == b"1"
    assert read_datum("s3://lake/a.jpg", "file", options=ReadOptions(storage_options=options)) == b"1"
