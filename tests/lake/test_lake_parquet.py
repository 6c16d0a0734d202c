from __future__ import annotations

import json
import struct
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curator.lake import ColumnNames, ReadOptions, encodings, open_source, plan_shards, read_datum, read_shard
from curator.lake.parquet import pages as parquet_pages
from curator.types import Datum, Reject, SourceObject

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
DECLARED = {"info": {"features": {"image": {"_type": "Image"}}}}  # so that its bytes need not look like images
CLASSES = {"info": {"features": {"label": {"names": ["cat", "d\ud800g"], "_type": "ClassLabel"}}}}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def write(tmp_path):
    def write(columns, name="a.parquet", metadata=DECLARED, **options):
        table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(metadata)})
        pq.write_table(table, tmp_path / name, **options)
        return tmp_path / name

    return write


def images(*data):
    return pa.array([None if entry is None else {"bytes": entry, "path": "p"} for entry in data], IMAGE)


def test_the_hugging_face_layout_is_read_with_row_numbers_and_labels(write, read_all):
    path = write({"image": images(b"a", b"b", b"c"), "label": ["x", None, "z"]}, row_group_size=2)
    assert [(item.uri, item.member, item.data, item.source_label) for item in read_all(path)] == [
        (f"{path}#0", "0", b"a", "x"),
        (f"{path}#1", "1", b"b", None),
        (f"{path}#2", "2", b"c", "z"),
    ]


def test_each_row_group_is_a_shard_and_the_last_completes_the_file(write):
    path = write({"image": images(*[b"x"] * 5)}, row_group_size=2)
    objects = list(open_source(str(path)).list())
    shards = list(plan_shards(objects))
    assert [shard.row_group for shard in shards] == [0, 1, 2]
    assert [shard.completes for shard in shards] == [(), (), tuple(objects)]
    rows = [[item.member for item in read_shard(shard, options=ReadOptions())] for shard in shards]
    assert rows == [["0", "1"], ["2", "3"], ["4"]]


def test_a_file_that_lost_a_row_group_since_it_was_listed_is_a_reject(write):
    path = write({"image": images(*[b"x"] * 5)}, row_group_size=2)
    *_, last = plan_shards(list(open_source(str(path)).list()))
    write({"image": images(b"y")})
    (reject,) = read_shard(last, options=ReadOptions())
    assert (reject.reason, reject.uri) == ("changed_while_read", f"{path}#row-group-2")
    unversioned = replace(last, objects=(replace(last.objects[0], version=""),))
    (reject,) = read_shard(unversioned, options=ReadOptions())
    assert (reject.reason, reject.detail) == ("unreadable_parquet", "it has 1 row groups")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_the_only_binary_column_is_the_image(write, read_all, kind):
    path = write({"n": [1, 2], "payload": pa.array([PNG + b"a", b"b"], kind)})
    assert [item.data for item in read_all(path)] == [PNG + b"a", b"b"]


def test_of_several_binary_columns_the_best_named_is_the_image(write, read_all):
    path = write({name: [PNG + name.encode()] for name in ("thumb", "data", "jpg", "mask")})
    assert [item.data for item in read_all(path)] == [PNG + b"jpg"]


def test_a_struct_with_bytes_goes_before_binary_columns(write, read_all):
    path = write({"jpg": [PNG + b"j"], "picture": images(PNG + b"p")})
    assert [item.data for item in read_all(path)] == [PNG + b"p"]


@pytest.mark.parametrize(
    "columns", [{"a": [PNG], "b": [PNG]}, {"text": ["x"]}, {"images": pa.array([[1]], pa.list_(pa.uint8()))}]
)
def test_no_image_column_or_an_unclear_one_is_one_reject_that_names_the_option(write, read_all, columns):
    path = write(columns)
    (reject,) = read_all(path)
    assert (reject.reason, reject.object_uri) == ("no_image_column", str(path))
    assert "`image_column`" in reject.detail and all(name in reject.detail for name in columns)


