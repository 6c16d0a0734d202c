"""Images read again: in the order they are asked for, each Parquet file once, and none that has changed."""

from __future__ import annotations

import io
import json
import os
import random
import sys
import tarfile
import tracemalloc
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.errors import MissingExtra, SourceError
from curator.lake import ImagePlace, ReadOptions, content_id, images, path_of, read_image, read_images
from curator.lake.parquet.reading import BATCH_ROWS

OPTIONS = ReadOptions()


def place_of(path: Path, kind: str, data: bytes, member: str | None = None) -> ImagePlace:
    uri = str(path) if member is None else f"{path}#{member}"
    return ImagePlace(content_id(data), uri, str(path), kind, member, None, len(data))


def in_parquet(path: Path, contents: list[bytes], **options) -> list[ImagePlace]:
    """A file with these images, and the place of each."""
    declared = json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})  # so its bytes may be any
    table = pa.table({"image": contents}).replace_schema_metadata({"huggingface": declared})
    pq.write_table(table, path, **options)
    return [place_of(path, "parquet", data, str(row)) for row, data in enumerate(contents)]


def contents(count: int, size: int = 40) -> list[bytes]:
    made = random.Random(count)
    return [made.randbytes(size) for _ in range(count)]


@pytest.fixture
def passes(monkeypatch) -> Counter[int]:
    """How many rows of each row group of a Parquet file are read, each time they are; and under -1 how often the file
    is opened."""
    counted: Counter[int] = Counter()

    class Counting(pq.ParquetFile):
        def __init__(self, source, **options):
            super().__init__(source, **options)
            counted[-1] += 1

        def iter_batches(self, *, row_groups, **options):
            for batch in super().iter_batches(row_groups=row_groups, **options):
                counted[row_groups[0]] += batch.num_rows
                yield batch

    monkeypatch.setattr(pq, "ParquetFile", Counting)
    return counted


def test_images_come_in_the_order_asked_for_whatever_they_lie_in(tmp_path):
    data = contents(90)
    places = in_parquet(tmp_path / "a.parquet", data[:40], row_group_size=7)
    places += in_parquet(tmp_path / "b.parquet", data[40:60])
    with tarfile.open(tmp_path / "c.tar", "w") as tar:
        for number, content in enumerate(data[60:75]):
            info = tarfile.TarInfo(f"{number}.png")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            places.append(place_of(tmp_path / "c.tar", "tar", content, info.name))
    for number, content in enumerate(data[75:]):
        (tmp_path / f"{number}.png").write_bytes(content)
        places.append(place_of(tmp_path / f"{number}.png", "file", content))
    order = list(range(90)) * 2
    random.Random(5).shuffle(order)
    assert list(read_images([places[number] for number in order], OPTIONS)) == [data[number] for number in order]
    assert [read_image(place, OPTIONS) for place in places] == data


def test_each_row_group_is_read_once_whatever_the_order(tmp_path, passes):
    data = contents(100)
    places = in_parquet(tmp_path / "a.parquet", data, row_group_size=50)
    random.Random(3).shuffle(places)
    assert all(isinstance(item, bytes) for item in read_images(places, OPTIONS))
    assert passes == {-1: 1, 0: 50, 1: 50}


def test_no_row_group_is_read_without_need_nor_beyond_the_last_image_that_is_wanted(tmp_path, passes):
    data = contents(150)
    places = in_parquet(tmp_path / "a.parquet", data, row_group_size=50)
    assert list(read_images([places[103], places[52], places[51]], OPTIONS)) == [data[103], data[52], data[51]]
    assert passes == {-1: 1, 1: BATCH_ROWS, 2: BATCH_ROWS}


def test_what_is_held_is_bounded_and_nothing_is_left_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "ASIDE_BYTES", 200_000)
    places = in_parquet(tmp_path / "a.parquet", contents(300, 100_000), write_batch_size=8)  # pages of a megabyte
    places.reverse()
    (tmp_path / "scratch").mkdir()
    tracemalloc.start()
    try:
        found = sum(isinstance(item, bytes) for item in read_images(places, OPTIONS, scratch=tmp_path / "scratch"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == 300 and peak < 2 * images.AT_A_TIME * 100_000, f"{peak} bytes at most were held of 30 MB"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_faults_cost_their_own_images_only(tmp_path):
    data = contents(6)
    places = in_parquet(tmp_path / "a.parquet", data[:3])
    gone = place_of(tmp_path / "a.parquet", "parquet", data[0], "17")
    changed = place_of(tmp_path / "a.parquet", "parquet", data[5], "1")
    lost = place_of(tmp_path / "lost.parquet", "parquet", data[4], "0")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    torn = place_of(tmp_path / "torn.parquet", "parquet", data[4], "0")
    file = place_of(tmp_path / "lost.png", "file", data[4])
    found = list(read_images([gone, places[2], changed, lost, torn, places[0], file, places[1]], OPTIONS))
    assert [found[1], found[5], found[7]] == [data[2], data[0], data[1]]
    faults = {0: "a.parquet#17: it is no longer there", 2: "a.parquet#1: its content has changed"}
    faults |= {3: "lost.parquet#0: not_found", 4: "torn.parquet#0: unreadable_parquet", 6: "lost.png: not_found"}
    for number, message in faults.items():
        assert isinstance(found[number], SourceError) and message in found[number].message
    for place in (gone, changed, lost, torn, file):
        with pytest.raises(SourceError):
            read_image(place, OPTIONS)


def test_a_package_of_a_store_that_is_missing_is_said_of_its_images(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    places = in_parquet(tmp_path / "a.parquet", data := contents(1))
    far = [
        ImagePlace(content_id(b""), "gs://b/a#0", "gs://b/a", "parquet", "0", None, 0),
        ImagePlace(content_id(b""), "gs://b/a.png", "gs://b/a.png", "file", None, None, 0),
    ]
    first, second, third = read_images([far[0], *places, far[1]], OPTIONS)
    assert isinstance(first, MissingExtra) and second == data[0] and isinstance(third, MissingExtra)


def test_a_local_name_of_other_bytes_is_found_by_what_the_ledger_calls_it(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(raw)).write_bytes(b"x")
    assert path_of(f"{tmp_path}/caf\\xe9.png") == os.fsdecode(raw)
    literal = tmp_path / "caf\\xe9.png"
    literal.write_bytes(b"y")
    assert path_of(str(literal)) == str(literal), "a file of that very name goes first"
    assert path_of("s3://lake/caf\\xe9.png") == "s3://lake/caf\\xe9.png"
