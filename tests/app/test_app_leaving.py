"""Selections leave the app: as SQL that finds the very rows, as tags, as saved views, as exports."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from curator.errors import CuratorError
from curator.workspace import Workspace
from curator.workspace.app import leaving
from curator.workspace.app.views import QUALITY
from curator.workspace.session import writing
from tests.app.serving import ACTIONS, Served, decision, serving
from tests.patience import BRAKE_SECONDS

SORTS = ("queue", "score", "p_value", "time", "name", "given")


@pytest.fixture
def server(workspace: Workspace):
    with serving(workspace) as found:
        yield found


def tagging(numbers: list[int], tag: object, **more: Any) -> dict[str, Any]:
    return {"action": f"t{next(ACTIONS)}", "tag": tag, "numbers": numbers, **more}


def ids(server: Served, **view: Any) -> list[str]:
    """The images of a view, in its order."""
    frame = server.desk._frame
    return frame.table["image_id"].take(frame.rows[server.view(**view)]).to_pylist()


def statement(server: Served, numbers: list[int] | None = None, **view: Any) -> str:
    status, found = server.ask("statement", {"view": view} if numbers is None else {"numbers": numbers})
    assert status == 200, found
    return found["sql"]


def settle(server: Served) -> None:
    """All that was said is in the ledger, and what the app shows is of that."""
    server.desk.decisions.record()
    server.desk.follow()


@pytest.mark.slow
def test_what_is_copied_finds_the_very_rows(workspace, server):
    """All orders, and filters of each kind; decisions and tags among them."""
    first, second, *_ = server.view(sort="score", groups=True)
    server.decide(
        decision([first], "ood"), decision([second], "unsure", groups=False), tagging([first], "it's odd", groups=True)
    )
    server.ask("saved", {"act": "save", "name": "one", "numbers": [second]})
    settle(server)
    frame = server.desk._frame
    views: list[Mapping[str, Any]] = [
        *({"sort": sort, "descending": turned, "groups": turned} for sort in SORTS for turned in (False, True)),
        *({"sort": sort, "descending": True} for sort in SORTS),
        *({"sort": "score", "flagged": flagged} for flagged in (True, False)),
        *({"sort": "score", "reviewed": what} for what in ("open", "decided", "id", "ood", "unsure", "disputed")),
        *({"sort": "score", "quality": [fact]} for fact in QUALITY),
        {"sort": "score", "quality": list(QUALITY), "groups": True},
        {"sort": "score", "where": "uri like '%blue%' or top_id = 'red' -- and so on"},
        {"sort": "name", "tag": "it's odd"},
        {"sort": "name", "saved": "one"},
        {"sort": "time", "night": frame.nights[0]["run_id"], "source": frame.texts["source"].known[0], "label": ""},
        {"sort": "score", "name": frame.texts["name"].known[0]},
    ]  # fmt: skip
    found = {}
    for view in views:
        wanted = ids(server, **view)
        assert workspace.sql(statement(server, **view))["image_id"].to_pylist() == wanted, view
        found[str(view)] = len(wanted)
    assert found[str({"sort": "score", "reviewed": "ood"})] == found[str({"sort": "name", "tag": "it's odd"})] == 2
    assert found[str({"sort": "score", "quality": ["near_duplicate"]})] == 10
    numbers = server.view(sort="score")[5:1:-1]
    listed = workspace.sql(statement(server, numbers))["image_id"].to_pylist()
    assert listed == ids(server, sort="given", among=numbers)


def test_a_search_is_copied_as_its_images_and_too_many_are_refused(workspace, server, monkeypatch):
    among = server.view(sort="score")[:3]
    view = {"sort": "given", "among": among}
    status, found = server.ask("statement", {"view": view, "numbers": among})
    assert status == 200 and workspace.sql(found["sql"])["image_id"].to_pylist() == ids(server, **view)
    monkeypatch.setattr("curator.workspace.app.desk.LONGEST_STATEMENT", 100)
    status, found = server.ask("statement", {"numbers": among})
    assert status == 400 and "too many" in found["error"]
    assert server.ask("statement", {"numbers": [99]})[0] == 404


def test_tags_are_given_found_undone_and_kept_in_the_ledger(workspace, server):
    one, other = server.view(sort="score", groups=True)[:2]
    given, alone = tagging([one], " to print ", groups=True), tagging([other], "to print")
    assert server.decide(given, alone)[0] == 200
    assert len(server.view(sort="score", tag="to print")) == 3, "its group, and one alone"
    assert {tuple(card["tags"]) for card in server.cards(sort="score", tag="to print")} == {("to print",)}
    assert server.desk.facets()["tag"] == [("to print", 3)]
    assert workspace.sql("select * from report.tags").num_rows == 0, "not before they are recorded"
    settle(server)
    rows = workspace.sql("select tag, reviewer, count(*) as images from report.tags group by all").to_pylist()
    assert rows == [{"tag": "to print", "reviewer": "ann", "images": 3}]
    server.decide({"action": "back", "undo": given["action"]})
    assert server.view(sort="score", tag="to print") == [other]
    server.decide(tagging([other], "to print", given=False), tagging([other], "kept"))
    settle(server)
    assert workspace.sql("select tag from report.tags")["tag"].to_pylist() == ["kept"]
    assert all(check.healthy for check in workspace.check())


@pytest.mark.parametrize("tag", ["", "  ", None, 7, "x" * 61, "two\nlines", "\ud800"])
def test_a_tag_that_is_none_is_one_line(server, tag):
    status, found = server.decide(tagging([0], tag))
    assert status == 400 and "tag" in found["error"] and "\n" not in found["error"]


def test_tags_wait_while_another_run_writes_and_a_killed_server_loses_none(workspace):
    with serving(workspace) as server, writing(server.desk._context, "scan", {}):
        assert server.decide(tagging([0, 1], "later"))[0] == 200
        assert not server.desk.decisions.record()
        [journal] = workspace.layout.reviews.glob("pending-*.jsonl")
        left = journal.read_bytes()
    workspace.layout.reviews.mkdir(exist_ok=True)
    (workspace.layout.reviews / "pending-killed.jsonl").write_bytes(left)
    with serving(workspace):
        found = workspace.sql("select count(*) as rows, count(distinct image_id) as images from main.tagging")
    assert found.to_pylist() == [{"rows": 2, "images": 2}], "recorded once, though it came twice"


def test_a_view_is_saved_shown_queried_renamed_and_deleted(workspace, server, tmp_path):
    view = {"sort": "score", "flagged": True, "where": "uri like '%yellow%'"}
    assert server.ask("saved", {"act": "save", "name": "yellow_flags", "view": view})[1] == {"name": "yellow_flags"}
    wanted = ids(server, **view)
    assert workspace.query("yellow_flags")["image_id"].to_pylist() == wanted != []
    assert ids(server, sort="score", saved="yellow_flags") == wanted
    assert workspace.export("yellow_flags", to=tmp_path / "out", format="csv").images == len(wanted)
    [(name, said, ours)] = server.desk.facets()["saved"]
    assert (name, ours) == ("yellow_flags", True) and said.startswith("Saved in the app")
    for bad in ("Two Words", "", "1st", "x" * 61, None, "../up"):
        status, found = server.ask("saved", {"act": "save", "name": bad, "view": view})
        assert (
            status == 400
            and found["error"]
            == "a name is of small letters, digits and _, begins with a letter, and has at most 60 of them"
        )
    for taken in ("yellow_flags", "reviews"):
        assert server.ask("saved", {"act": "save", "name": taken, "view": view})[0] == 409
    assert server.ask("saved", {"act": "rename", "name": "yellow_flags", "new": "yellow"})[0] == 200
    assert [query for query in workspace.queries() if "yellow" in query] == ["yellow"]
    assert workspace.query("yellow")["image_id"].to_pylist() == wanted
    assert server.ask("saved", {"act": "delete", "name": "yellow"})[0] == 200
    assert "yellow" not in workspace.queries() and server.ask("view", {"sort": "score", "saved": "yellow"})[0] == 404


def test_queries_of_a_person_are_offered_and_not_touched(workspace, server):
    folder = workspace.layout.queries
    folder.mkdir(exist_ok=True)
    (folder / "own.sql").write_text(
        "-- name: mine\n-- Blue ones.\nselect image_id from report.scores where uri like '%blue%'\n"
    )
    assert len(server.view(sort="score", saved="mine")) == 2
    for act in ({"act": "delete", "name": "mine"}, {"act": "rename", "name": "mine", "new": "yours"}):
        assert server.ask("saved", act)[0] == 404
    assert (folder / "own.sql").is_file()
    (folder / "own.sql").write_text("-- name: mine\nselect 1 as uri\n")
    assert server.ask("view", {"sort": "score", "saved": "mine"})[0] == 400
    status, found = server.ask(
        "saved", {"act": "save", "name": "odd", "view": {"sort": "score", "where": "name = '$x'"}}
    )
    assert status == 400 and "parameter" in found["error"]


def ended(server: Served) -> Mapping[str, object]:
    """What is said of an export once it has ended."""
    deadline = time.monotonic() + BRAKE_SECONDS
    while (found := server.desk._leaving.state())["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_a_selection_is_exported_as_the_command_does_and_over_nothing(workspace, server, tmp_path):
    numbers = server.view(sort="score")[3:7]
    wanted = ids(server, sort="given", among=numbers)
    said = {"numbers": numbers, "format": "csv", "to": "four"}
    assert server.ask("export", said)[0] == 200
    found = ended(server)
    assert found["fault"] == "" and found["said"] == f"4 images are in {workspace.layout.exports / 'four'}"
    [path] = (workspace.layout.exports / "four").glob("*.csv")
    with path.open() as file:
        assert [row["image_id"] for row in csv.DictReader(file)] == wanted
    before = path.read_bytes()
    server.ask("export", said)
    assert "finished" in str(ended(server)["fault"])
    server.ask("export", {**said, "numbers": numbers[:2]})
    assert "something else" in str(ended(server)["fault"])
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").write_text("theirs")
    server.ask("export", {**said, "to": str(tmp_path / "theirs")})
    assert "is not empty" in str(ended(server)["fault"])
    assert path.read_bytes() == before and [item.name for item in (tmp_path / "theirs").iterdir()] == ["file"]
    for wrong in ({"format": "gif"}, {"to": ""}, {"to": "a/b"}, {"to": "../up"}, {"to": "two\nlines"}, {"to": None}):
        status, answer = server.ask("export", {**said, **wrong})
        assert status == 400 and "\n" not in answer["error"], wrong
    assert server.ask("export", {**said, "numbers": [99]})[0] == 404


def test_one_export_is_under_way_at_a_time_and_one_that_was_cut_off_goes_on(workspace, server, tmp_path, monkeypatch):
    numbers, gate = server.view(sort="score"), threading.Event()
    real = leaving.run_export

    def slow(*given: Any, **more: Any) -> Any:
        assert gate.wait(BRAKE_SECONDS)
        raise CuratorError("cut off")

    monkeypatch.setattr(leaving, "run_export", slow)
    said = {"numbers": numbers, "format": "jsonl", "to": str(tmp_path / "all")}
    assert server.ask("export", said)[1]["running"] is True
    assert server.ask("export", said)[0] == 409
    gate.set()
    assert ended(server)["fault"] == "cut off"
    monkeypatch.setattr(leaving, "run_export", real)
    assert server.ask("export", said)[0] == 200
    assert (
        ended(server)["fault"] == ""
        and len(Path(next((tmp_path / "all").glob("*.jsonl"))).read_text().splitlines()) == 10
    )