def test_container_rejects_of_different_row_groups_have_different_uris(write, read_all, monkeypatch):
    monkeypatch.setattr(parquet_pages, "MAX_PAGE_BYTES", 1)
    monkeypatch.setattr(parquet_pages, "MAX_PAGE_EXPANSION", 0)
    rejects = read_all(write({"image": images(b"x" * 99, b"y" * 99)}, row_group_size=1))
    assert len(rejects) == len({item.uri for item in rejects}) == 2


def test_that_a_file_has_no_images_is_said_once_however_many_row_groups_it_has(write, read_all):
    path = write({"text": ["x"] * 5, "sum": [b"12345678"] * 5}, row_group_size=1)
    assert [(item.uri, item.reason) for item in read_all(path)] == [(str(path), "no_image_column")]


def test_the_columns_can_be_named(write, read_all):
    path = write({"a": [b"1"], "b": [b"2"], "label": ["wrong"], "kind": ["right"]})
    (datum,) = read_all(path, columns=(ColumnNames("*", "b", "kind"),))
    assert (datum.data, datum.source_label) == (b"2", "right")
    (datum,) = read_all(path, columns=(ColumnNames("*", "a", "not here"),))
    assert (datum.data, datum.source_label) == (b"1", "wrong")
    (reject,) = read_all(path, columns=(ColumnNames("*", "not here"),))
    assert reject.reason == "no_image_column"


def test_class_labels_are_named_through_the_schema(write, read_all):
    path = write({"image": images(*[PNG] * 4), "label": [1, 0, -1, 7]}, metadata=CLASSES)
    assert [item.source_label for item in read_all(path)] == ["d\\ud800g", "cat", None, "7"]


def test_class_labels_with_gaps_come_as_floats_and_what_is_no_number_is_no_label(write, read_all):
    labels = pa.array([1.0, None, float("nan"), float("inf"), 0.5, -1.0])
    path = write({"image": images(*[PNG] * 6), "label": labels}, metadata=CLASSES)
    assert [item.source_label for item in read_all(path)] == ["d\\ud800g", None, None, None, "0.5", None]
    path = write({"image": images(*[PNG] * 6), "label": labels})
    assert [item.source_label for item in read_all(path)] == ["1.0", None, None, None, "0.5", "-1.0"]


@pytest.mark.parametrize("metadata", [{}, [], {"info": None}, {"info": {"features": {"label": {"names": 5}}}}])
def test_metadata_that_are_not_as_they_should_be_do_no_harm(write, read_all, metadata):
    path = write({"image": images(PNG), "label": [3]}, metadata=metadata)
    assert [item.source_label for item in read_all(path)] == ["3"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array(["a", "a"]).dictionary_encode(), ["a", "a"]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array([b"a", b"\xff"]), ["a", "\\xff"]),
        (pa.array([True, False]), ["True", "False"]),
        (pa.array([0.5, None]), ["0.5", None]),
        (pa.array([["a"], ["b"]]), [None, None]),
        (pa.array([" ", ""]), [None, None]),
        (
            pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"a\xff")),
            ["a", "\\xff"],
        ),
    ],
    ids=["dictionary", "large", "binary", "bool", "float", "list", "blank", "not UTF-8"],
)
def test_labels_of_every_type_become_text_or_none(write, read_all, labels, expected):
    path = write({"image": images(b"x", b"y"), "cls": labels})
    assert [item.source_label for item in read_all(path)] == expected


def test_rows_without_bytes_and_rows_over_the_limit_are_rejects_in_their_place(write, read_all):
    no_bytes = pa.array([{"bytes": None, "path": "elsewhere.jpg"}], IMAGE)
    column = pa.concat_arrays([images(b"a", None), no_bytes, images(b"x" * 11, b"e")])
    data = read_all(write({"image": column}), max_object_bytes=10)
    assert [getattr(item, "reason", None) for item in data] == [None, "null_bytes", "null_bytes", "too_large", None]
    assert [item.member for item in data] == ["0", "1", "2", "3", "4"] and data[3].byte_size == 11


