from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import UsageError
from curator.lake import ReadOptions, plan_shards, read_shard
from curator.lake.parquet import reading
from curator.types import SourceObject


def objects_of(kinds):
    suffix = {"file": "jpg", "tar": "tar", "parquet": "parquet"}
    return [
        SourceObject(f"/d/{number:04}.{suffix[kind]}", f"/d/{number:04}.{suffix[kind]}", kind, 1, f"v{number}")
        for number, kind in enumerate(kinds)
    ]


COUNT_ROW_GROUPS = reading.count_row_groups
KINDS = st.lists(st.sampled_from(["file", "file", "file", "tar", "parquet"]), max_size=40)


@pytest.fixture(scope="module", autouse=True)
def three_row_groups():
    """Parquet files of three row groups, without the files: planning needs nothing else of them."""
    patch = pytest.MonkeyPatch()
    patch.setattr(reading, "count_row_groups", lambda path: 3)
    yield patch
    patch.undo()


@given(KINDS, st.integers(1, 7))
def test_every_object_is_completed_once_and_row_groups_are_all_there(kinds, size):
    objects = objects_of(kinds)
    shards = list(plan_shards(objects, files_per_shard=size))
    assert sorted(item.uri for shard in shards for item in shard.completes) == [item.uri for item in objects]
    groups = [(shard.objects[0].uri, shard.row_group) for shard in shards if shard.kind == "parquet"]
    assert len(groups) == len(set(groups)) == 3 * kinds.count("parquet")
    assert all(len(shard.objects) <= size for shard in shards)
    assert len({shard.shard_id for shard in shards}) == len(shards)


@given(KINDS, st.integers(1, 7), st.data())
def test_planning_what_is_left_after_any_number_of_shards_gives_the_remaining_shards(kinds, size, data):
    objects = objects_of(kinds)
    shards = list(plan_shards(objects, files_per_shard=size))
    done = data.draw(st.integers(0, len(shards)))
    finished = {shard.shard_id for shard in shards[:done]}
    completed = {item.uri for shard in shards[:done] for item in shard.completes}
    left = [item for item in objects if item.uri not in completed]
    again = [shard for shard in plan_shards(left, files_per_shard=size) if shard.shard_id not in finished]
    assert again == shards[done:]


@given(KINDS, st.integers(1, 7))
def test_tars_and_parquet_files_in_between_do_not_shift_the_slices_of_files(kinds, size):
    objects = objects_of(kinds)
    files = [item for item in objects if item.kind == "file"]
    slices = [shard for shard in plan_shards(objects, files_per_shard=size) if shard.kind == "file"]
    assert slices == list(plan_shards(files, files_per_shard=size))


def test_a_shard_id_changes_with_version_uri_and_row_group():
    (item,) = objects_of(["file"])
    ids = {
        shard.shard_id
        for changed in (
            item,
            SourceObject(item.uri, item.path, "file", 1, "v2"),
            SourceObject("/e", "/e", "file", 1, "v0"),
        )
        for shard in plan_shards([changed])
    } | {shard.shard_id for shard in plan_shards(objects_of(["parquet"]))}
    assert len(ids) == 6 and all(len(entry) == 32 and int(entry, 16) >= 0 for entry in ids)


def test_planning_streams(three_row_groups):
    endless = (SourceObject(f"/{n}.jpg", f"/{n}.jpg", "file", 1, "v") for n in iter(int, 1))
    shard = next(iter(plan_shards(endless, files_per_shard=3)))
    assert len(shard.objects) == 3


def test_an_empty_slice_is_a_usage_error():
    with pytest.raises(UsageError, match="files_per_shard is 0"):
        list(plan_shards([], files_per_shard=0))


@pytest.mark.parametrize(
    ("name", "reasons"), [("broken", ["unreadable_parquet"]), ("missing", ["not_found"]), ("empty", [])]
)
def test_a_parquet_file_without_row_groups_is_one_shard_that_says_why(tmp_path, three_row_groups, name, reasons):
    path = tmp_path / f"{name}.parquet"
    if name == "broken":
        path.write_bytes(b"PAR1 this is no footer PAR1")
    if name == "empty":
        pq.ParquetWriter(path, pa.schema([("image", pa.binary())])).close()
    item = SourceObject(str(path), str(path), "parquet", 27, "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "count_row_groups", COUNT_ROW_GROUPS)
        (shard,) = plan_shards([item])
    assert (shard.row_group, shard.completes) == (None, (item,))
    found = list(read_shard(shard, options=ReadOptions()))
    assert [(entry.uri, entry.stage, entry.reason) for entry in found] == [(str(path), "read", r) for r in reasons]
