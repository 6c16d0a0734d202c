"""Exports read a Parquet file once for each of their parts, in whatever order its images are exported."""

from __future__ import annotations

import random
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.export.parts import Options, Part
from curator.export.rows import SCHEMA
from curator.export.run import FORMATS
from curator.lake import content_id
from curator.lake.parquet import reading as parquet

CONTENTS = [b"GIF89a" + random.Random(number).randbytes(64) for number in range(150)]


@pytest.fixture
def rows(tmp_path) -> pa.Table:
    """The images of one file, of three row groups, as they are exported: not in their order there."""
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"image": CONTENTS}), path, row_group_size=50)
    found = [
        {"image_id": content_id(data), "uri": f"{path}#{row}", "object_uri": str(path), "kind": "parquet"}
        | {"member": str(row), "byte_size": len(data), "format": "PNG", "flagged": True, "name": "wall"}
        for row, data in enumerate(CONTENTS)
    ]
    random.Random(2).shuffle(found)
    return pa.Table.from_pylist([{name: row.get(name) for name in SCHEMA.names} for row in found], schema=SCHEMA)


@pytest.mark.parametrize("form", ["webdataset", "huggingface"])
def test_a_part_reads_a_file_once_and_keeps_its_order(form, rows, tmp_path, monkeypatch):
    opened = []
    original = parquet.open_seekable
    monkeypatch.setattr(
        parquet, "open_seekable", lambda path, *more, **named: opened.append(path) or original(path, *more, **named)
    )
    folder = tmp_path / "out"
    folder.mkdir()
    written = FORMATS[form].write(Part("part", rows), folder, Options())
    assert opened == [str(tmp_path / "rows.parquet")] and written.missing == []
    if form == "webdataset":
        with tarfile.open(folder / "part.tar") as tar:
            ids = [content_id(tar.extractfile(item).read()) for item in tar if not item.name.endswith(".json")]
    else:
        ids = [content_id((folder / name).read_bytes()) for name in written.files]
    assert ids == rows["image_id"].to_pylist()
    assert {path.name for path in folder.iterdir()} == {name.split("/")[0] for name in written.files}, "nothing is left"