def test_a_damaged_page_gives_the_rows_before_it_and_one_reject(write, read_all):
    rows = [np.random.default_rng(n).bytes(3000) for n in range(200)]
    path = write({"image": images(*rows)}, data_page_size=30_000, write_batch_size=5, use_dictionary=False)
    content = bytearray(path.read_bytes())
    middle = content.index(rows[100][:50])
    content[middle - 3200 : middle + 90_000] = b"\xff" * 93_200
    path.write_bytes(content)
    data = read_all(path)
    rejects = [item for item in data if isinstance(item, Reject)]
    assert [(item.reason, item.object_uri) for item in rejects] == [("unreadable_parquet", str(path))]
    assert data[-1] is rejects[0]
    given = [item.data for item in data[:-1]]
    assert 0 < len(given) < 200 and given == rows[: len(given)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(cut=st.integers(0, 3000))
def test_no_truncation_of_a_parquet_file_ever_raises(write, read_all, cut):
    path = write({"image": images(*[bytes([n]) * 100 for n in range(20)]), "label": ["x"] * 20}, compression="none")
    content = path.read_bytes()
    path.write_bytes(content[: min(cut, len(content) - 1)])
    (reject,) = read_all(path)
    assert (reject.uri, reject.reason) == (str(path), "unreadable_parquet")


def test_a_large_row_group_is_read_in_bounded_memory(write):
    count, size = 400, 100_000
    random = np.random.default_rng(0)
    path = write(
        {"image": images(*[random.bytes(size) for _ in range(count)])}, write_batch_size=5, use_dictionary=False
    )
    (shard,) = plan_shards(open_source(str(path)).list())
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    arrow = [pa.total_allocated_bytes() - before for _ in read_shard(shard, options=ReadOptions())]
    _, python = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(arrow) == count
    assert max(arrow) < count * size / 3 and python < count * size / 3


def test_rows_are_read_again_from_the_right_row_group(write):
    path = write({"image": images(*[bytes([n]) for n in range(7)])}, row_group_size=3)
    for row in (0, 2, 3, 6):
        assert read_datum(str(path), "parquet", member=str(row)) == bytes([row])


def test_development_parquet_files_are_whole_and_labelled(shared_data, read_all):
    counts = {}
    for name in ("scenes", "clothing", "flowers"):
        data = read_all(shared_data / f"{name}.parquet")
        assert all(isinstance(item, Datum) for item in data)
        counts[name] = (len(data), [item.source_label for item in data])
        expected = pq.read_table(shared_data / f"{name}.parquet", columns=["label"])["label"].to_pylist()
        assert counts[name][1] == expected
    assert {name: count for name, (count, _) in counts.items()} == {"scenes": 900, "clothing": 400, "flowers": 400}


def test_a_parquet_file_that_vanished_is_not_found(tmp_path, rejects_of):
    item = SourceObject(str(tmp_path / "gone.pq"), str(tmp_path / "gone.pq"), "parquet", 1, "v")
    (shard,) = plan_shards([item])
    assert rejects_of(read_shard(shard, options=ReadOptions())) == [("not_found", None)]


def test_rows_that_repeat_a_large_value_are_read_one_by_one(write, read_all, monkeypatch):
    monkeypatch.setattr(parquet_pages, "MAX_BATCH_BYTES", 250_000)
    path = write({"image": images(*[b"x" * 100_000] * 6)}, compression="zstd")
    sizes = []
    real = pq.ParquetFile.iter_batches

    def iter_batches(self, *, batch_size, **options):
        sizes.append(batch_size)
        return real(self, batch_size=batch_size, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    assert [len(item.data) for item in read_all(path)] == [100_000] * 6
    assert sizes == [2]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_page_that_expands_beyond_what_is_stored_is_a_bomb(write, read_all, rejects_of, monkeypatch, version):
    monkeypatch.setattr(parquet_pages, "MAX_PAGE_BYTES", 1 << 20)
    options = {"compression": "zstd", "use_dictionary": False, "data_page_version": version}
    bomb = write({"image": images(bytes(1 << 22))}, **options)
    assert rejects_of(read_all(bomb)) == [("implausible", None)]
    honest = write({"image": images(np.random.default_rng(1).bytes(1 << 22))}, "b.parquet", **options)
    assert rejects_of(read_all(honest)) == []


def test_more_rows_than_bytes_are_one_reject(write, read_all, rejects_of):
    assert rejects_of(read_all(write({"image": pa.nulls(3_000_000, pa.binary())}))) == [("implausible", None)]
    assert len(read_all(write({"image": pa.nulls(500, pa.binary())}))) == 500


def test_more_row_groups_than_a_scan_can_open_are_one_reject(write, read_all, rejects_of, monkeypatch):
    monkeypatch.setattr(parquet_pages, "MAX_ROW_GROUPS", 3)
    assert rejects_of(read_all(write({"image": images(*[b"a"] * 4)}, row_group_size=1))) == [("implausible", None)]


def test_data_beyond_what_is_stored_end_the_row_group(write, read_all, monkeypatch):
    monkeypatch.setattr(encodings, "EXPANSION_FREE", 1 << 20)
    path = write({"image": images(*[bytes(500_000)] * 9)}, compression="zstd")
    *data, reject = read_all(path)
    assert 2 <= len(data) < 9 and reject.reason == "expands_too_far"


def test_a_label_longer_than_a_label_is_none(write, read_all):
    path = write({"image": images(b"a", b"b"), "label": ["x" * 5000, "y"]})
    assert [item.source_label for item in read_all(path)] == [None, "y"]


def test_chunks_lie_where_arrow_says_and_the_page_headers_are_read_to_their_end(tmp_path):
    rows = 400
    table = pa.table(
        {
            "image": pa.array([{"bytes": b"%d" % row * 30, "path": f"{row}.jpg"} for row in range(rows)]),
            "label": pa.array(["cat", "dog"] * (rows // 2)).dictionary_encode(),
            "tags": pa.array([["a"] * (row % 3) for row in range(rows)]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=150, data_page_size=500, write_page_index=True)
    with (tmp_path / "a.parquet").open("rb") as source, pq.ParquetFile(source) as file:
        pages = parquet_pages.Pages.of(file, source)
        assert len(pages.chunks) == file.num_row_groups == 3
        for number, chunks in enumerate(pages.chunks):
            group = file.metadata.row_group(number)
            for place, chunk in enumerate(chunks):
                told = group.column(place)
                start = told.dictionary_page_offset or told.data_page_offset
                assert (chunk.start, chunk.end) == (start, start + told.total_compressed_size)
                claims = parquet_pages._check_pages(source, chunk, most_pages=parquet_pages.MAX_PAGES)
                assert claims.values == told.num_values and bool(claims.dictionary) == told.has_dictionary_page


def test_statistics_that_do_not_hold_do_not_end_the_process(tmp_path):
    """Arrow ends it when it is asked for a chunk with the sizes of byte arrays in a column of another type."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"note": [b"a", b"b"], "image": [PNG + b"1", PNG + b"2"]}), path)
    data = path.read_bytes()
    (size,) = struct.unpack("<I", data[-8:-4])
    footer = data[-8 - size : -8]
    assert footer.count(b"\x15\x0c") >= 2, "the type of the column, in the schema and in its chunk"
    path.write_bytes(data[: -8 - size] + footer.replace(b"\x15\x0c", b"\x15\x00", 1) + data[-8:])
    program = (
        "import sys\n"
        "from curator.lake import ReadOptions, open_source, plan_shards, read_shard\n"
        "(shard,) = plan_shards(list(open_source(sys.argv[1]).list()), files_per_shard=1)\n"
        "print([type(item).__name__ for item in read_shard(shard, options=ReadOptions())])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "['Datum', 'Datum']\n"), ended.stderr
