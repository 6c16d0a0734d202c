"""Text that cannot be kept is refused where it comes in, and one line that cannot be recorded costs itself alone."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from curator.errors import UsageError
from curator.review.journal import ASIDE
from curator.workspace import Workspace
from curator.workspace.app.desk import AppDesk
from curator.workspace.context import Context
from tests.app.serving import JSON, decision, serving
from tests.patience import BRAKE_SECONDS

HALF = "\ud83d"  # of a surrogate pair, as JSON spells it
HOSTILE = {
    f"so {HALF}": r"is no UTF-8 text: 'so \ud83d'",
    "a\0b": r"holds the control character \x00: 'a\x00b'",
    "\x1b]0;title\x07": r"holds the control character \x1b: '\x1b]0;title\x07'",
    "x" * 5000: "has 5000 characters, more than 2000",
}


def row(name: str, what: str = "ood", **more: str) -> str:
    when = "2026-01-30T12:00:00"
    return json.dumps({"image_id": name, "decision": what, "reviewer": "ann", "reviewed_at": when, **more})


def findings(workspace: Workspace) -> list[tuple[str, str, str | None]]:
    found = [item for item in workspace.doctor() if item.subject == "reviews"]
    return [(item.state, item.message, item.hint) for item in found]


@pytest.mark.parametrize("note", HOSTILE, ids=["half a pair", "NUL", "ESC", "long"])
def test_the_page_refuses_a_note_that_cannot_be_kept_and_says_why(note, call, workspace):
    with serving(workspace) as server:
        first, second, *_ = server.cards()
        status, said = server.decide(decision(first, "ood", note=note))
        assert status == 400
        assert said["error"] == f"note {HOSTILE[note]}"
        assert server.decide(decision(second, "id", note="one\ntwo\tü"))[0] == 200
    rows = workspace.sql("select image_id, note from report.reviews").to_pylist()
    assert rows == [{"image_id": second["image_id"], "note": "one\ntwo\tü"}]


def test_a_body_of_other_bytes_or_of_an_endless_length_gets_an_answer(call, workspace):
    with serving(workspace) as server:
        token = {"X_Curator_Token": server.token, **JSON}
        sent = json.dumps({"actions": [decision(server.cards()[0], "ood", note="@")]}).encode()
        for data in (sent.replace(b"@", b"\xff"), sent.replace(b"@", b"\xed\xa0\xbd"), b"\xff\xfe" + sent):
            assert call(f"{server.address}decisions", data=data, **token)[0] == 400
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=BRAKE_SECONDS)
        headers = {"Content-Type": "application/json", "X-Curator-Token": server.token, "Content-Length": "9" * 5000}
        connection.request("POST", f"/{server.token}/decisions", headers=headers)
        assert connection.getresponse().status in (400, 413)
        connection.close()
        assert server.desk.decisions.taken_down == 0


def test_a_line_that_cannot_be_recorded_costs_itself_alone(workspace, images, tmp_path, caplog):
    """What a disk or an older release has left in the journal of a page that was killed."""
    good = [row(images["yellow-3"]), row(images["red-0"], "id"), row(images["blue-2"])]
    bad = [row(images["green-1"], note=HALF), row("0" * 32), "\0" * 40]
    workspace.layout.reviews.mkdir()
    path = workspace.layout.reviews / "pending-dead.jsonl"
    path.write_text("".join(f"{line}\n" for pair in zip(good, bad, strict=True) for line in pair), encoding="utf-8")
    (state, message, _), waiting = findings(workspace)
    assert (state, waiting[1][:17]) == ("warning", "4 decisions wait:")
    assert message.endswith(
        f"{path.name}: 2 decisions that cannot be recorded; line 2: note is no UTF-8 text: '\\ud83d'"
    )

    workspace.reviews.export_to(tmp_path / "left.csv")
    counted = workspace.sql("select count(*) as n from report.reviews")["n"].to_pylist()
    assert counted == [3] and all(result.healthy for result in workspace.check())
    (aside,) = workspace.layout.reviews.iterdir()
    assert aside.match(ASIDE) and aside.read_text().splitlines() == bad
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"{path}: line 2 could not be recorded: note is no" in warning and "and 2 more lines; kept in" in warning
    caplog.clear()
    workspace.reviews.export_to(tmp_path / "again.csv")
    assert not [record for record in caplog.records if record.levelname == "WARNING"], "it is said once"


def test_what_doctor_says_of_lines_kept_aside_works(workspace, images, tmp_path):
    workspace.layout.reviews.mkdir()
    aside = workspace.layout.reviews / "rejected-dead.jsonl"
    aside.write_text(row(images["green-1"], note=f"moss {HALF}") + "\n")
    ((state, message, hint),) = findings(workspace)
    assert state == "warning" and "line 1: note is no UTF-8 text: 'moss \\ud83d'" in message
    assert hint == f"mend it, run `curator review import {aside}`, then remove the file"
    refused = workspace.reviews.import_from(aside, reviewer="ann")
    assert (refused.recorded, refused.faults[0].where) == (0, "line 1")
    aside.write_text(aside.read_text().replace("\\ud83d", "\\ud83c\\udf33"))
    assert workspace.reviews.import_from(aside, reviewer="ann").recorded == 1
    aside.unlink()
    assert findings(workspace) == []
    assert workspace.sql("select note, reviewer from report.reviews").to_pylist() == [
        {"note": "moss \U0001f333", "reviewer": "ann"}
    ]


def test_a_journal_that_cannot_be_read_stops_nothing_and_is_named(workspace, images, tmp_path):
    workspace.layout.reviews.mkdir()
    (workspace.layout.reviews / "pending-a.jsonl").mkdir()
    (workspace.layout.reviews / "pending-b.jsonl").write_text(row(images["red-0"], "id") + "\n")
    workspace.reviews.export_to(tmp_path / "left.csv")
    assert workspace.sql("select count(*) as n from report.reviews")["n"].to_pylist() == [1]
    ((state, message, hint),) = findings(workspace)
    assert state == "failed" and message.endswith("pending-a.jsonl: cannot be read: Is a directory")
    (workspace.layout.reviews / "pending-a.jsonl").rename(tmp_path / "away")  # as the hint says
    assert "or move it away" in (hint or "") and findings(workspace) == []
    workspace.layout.reviews.rmdir()
    workspace.layout.reviews.write_text("")
    assert [state for state, *_ in findings(workspace)] == ["failed"]


def test_an_import_records_the_lines_around_a_bad_one_and_names_it(workspace, images, tmp_path, run_cli):
    path = tmp_path / "x.jsonl"
    folder = workspace.layout.root
    path.write_text("\n".join([row(images["red-0"], "id"), row(images["blue-2"], note=HALF), row(images["yellow-3"])]))
    said = run_cli("review", "import", path, folder=folder)
    assert said.stderr == f"curator: {path}: line 2: note is no UTF-8 text: '\\ud83d'\n"
    assert workspace.sql("select count(*) as n from report.reviews")["n"].to_pylist() == [2]
    path.write_text(row(images["blue-2"], note=HALF))
    assert "no line of it can be used" in run_cli("review", "import", path, folder=folder, code=3).stderr
    assert run_cli("bank", "propose", folder=folder).stderr == ""


@pytest.mark.parametrize("name", [HALF, "ann\x1b[2J", "x" * 101, " "])
def test_a_reviewer_whose_name_cannot_be_kept_is_refused_at_the_start(name, workspace, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("")
    with pytest.raises(UsageError, match="the reviewer "):
        workspace.reviews.import_from(path, reviewer=name)
    with pytest.raises(UsageError, match="the reviewer "):
        AppDesk(Context(workspace.layout, workspace.config), reviewer=name)


def test_label_studio_and_fiftyone_files_with_texts_that_cannot_be_kept(workspace, images, tmp_path):
    def choice(note: str) -> list[object]:
        said = {"decision": {"choices": ["ood"]}, "note": {"text": [note]}}
        return [{"from_name": name, "value": value} for name, value in said.items()]

    odd = [{}, {"tags": 5}, {"tags": [[]]}, {"image_id": [], "decision": {"label": {}}}, None]
    names = [images[name] for name in ("red-0", "green-1", "blue-2")]
    notes = ["fine", HALF, "good"]
    tasks = [
        {"data": {"image_id": name}, "annotations": [{"result": choice(note), "completed_by": 1}]}
        for name, note in zip(names, notes, strict=True)
    ]
    odd_results = [{"result": [{"from_name": {}, "value": 1}, 5]}, {"result": 5}, 5, {"result": [], "completed_by": []}]
    odd_tasks = [{"data": {}}, {"data": 5}, {"data": {}, "annotations": odd_results}, {"decision": {"choices": {}}}]
    (tmp_path / "tasks.json").write_text(json.dumps([*tasks, *odd_tasks]))
    samples = [{"image_id": name, "tags": ["ood"], "note": note} for name, note in zip(names, notes, strict=True)]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "samples.json").write_text(json.dumps({"samples": [*samples, *odd]}))
    for path, where in (("tasks.json", "task 2"), ("set", "sample 2")):
        found = workspace.reviews.import_from(tmp_path / path, reviewer="ann")
        assert found.recorded == 2
        assert found.faults[0].where == where and "note is no UTF-8 text" in found.faults[0].reason


def test_files_of_other_kinds_of_text_are_one_line(workspace, tmp_path, run_cli):
    def refused(name: str, data: bytes, code: int = 2) -> str:
        path = Path(tmp_path / name)
        path.write_bytes(data)
        return run_cli("review", "import", path, folder=workspace.layout.root, code=code).stderr

    assert "is UTF-16 text" in refused("a.csv", "image_id,decision".encode("utf-16"))
    assert "is empty" in refused("b.csv", b"")
    assert "has no column decision" in refused("c.csv", b"image_id,\0decision\n")
    assert "first line is not CSV" in refused("d.csv", b'"image_id"x,decision\n')
    assert "is not JSON" in refused("e.json", b"[{")
    for stderr in (refused("f.json", b'{"a": "\\ud800"}'), refused("g.json", b"\xff")):
        assert stderr.count("\n") == 1
