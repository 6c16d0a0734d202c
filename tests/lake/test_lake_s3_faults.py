"""Faults of a store on the wire, between a real client and a real server: what passes, and what stays a reject."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.errors import SourceError
from curator.lake import ReadOptions, open_source, plan_shards, read_datum, read_shard
from curator.lake.patience import ATTEMPTS
from curator.types import Datum

SLOW = pytest.mark.slow
PASSING = [pytest.param(429, marks=SLOW), 500, 503, pytest.param("reset", marks=SLOW), "cut",
           pytest.param("short", marks=SLOW)]  # fmt: skip
LARGE = b"\x89PNG\r\n\x1a\n" + os.urandom(299_992)


@pytest.fixture
def lake(s3, make_tar, tmp_path):
    """Files, a tar and a Parquet file in the bucket; gives what reading them must give, in order."""
    files = {f"{number}.jpg": bytes([number]) * 5000 for number in range(4)}
    for key, data in files.items():
        s3.put_object(Bucket="lake", Key=key, Body=data)
    s3.upload_file(str(make_tar(("a.jpg", LARGE), ("b.jpg", b"second"))), "lake", "set.tar")
    pq.write_table(pa.table({"image": [LARGE, b"second"]}), tmp_path / "set.parquet", compression="none")
    s3.upload_file(str(tmp_path / "set.parquet"), "lake", "set.parquet")
    return [*files.values(), LARGE, b"second", LARGE, b"second"]  # files, Parquet, tar


def read_lake():
    shards = plan_shards(open_source("s3://lake").list())
    return [datum for shard in shards for datum in read_shard(shard, options=ReadOptions())]


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_changes_nothing_of_what_is_read(store, lake, kind):
    faults = [store.fail(kind, part, times=3) for part in ("1.jpg", "set.tar", "set.parquet", "list-type=2")]
    if kind not in ("cut", "short"):  # answers to HEAD have no body
        faults += [store.fail(kind, part, method="HEAD", times=3) for part in ("lake", "set.tar", "set.parquet")]
    found = read_lake()
    assert [getattr(item, "data", item) for item in found] == lake
    assert [fault.met for fault in faults] == [3] * len(faults)


def test_a_store_that_throttles_every_other_request_is_read_whole(store, lake):
    store.before = lambda request: store.fail(503, times=1) if len(store.requests) % 2 else None
    assert [getattr(item, "data", item) for item in read_lake()] == lake


def test_an_answer_that_does_not_come_is_asked_for_again(store, lake, monkeypatch):
    monkeypatch.setattr("curator.lake.patience.SILENCE_SECONDS", 1.0)
    faults = [store.fail("slow", "2.jpg"), store.fail("slow", "list-type=2")]
    assert [getattr(item, "data", item) for item in read_lake()] == lake
    assert [fault.met for fault in faults] == [1, 1]


@pytest.mark.parametrize(
    ("kind", "detail"),
    [(503, "SlowDown by the test"), pytest.param(500, "InternalError by the test", marks=pytest.mark.slow),
     pytest.param(429, "TooManyRequests by the test", marks=pytest.mark.slow),
     ("reset", "Could not connect to the endpoint"), ("cut", "Response payload is not completed"),
     ("short", "2500 bytes")],
)  # fmt: skip
def test_a_fault_that_stays_is_one_reject_after_a_bounded_number_of_requests(store, lake, kind, detail):
    fault = store.fail(kind, "1.jpg", times=float("inf"))
    found = read_lake()
    assert [item.data for item in found if isinstance(item, Datum)] == [lake[0], *lake[2:]]
    (reject,) = (item for item in found if not isinstance(item, Datum))
    assert (reject.uri, reject.stage, reject.reason) == ("s3://lake/1.jpg", "read", "read_failed")
    assert detail in reject.detail and "testing" not in reject.detail
    most = 2 * ATTEMPTS if kind == "reset" else ATTEMPTS  # aiohttp itself goes on once from a connection that was kept
    assert ATTEMPTS <= fault.met <= most  # the layers of retries do not multiply


@pytest.mark.parametrize("kind", [503, "cut", "short"])
def test_containers_that_cannot_be_read_are_rejects_of_reading_and_not_damaged(store, lake, kind):
    for part in ("set.tar", "set.parquet"):
        store.fail(kind, part, times=float("inf"))
    rejects = [item for item in read_lake() if not isinstance(item, Datum)]
    assert {(item.uri, item.reason) for item in rejects} == {
        ("s3://lake/set.tar", "read_failed"),
        ("s3://lake/set.parquet", "read_failed"),
    }


def test_a_denied_object_is_a_reject_at_once(store, lake):
    fault = store.fail(403, "1.jpg", times=float("inf"))
    (reject,) = (item for item in read_lake() if not isinstance(item, Datum))
    assert (reject.reason, fault.met) == ("permission_denied", 1)


def test_the_number_of_attempts_is_the_users_to_choose(store, lake, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    faults = [store.fail(503, "1.jpg", times=float("inf")), store.fail("short", "2.jpg", times=float("inf"))]
    assert sum(not isinstance(item, Datum) for item in read_lake()) == 2
    assert [fault.met for fault in faults] == [2, 2]


@pytest.mark.parametrize("kind", [503, "reset", "cut"])
def test_a_listing_that_fails_for_good_is_one_clear_line(store, lake, kind):
    source = open_source("s3://lake")
    store.fail(kind, "list-type=2", times=float("inf"))
    with pytest.raises(SourceError) as caught:
        list(source.list())
    assert caught.value.message.startswith("s3://lake: cannot be listed: ")
    assert "\n" not in str(caught.value) and caught.value.hint


def test_a_member_is_read_again_through_faults_that_pass(store, lake):
    store.fail("cut", "set.tar", times=2)
    assert read_datum("s3://lake/set.tar", "tar", member="a.jpg", byte_offset=512, byte_size=300_000) == LARGE


# Web servers: aiohttp repeats nothing by itself


@pytest.fixture
def web(serve, make_tree, make_tar):
    """A `FaultStore` before a web server without ranges, and the folder that it serves."""
    from tests.lake import fault_store

    root = make_tree(**{"a.jpg": b"image" * 1000})
    make_tar(*((f"{n}.jpg", bytes([n]) * 400_000) for n in range(10)))
    url, _ = serve(root)
    found, stop = fault_store.start(url)
    yield found
    stop()


@pytest.mark.parametrize("kind", PASSING)
def test_web_objects_are_read_through_faults_that_pass(web, kind):
    faults = [web.fail(kind, "a.jpg", times=2)]
    if isinstance(kind, int):
        faults.append(web.fail(kind, "a.jpg", method="HEAD", times=2))
    (shard,) = plan_shards(open_source(f"{web.url}/a.jpg").list())
    (datum,) = read_shard(shard, options=ReadOptions())
    assert getattr(datum, "data", datum) == b"image" * 1000
    assert all(fault.met for fault in faults)


def test_a_web_tar_whose_connection_breaks_goes_on_where_it_was(web):
    fault = web.fail("cut", "set.tar", times=2)
    (shard,) = plan_shards(open_source(f"{web.url}/set.tar").list())
    data = list(read_shard(shard, options=ReadOptions()))
    assert [getattr(item, "data", item) for item in data] == [bytes([n]) * 400_000 for n in range(10)]
    assert fault.met == 2


def test_a_web_object_that_stays_broken_is_a_reject(web):
    (shard,) = plan_shards(open_source(f"{web.url}/a.jpg").list())
    fault = web.fail(503, "a.jpg", times=float("inf"))
    (reject,) = read_shard(shard, options=ReadOptions())
    assert (reject.reason, fault.met) == ("read_failed", ATTEMPTS)
