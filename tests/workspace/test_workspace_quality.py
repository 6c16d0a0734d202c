"""What a scan learns of images as pictures is in the ledger, in conditions and in a query."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from curator.decode.quality import picture_quality
from curator.store import Database
from curator.types import Quality
from curator.workspace import Workspace
from curator.workspace.published import reading
from curator.workspace.scan.measuring import GONE, MeasureSummary


@pytest.fixture
def workspace(first_night):
    return first_night[0]


def test_a_scan_measures_every_image_as_one_measures_it_by_hand(workspace):
    rows = workspace.sql(f"select uri, {', '.join(Quality._fields)} from report.images").to_pylist()
    files = {uri: row for row in rows if Path(uri := row.pop("uri")).is_file()}
    assert len(files) > 5
    for uri, row in files.items():
        with Image.open(uri) as image:
            assert Quality(**row) == picture_quality(image.convert("RGB"))


def test_flags_are_conditions_of_scores_and_the_query_lists_them(workspace):
    with reading(workspace.layout, sealed=True) as database:
        flat = set(database.filtered_ids("report.scores", "low_information and not dark"))
        assert flat and flat.isdisjoint(database.filtered_ids("report.scores", "coalesce(not low_information, true)"))
    listed = {row["uri"]: row["faults"] for row in workspace.query("quality").to_pylist()}
    of_flat = workspace.sql("select uri from report.quality where low_information and not dark").to_pylist()
    assert len(of_flat) == len(flat) and all("low information" in listed[row["uri"]] for row in of_flat)


def test_images_that_were_scanned_before_are_measured_by_a_command_as_a_scan_does(workspace, tmp_path):
    """A copy of the night as an earlier release left it; one file has gone since, and one is another."""
    root = shutil.copytree(workspace.layout.root, tmp_path / "older")
    older, columns = Workspace.open(root), ", ".join(Quality._fields)
    wanted = older.sql(f"select image_id, {columns} from report.images order by image_id").to_pylist()
    with Database.open(older.layout.ledger) as database:
        database.execute("update image set " + ", ".join(f"{name} = null" for name in Quality._fields))
        database.execute(
            "update location set uri = uri || '.gone', object_uri = object_uri || '.gone' where image_id = $one",
            {"one": wanted[0]["image_id"]},
        )
        database.execute(
            "update source_object set object_uri = object_uri || '.gone' "
            "where object_uri not in (select object_uri from location)"
        )
    found = older.measure()
    assert found == MeasureSummary(len(wanted) - 1, {GONE: 1})
    rows = older.sql(f"select image_id, {columns} from report.images order by image_id").to_pylist()
    assert rows[1:] == wanted[1:] and {*rows[0].values()} == {wanted[0]["image_id"], None}
    assert older.measure() == MeasureSummary(0, {GONE: 1}), "asked again, and still not there"
    assert workspace.measure() == MeasureSummary(0, {})
