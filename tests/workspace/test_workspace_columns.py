"""Columns of Parquet files that are named once, and images of odd shapes: what later commands read again of them."""

from __future__ import annotations

import base64
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.lake import content_id

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def structs(contents):
    return pa.array([{"bytes": data, "path": None} for data in contents], IMAGE)


@pytest.fixture
def contents(pictures):
    return list(pictures.values())


@pytest.fixture
def tables(tmp_path, contents):
    """Two columns of images beside each other, a list of images, base64, and tables without any."""
    folder = tmp_path / "tables"
    write(folder / "photos" / "pairs.parquet", left=structs(contents[:3]), right=structs(contents[3:6]),
          kind=["a", "b", "c"])  # fmt: skip
    write(folder / "lists.parquet", images=pa.array([[{"bytes": data, "path": ""} for data in contents[6:8]]],
                                                    pa.list_(IMAGE)))  # fmt: skip
    write(folder / "text.parquet", image=[base64.b64encode(contents[8]).decode()])
    write(folder / "hashes.parquet", phash=[content_id(data).encode() for data in contents])
    write(folder / "00000.parquet", key=["0"] * 5, url=["https://a/b"] * 5)
    return folder


def scan(run_cli, workspace, tables, *options):
    return json.loads(run_cli("scan", tables, "--json", *options, folder=workspace.layout.root).stdout)


def places(workspace, tables):
    rows = workspace.sql(
        "select uri, image_id, source_label from report.locations where image_id is not null"
    ).to_pylist()
    return {row["uri"].removeprefix(f"{tables}/"): (row["image_id"], row["source_label"]) for row in rows}


def test_images_of_named_columns_are_read_again_by_commands_that_were_told_nothing(
    run_cli, workspace, tables, contents, tmp_path
):
    summary = scan(run_cli, workspace, tables, "--image-column", "right", "--label-column", "kind")
    assert summary["reject_reasons"] == {"read/no_image_column": 4}  # those that have no such column
    ids = [content_id(data) for data in contents]
    assert places(workspace, tables) == {
        f"photos/pairs.parquet#right/{row}": (ids[3 + row], label) for row, label in enumerate("abc")
    }
    run_cli("explain", ids[4], "--thumbnail", tmp_path / "4.jpg", folder=workspace.layout.root)
    assert (tmp_path / "4.jpg").stat().st_size
    written = set()
    for images in ("flagged", "kept"):
        folder = tmp_path / images
        run_cli("export", images, "--to", folder, "--format", "huggingface", folder=workspace.layout.root)
        assert not (folder / "missing.jsonl").exists() or not (folder / "missing.jsonl").read_text()
        written |= {content_id(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    assert set(ids[3:6]) <= written
    assert scan(run_cli, workspace, tables)["data_read"] == 0  # told nothing, it takes nothing for changed


def test_columns_of_the_configuration_hold_for_the_files_of_their_pattern(run_cli, workspace, tables, contents):
    text = workspace.layout.config.read_text().replace(
        "[columns]", '[columns]\n"*/photos/*" = { image = "left", label = "kind" }', 1
    )
    workspace.layout.config.write_text(text)
    summary = scan(run_cli, workspace, tables)
    assert summary["reject_reasons"] == {"read/no_image_column": 1}
    passed = workspace.sql("select heading, files from report.passed_over")
    assert passed.to_pylist() == [{"heading": "(Parquet without images)", "files": 1}]
    ids = [content_id(data) for data in contents]
    assert places(workspace, tables) == {
        "lists.parquet#0.0": (ids[6], None),
        "lists.parquet#0.1": (ids[7], None),
        "photos/pairs.parquet#left/0": (ids[0], "a"),
        "photos/pairs.parquet#left/1": (ids[1], "b"),
        "photos/pairs.parquet#left/2": (ids[2], "c"),
        "text.parquet#0": (ids[8], None),
    }
    assert scan(run_cli, workspace, tables)["data_read"] == 0  # tables beside the images are no reject of every night
    assert scan(run_cli, workspace, tables, "--rehash")["images"] == 0


def test_a_column_that_could_not_be_told_is_read_once_it_is_named(run_cli, workspace, tables, contents):
    pairs = tables / "photos" / "pairs.parquet"
    assert scan(run_cli, workspace, pairs)["reject_reasons"] == {"read/no_image_column": 1}
    detail = workspace.sql("select detail from report.rejects")["detail"].to_pylist()
    assert detail == ["several columns may be the image: name the column by `image_column`; "
                      "there are left, right"]  # fmt: skip
    assert scan(run_cli, workspace, pairs, "--image-column", "left", "--retry-rejects")["images"] == 3
    assert workspace.sql("select count(*) as n from report.rejects")["n"].to_pylist() == [0]
    assert scan(run_cli, workspace, pairs, "--image-column", "right", "--rehash")["images"] == 3
    assert sorted(places(workspace, tables)) == [f"photos/pairs.parquet#right/{row}" for row in range(3)]
