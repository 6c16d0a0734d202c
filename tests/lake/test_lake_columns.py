"""In which columns of Parquet files pictures are found, in which shapes, and which bytes come out."""

from __future__ import annotations

import base64
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.decode import DecodeOptions, decode_image
from curator.lake import ColumnNames, ImagePlace, content_id, read_datum, read_images
from curator.lake.options import ReadOptions
from curator.lake.parquet import look as parquet_look
from curator.lake.parquet.reading import Cell
from curator.types import Reject

PICTURES = [b"\x89PNG\r\n\x1a\n" + bytes([number]) * 40 for number in range(4)]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PIXELS = pa.struct([("origin", pa.string()), *((name, pa.int32()) for name in ("height", "width", "nChannels", "mode")),
                    ("data", pa.binary())])  # fmt: skip


def structs(pictures, kind=IMAGE):
    return pa.array([{"bytes": data, "path": None} for data in pictures], kind)


def lists(*rows, kind=IMAGE):
    return pa.array(
        [None if row is None else [{"bytes": data, "path": None} for data in row] for row in rows], pa.list_(kind)
    )


@pytest.fixture
def write(tmp_path):
    def write(columns, features=None, **options):
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        if features is not None:
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, tmp_path / "a.parquet", **options)
        return tmp_path / "a.parquet"

    return write


def said(found):
    return [(item.member, item.reason if isinstance(item, Reject) else item.data) for item in found]


def read_again(path, found):
    """Each image alone, and all of them in one pass."""
    places = [
        ImagePlace(content_id(item.data), item.uri, item.object_uri, "parquet", item.member, None, len(item.data))
        for item in found
        if not isinstance(item, Reject)
    ]
    alone = [read_datum(str(path), "parquet", member=place.member) for place in places]
    assert list(read_images(places, ReadOptions())) == alone
    return alone


LARGE = pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])
SHAPES = {
    "a struct": {"image": structs(PICTURES)},
    "a struct of another name": {"foto": structs(PICTURES), "sum": [b"12345678"] * 4},
    "large": {"image": structs(PICTURES, LARGE)},
    "binary": {"photo": PICTURES},
    "large binary": {"photo": pa.array(PICTURES, pa.large_binary())},
    "binary view": {"photo": pa.array(PICTURES, pa.binary_view())},
    "fixed size": {"photo": pa.array(PICTURES, pa.binary(48)), "sum": pa.array([b"1234"] * 4, pa.binary(4))},
    "dictionary": {"photo": pa.array(PICTURES).dictionary_encode()},
    "a name with a dot": {"photo.v1": PICTURES, "photo": ["a"] * 4},
    "nested": {"sample": pa.StructArray.from_arrays([structs(PICTURES), pa.array([1] * 4)], ["image", "id"])},
    "nested binary": {"a": pa.StructArray.from_arrays([pa.array(PICTURES), pa.array([b"x"] * 4)], ["photo", "id"])},
    "base64": {"image": [base64.b64encode(data).decode() for data in PICTURES], "url": ["https://a/b"] * 4},
    "URL-safe base64": {"image": [base64.urlsafe_b64encode(data).decode().rstrip("=") for data in PICTURES]},
    "base64 in lines": {"image": [base64.encodebytes(data).decode() for data in PICTURES]},
    "data URIs": {"image": ["data:image/png;base64," + base64.b64encode(data).decode() for data in PICTURES]},
}


