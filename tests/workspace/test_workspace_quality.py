"""What a scan learns of images as pictures is in the ledger, in conditions and in a query."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from curator.decode.quality import picture_quality
from curator.types import Quality
from curator.workspace.published import reading


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
