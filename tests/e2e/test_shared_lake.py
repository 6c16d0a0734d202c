"""A whole lake of real images: folders, tars, Parquet files and hostile files, in one command."""

from __future__ import annotations

import json

import pytest

from curator.workspace import Workspace


@pytest.mark.slow
def test_every_datum_of_the_development_images_is_accounted_for(shared_data, workspace, run_cli):
    root = workspace.layout.root
    summary = json.loads(run_cli("scan", shared_data, "--json", folder=root).stdout)
    assert summary["data_read"] == summary["images"] + summary["duplicates"] + summary["rejects"] > 7000
    assert {"decode/empty", "decode/git_lfs_pointer", "decode/text", "decode/too_many_pixels"} <= set(
        summary["reject_reasons"]
    )
    opened = Workspace.open(root)
    accounting = opened.sql("select * from report.accounting").to_pylist()[0]
    assert accounting["images"] + accounting["duplicates"] + accounting["rejects"] == accounting["data"]
    assert accounting["objects"] == summary["listings"][0]["objects_listed"]
    assert [result.name for result in opened.check() if not result.healthy] == []
    labels = opened.sql("select count(distinct source_label) as n from report.locations").to_pylist()
    assert labels[0]["n"] >= 200, "labels of tars and Parquet files are kept"
    again = json.loads(run_cli("scan", shared_data, "--json", folder=root).stdout)
    assert (again["data_read"], again["decoded"]) == (0, 0)