@pytest.mark.parametrize("columns", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("row_group_size", [1, 4])
def test_pictures_are_found_in_every_shape_and_read_again(write, read_all, columns, row_group_size):
    path = write(columns, row_group_size=row_group_size)
    found = read_all(path)
    assert said(found) == [(str(number), data) for number, data in enumerate(PICTURES)]
    assert read_again(path, found) == PICTURES


@pytest.mark.parametrize("kind", [IMAGE, LARGE], ids=["binary", "large"])
def test_each_picture_of_a_list_has_an_address_of_its_own(write, read_all, kind):
    path = write({"images": lists(PICTURES[:2], None, [], [PICTURES[2], None], kind=kind)}, row_group_size=2)
    found = read_all(path)
    assert said(found) == [
        ("0.0", PICTURES[0]),
        ("0.1", PICTURES[1]),
        ("1", "null_bytes"),
        ("2", "null_bytes"),
        ("3.0", PICTURES[2]),
        ("3.1", "null_bytes"),
    ]
    assert len({item.uri for item in found}) == len(found) and found[1].uri == f"{path}#0.1"
    assert read_again(path, found) == PICTURES[:3]


def test_lists_of_plain_bytes_are_read_too(write, read_all):
    path = write({"pages": pa.array([PICTURES[:3], PICTURES[3:]], pa.large_list(pa.binary()))})
    assert said(read_all(path)) == [("0.0", PICTURES[0]), ("0.1", PICTURES[1]), ("0.2", PICTURES[2]),
                                    ("1.0", PICTURES[3])]  # fmt: skip


@pytest.mark.parametrize(("channels", "mode"), [(1, 0), (3, 16), (4, 24)])
def test_rows_of_pixels_as_spark_writes_them_decode_to_the_same_pixels(write, read_all, channels, mode):
    pixels = np.random.default_rng(channels).integers(0, 256, (5, 7, channels), np.uint8)
    if channels == 4:
        pixels[:, :, 3] = 255
    row = {"origin": "", "height": 5, "width": 7, "nChannels": channels, "mode": mode, "data": pixels.tobytes()}
    path = write({"image": pa.array([row], PIXELS)})
    found = read_all(path)
    decoded, facts = decode_image(found[0].data, options=DecodeOptions())
    expected = np.broadcast_to(pixels, (5, 7, 3)) if channels == 1 else pixels[:, :, 2::-1]
    assert np.array_equal(np.asarray(decoded), expected) and facts.format == "TGA"
    assert read_again(path, found) == [found[0].data]


def test_rows_of_pixels_that_do_not_agree_with_their_sizes_are_rejects_in_their_place(write, read_all):
    row = {"origin": "", "height": 2, "width": 2, "nChannels": 3, "mode": 16, "data": bytes(12)}
    rows = [row, row | {"height": 3}, row | {"mode": 5}, row | {"data": None}, None, row | {"width": None},
            row | {"height": -2, "width": -2}]  # fmt: skip
    found = read_all(write({"image": pa.array(rows, PIXELS)}, features={"image": {"_type": "Image"}}))
    assert [getattr(item, "reason", "read") for item in found] == [
        "read", "corrupt", "unsupported_format", "null_bytes", "null_bytes", "corrupt", "corrupt",
    ]  # fmt: skip


HASHES = [bytes([number]) * 16 for number in range(50)]
NO_PICTURES = {
    "hashes": {"path": ["a.jpg"] * 50, "phash": HASHES},
    "vectors": {"id": range(50), "embedding": [np.full(8, n, np.float32).tobytes() for n in range(50)]},
    "fixed hashes": {"phash": pa.array(HASHES, pa.binary(16))},
    "sound": {"audio": structs([b"fLaC" + bytes(40)] * 50)},
    "metadata": {"key": ["000000001"] * 50, "url": ["https://a/b.jpg"] * 50, "sha256": ["ab" * 32] * 50},
    "numbers": {"image": pa.array([list(PICTURES[0])] * 50, pa.list_(pa.uint8()))},
    "deep lists": {"image": pa.array([[[PICTURES[0]]]] * 50, pa.list_(pa.list_(pa.binary())))},
    "two of one name": pa.Table.from_arrays([pa.array(PICTURES), pa.array(PICTURES)], ["image", "image"]),
    "two structs": {"image_left": structs(PICTURES), "image_right": structs(PICTURES)},
}


@pytest.mark.parametrize("columns", NO_PICTURES.values(), ids=NO_PICTURES)
def test_a_file_without_an_image_column_is_one_reject_that_names_columns_and_option(write, read_all, columns):
    path = write(columns, row_group_size=2)
    (reject,) = read_all(path)
    assert (reject.uri, reject.reason, reject.member) == (str(path), "no_image_column", None)
    names = columns.column_names if isinstance(columns, pa.Table) else columns
    assert "`image_column`" in reject.detail and all(name in reject.detail for name in names)


def test_a_file_without_rows_is_nothing(write, read_all):
    assert read_all(write({"image": structs([])})) == []


def test_the_first_values_decide_between_columns_whatever_they_are_called(write, read_all):
    path = write({"image": HASHES[:4], "thumb": PICTURES, "sum": structs(HASHES[:4])})
    assert said(read_all(path)) == [(str(number), data) for number, data in enumerate(PICTURES)]


def test_rows_without_pictures_may_come_first(write, read_all):
    path = write({"image": structs([None] * 60 + PICTURES), "url": ["u"] * 64}, row_group_size=20)
    found = read_all(path)
    assert [item.data for item in found[60:]] == PICTURES
    assert [item.reason for item in found[:60]] == ["null_bytes"] * 60


def test_what_the_schema_declares_an_image_is_one_whatever_its_bytes(write, read_all):
    path = write({"scan": structs([b"raw"]), "image": PICTURES[:1]}, features={"scan": {"_type": "Image"}})
    assert said(read_all(path)) == [("0", b"raw")]
    path = write({"scans": lists([b"raw"])}, features={"scans": {"feature": {"_type": "Image"}, "_type": "List"}})
    assert said(read_all(path)) == [("0.0", b"raw")]


def test_a_damaged_first_page_costs_its_row_group_and_no_other(write, read_all):
    path = write({"image": structs(PICTURES)}, row_group_size=2, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    start = content.index(PICTURES[0]) - 30
    content[start : start + 30] = b"\xff" * 30
    path.write_bytes(content)
    found = read_all(path)
    assert said(found)[-2:] == [("2", PICTURES[2]), ("3", PICTURES[3])]
    assert [(item.uri, item.reason) for item in found[:-2]] == [(f"{path}#row-group-0", "unreadable_parquet")]


def test_a_named_column_is_a_part_of_the_address_and_is_read_again_whatever_is_named_by_then(write, read_all):
    path = write({"image_left": structs(PICTURES[:2]), "image_right": structs(PICTURES[2:])})
    left, right = (read_all(path, columns=(ColumnNames("*", name),)) for name in ("image_left", "image_right.bytes"))
    assert [item.uri for item in left] == [f"{path}#image_left/0", f"{path}#image_left/1"]
    assert [item.data for item in left + right] == PICTURES
    assert read_again(path, left + right) == PICTURES


def test_columns_are_named_by_pattern_and_the_last_that_matches_counts(write, read_all):
    nested = pa.StructArray.from_arrays([structs(PICTURES[:2]), pa.array(["x", "y"])], ["photo", "kind"])
    path = write({"sample": nested, "image": structs(PICTURES[2:]), "label": ["u", "v"]})
    rules = (ColumnNames("*", "image"), ColumnNames("*/a.parquet", "sample.photo", "sample.kind"),
             ColumnNames("*/b.parquet", "nothing"))  # fmt: skip
    found = read_all(path, columns=rules)
    assert [(item.member, item.data, item.source_label) for item in found] == [
        ("sample.photo/0", PICTURES[0], "x"),
        ("sample.photo/1", PICTURES[1], "y"),
    ]
    found = read_all(path, columns=(*rules, ColumnNames("*", None, "label")))
    assert [(item.member, item.source_label) for item in found] == [("sample.photo/0", "u"), ("sample.photo/1", "v")]


def test_a_named_column_of_hashes_is_read_as_it_was_asked_for(write, read_all):
    path = write({"phash": HASHES[:2]})
    assert said(read_all(path, columns=(ColumnNames("*", "phash"),))) == [
        ("phash/0", HASHES[0]),
        ("phash/1", HASHES[1]),
    ]


def test_text_that_is_no_base64_is_a_reject_in_its_place(write, read_all):
    good = base64.b64encode(PICTURES[0]).decode()
    path = write({"image": [good, "no base64!", "data:image/png,plain", None, "data:;base64," + good, "A" * 4000]})
    found = read_all(path, max_object_bytes=1000)
    assert [getattr(item, "reason", "read") for item in found] == [
        "read", "corrupt", "corrupt", "null_bytes", "read", "too_large",
    ]  # fmt: skip


@pytest.mark.parametrize("cell", [Cell(7), Cell(7, 0), Cell(7, None, "a.b"), Cell(7, 12, "a/b#1")])
def test_the_place_of_a_cell_is_what_its_text_says(cell):
    assert Cell.parse(str(cell)) == cell


def test_a_list_that_repeats_a_value_of_a_dictionary_for_ever_takes_no_memory(write, read_all):
    large = PICTURES[0] + np.random.default_rng(0).bytes(500_000)
    path = write({"images": lists([large] * 300)})
    assert path.stat().st_size < 600_000
    before, most = pa.total_allocated_bytes(), 0
    for item in read_all_lazily(path):
        most = max(most, pa.total_allocated_bytes() - before)
        assert item.data == large
    assert most < 20_000_000


def read_all_lazily(path):
    from curator.lake import open_source, plan_shards, read_shard

    for shard in plan_shards(open_source(str(path)).list()):
        yield from read_shard(shard, options=ReadOptions())


def test_a_list_of_more_values_than_a_row_group_honestly_holds_is_implausible(write, read_all, monkeypatch):
    monkeypatch.setattr("curator.lake.parquet.pages.MAX_LIST_VALUES", 100)
    (reject,) = read_all(write({"images": lists([PICTURES[0]] * 101)}))
    assert reject.reason == "implausible"


def test_fixed_values_too_wide_for_memory_are_implausible(write, read_all, monkeypatch):
    monkeypatch.setattr("curator.lake.parquet.pages.MAX_PAGE_BYTES", 1000)
    (reject,) = read_all(write({"image": pa.array([None, None], pa.binary(2000))}))
    assert reject.reason == "implausible"


def test_no_more_than_some_columns_are_looked_at(write, read_all, monkeypatch):
    monkeypatch.setattr(parquet_look, "LOOK_COLUMNS", 3)
    (reject,) = read_all(write({f"text_{number}": ["x"] for number in range(500)}))
    assert len(reject.detail) <= 1000
