"""What the app shows of a snapshot: filters, orders, groups and clusters; and the thumbnails that it keeps."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from curator.app.guard import BadRequest
from curator.errors import CuratorError, SourceError, WorkspaceError
from curator.lake import ImagePlace
from curator.workspace import Workspace
from curator.workspace.app import apart, thumbnails, views
from curator.workspace.app.desk import AppDesk
from curator.workspace.app.frame import LakeFrame, Numbers, make_frame, read_rows
from curator.workspace.app.landscape import NO_CLUSTER, make_landscape
from curator.workspace.app.thumbnails import Thumbnails
from curator.workspace.app.views import GridView, shown
from curator.workspace.context import Context
from curator.workspace.layout import Layout
from curator.workspace.look.neighbours import image_collection
from curator.workspace.published import reading
from tests.app.serving import serving, unpacked
from tests.review.conftest import call


@pytest.fixture(scope="module")
def context(scanned) -> Context:
    """Of the workspace that is shared: nothing is written."""
    workspace = Workspace.open(scanned / "workspace")
    return Context(workspace.layout, workspace.config)


@pytest.fixture(scope="module")
def frame(context) -> LakeFrame:
    return make_frame(read_rows(context.layout, "ann"), Numbers(), generation=1)


def stems(frame: LakeFrame, **said: object) -> list[str]:
    """The images of a view by what they are called in the lake."""
    view = GridView.of({"sort": "score", **said})
    rows = shown(frame, view, decisions=frame.decisions, clusters=None, met=None)
    return [Path(uri).stem for uri in frame.table["uri"].take(rows).to_pylist()]


def test_orders_and_filters(frame):
    by_score = stems(frame)
    assert len(by_score) == 10 and by_score[0].startswith("yellow")
    assert stems(frame, descending=True) == by_score[::-1]
    assert set(stems(frame, flagged=True)) | set(stems(frame, flagged=False)) == set(by_score)
    assert len(stems(frame, groups=True)) == 5 == len(stems(frame, sort="queue"))
    assert stems(frame, reviewed="decided") == [] and len(stems(frame, reviewed="open")) == 10
    night, source = frame.nights[0]["run_id"], frame.texts["source"].known[0]
    assert len(stems(frame, night=night)) == len(stems(frame, source=source)) == 10
    assert stems(frame, night="another") == [] == stems(frame, label="cat")
    chosen = [int(number) for number in frame.numbers[[7, 2, 5]]]
    given = [Path(frame.row(number)["uri"]).stem for number in chosen]  # type: ignore[index]
    assert stems(frame, among=[*chosen, 99], sort="given") == given
    assert sorted(stems(frame, among=chosen)) == sorted(given)
    assert sorted(stems(frame, sort="name")) == sorted(stems(frame, sort="time")) == sorted(by_score)


def test_what_can_be_chosen_is_counted(frame):
    found = views.facets(frame)
    for name in ("night", "source", "label", "name"):
        assert sum(row[-1] for row in found[name]) == 10, name  # type: ignore[attr-defined]


def test_flagged_images_are_as_many_in_the_app_in_queries_in_sql_and_in_the_report_of_the_night(scanned, run_cli):
    workspace = Workspace.open(scanned / "workspace")
    groups = workspace.sql("select flagged, images from report.flag_groups").to_pylist()
    assert any(group["flagged"] > 1 for group in groups), "near-duplicates are flagged together"
    listed = json.loads(run_cli("query", "flagged", "--json", folder=scanned / "workspace").stdout)
    night = workspace.report(pictures=False).data
    counts = {
        "the groups": sum(group["flagged"] for group in groups),
        "the query": len(listed),
        "SQL": workspace.sql("select image_id from report.flagged").num_rows,
        "the report": night["flags"]["flagged"],
        "the night among others": night["nights"][-1]["flagged"],
    }
    with serving(workspace) as server:
        counts["the app"] = server.shown("state")["flagged"]
        counts["its columns"] = int(unpacked(call(f"{server.address}columns")[1])["flagged"].sum())
        counts["its images"] = len(server.view(flagged=True, sort="score"))
        for view in ({"sort": "score", "groups": True}, {"sort": "queue"}):
            assert len(server.view(flagged=True, **view)) == len(groups) < len(listed), "one of each group"
    assert set(counts.values()) == {len(listed)}, counts


def test_a_condition_in_sql_holds_for_the_images_that_it_finds(context, frame):
    numbers = Numbers({name: place for place, name in enumerate(frame.table["image_id"].to_pylist())})
    met = views.met_by(context.layout, frame, numbers, "uri like '%blue%' or top_id = 'no such label'")
    assert [Path(uri).stem[:4] for uri in frame.table["uri"].filter(met).to_pylist()] == ["blue", "blue"]


def test_a_condition_in_sql_that_takes_for_ever_is_ended(context, frame, monkeypatch):
    monkeypatch.setattr(views, "SQL_SECONDS", 0.2)
    endless = "(select count(*) from range(100000000) a, range(100000000) b where a.range % 7 = b.range % 5) > 0"
    with pytest.raises(BadRequest, match="took more than"):
        views.met_by(context.layout, frame, Numbers(), endless)


@pytest.mark.parametrize("large", [False, True], ids=["here", "apart"])
def test_every_image_has_a_place_and_a_cluster(context, frame, monkeypatch, large):
    monkeypatch.setattr(apart, "LARGE_BYTES", 0 if large else 1 << 40)
    with reading(context.layout) as database:
        collection = image_collection(context, database, frame.ruling.encoder_id)
    found = make_landscape(context.layout, collection, frame)
    assert found is not None and found.covers(frame)
    assert np.isfinite(found.places).all() and np.abs(found.places).max() == pytest.approx(1)
    assert NO_CLUSTER not in found.clusters and len(found.names) == found.clusters.max() + 1 == 1


def test_what_a_process_of_its_own_complains_of_is_raised_here(tmp_path, monkeypatch):
    layout = Layout(tmp_path)
    layout.snapshot.parent.mkdir()
    layout.snapshot.write_bytes(b"no ledger")
    monkeypatch.setattr(apart, "LARGE_BYTES", 0)
    with pytest.raises(CuratorError, match=r"curator\.duckdb") as caught:
        apart.apart(layout, read_rows, layout, "ann")
    assert caught.value.hint
    with pytest.raises(WorkspaceError, match="was ended"):
        apart.apart(layout, os._exit, 1)


def test_thumbnails_are_kept_by_content_and_the_oldest_leave_first(workspace, frame):
    made = Thumbnails(Context(workspace.layout, workspace.config))
    places = [frame.place_of(int(number)) for number in frame.numbers]
    sizes = [len(made.small(place) or b"") for place in places]
    folder = workspace.layout.thumbnails
    assert sorted(path.stem for path in folder.glob("*/*.webp")) == frame.table["image_id"].to_pylist()
    (folder / places[0].image_id[:2] / f"{places[0].image_id}.webp").write_bytes(b"kept")
    assert made.small(places[0]) == b"kept", "not made again"
    few = Thumbnails(Context(workspace.layout, workspace.config), most_bytes=sum(sizes) // 2)
    (folder / places[1].image_id[:2] / f"{places[1].image_id}.webp").unlink()
    assert few.small(places[1])
    left = list(folder.glob("*/*"))
    assert 0 < sum(path.stat().st_size for path in left) <= sum(sizes) // 2
    assert (folder / places[1].image_id[:2] / f"{places[1].image_id}.webp") in left


def test_an_image_that_is_gone_has_no_picture_and_stops_nothing(workspace, monkeypatch):
    def gone(place: ImagePlace, options: object) -> bytes:
        raise SourceError(f"{place.uri}: not there")

    desk = AppDesk(Context(workspace.layout, workspace.config), reviewer="ann")
    try:
        image_id = desk._frame.table["image_id"][0].as_py()
        assert desk.picture(image_id, large=False)
        monkeypatch.setattr(thumbnails, "read_image", gone)
        assert desk.picture(image_id, large=True) is None
        assert desk.picture(image_id, large=False), "it is kept"
        assert desk.picture("0" * 32, large=False) is None
    finally:
        desk.close()
