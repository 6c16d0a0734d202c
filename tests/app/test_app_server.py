"""The server of the app over real HTTP: who gets in, what is refused, and where decisions end up."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from curator.app.server import AppServer
from curator.errors import UsageError
from curator.store import Database
from curator.workspace import Workspace
from curator.workspace.app import desk
from curator.workspace.app.desk import keep_up
from curator.workspace.app.serve import serve_app
from curator.workspace.context import Context
from curator.workspace.session import writing
from tests.app.serving import JSON, Served, decision, serving, unpacked
from tests.patience import BRAKE_SECONDS


@pytest.fixture
def server(workspace: Workspace) -> Iterator[Served]:
    with serving(workspace) as found:
        yield found


def test_who_has_the_address_gets_the_page_its_pictures_and_nothing_else(call, server):
    status, body, headers = call(server.address)
    assert status == 200 and b"<title>curator" in body
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["referrer-policy"] == "no-referrer" and headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers and headers["cache-control"] == "no-store"
    for name, kind in (("app.js", "text/javascript"), ("app.css", "text/css"), ("icon.svg", "image/svg+xml")):
        assert call(f"{server.address}{name}")[2]["content-type"].startswith(kind)
    for card in server.cards(sort="score"):
        for folder in ("thumbnails", "pictures"):
            status, body, headers = call(f"{server.address}{folder}/{card['image_id']}")
            assert (status, headers["content-type"], body[:4]) == (200, "image/webp", b"RIFF")
            assert headers["cache-control"].startswith("private") and headers["x-frame-options"] == "DENY"
    nothing = (
        "nothing",
        "app",
        "app.html",
        "thumbnails/",
        f"pictures/{'0' * 32}",
        f"other/{card['image_id']}",
        "app.js/",
    )
    for path in (*nothing, "../curator.toml", "%2e%2e/curator.toml", "%2e%2e%2fcurator.toml", "guard.py", "view"):
        assert call(server.address + path)[0] == 404, path


def test_the_server_listens_on_loopback_only(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_no_answer_waits_until_its_head_is_acknowledged(server):
    assert server.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_map_waits_until_the_first_grid_is_in_sight(workspace, monkeypatch):
    with serving(workspace) as server:
        keep_up(server.desk, is_time_to_record=False)
        assert not server.desk.state()["landscape"], "nobody has looked yet"
        monkeypatch.setattr(desk, "BUSY_SECONDS", -1.0)
        server.cards()
        keep_up(server.desk, is_time_to_record=False)
        assert server.desk.state()["landscape"]


def test_every_request_needs_the_token(call, server):
    root = f"http://127.0.0.1:{server.port}/"
    paths = ("", "app.js", "state", "decisions", f"{server.token[:-1]}/state", f"{server.token}x/state", "%C3%A4/state")
    for path in paths:
        assert call(root + path)[0] == 403, path
    status, body, headers = call(f"{root}decisions", {}, **JSON, X_Curator_Token=server.token)
    assert status == 403 and server.token.encode() not in body and "content-security-policy" in headers


def test_another_name_for_this_machine_is_refused(call, server):
    """A site whose name was pointed here sends its own name as the host."""
    port = server.port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port}.x", ""):
        assert call(server.address, Host=host)[0] == 403, host
    assert call(server.address, Host=f"localhost:{port}")[0] == 200


def test_a_write_needs_a_header_that_no_form_and_no_other_site_can_send(call, server):
    address = f"{server.address}decisions"
    good = {"actions": [decision(server.cards()[0], "id")]}
    token = {"X_Curator_Token": server.token}
    assert call(address, good, **JSON)[0] == 403
    assert call(address, good, **JSON, X_Curator_Token="x")[0] == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert call(address, good, Content_Type=kind, **token)[0] == 415
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{server.port + 1}"):
        assert call(address, good, **JSON, **token, Origin=origin)[0] == 403
    assert call(server.address + "state", good, **JSON, **token)[0] == 404
    assert call(address, good, Content_Type="application/octet-stream", **token)[0] == 404
    for method in ("DELETE", "OPTIONS", "PUT"):
        assert call(address, method=method)[0] == 405
    assert server.desk.decisions.taken_down == 0
    assert call(address, good, **JSON, **token, Origin=f"http://127.0.0.1:{server.port}")[0] == 200


NO_DECISIONS = [
    ({"decision": "perhaps"}, 400), ({"decision": None}, 400), ({"numbers": [99]}, 404), ({"numbers": []}, 404),
    ({"numbers": ["0"]}, 400), ({"numbers": [True]}, 400), ({"numbers": [-1]}, 400), ({"numbers": None}, 400),
    ({"numbers": [2**70]}, 400), ({"note": "x" * 5000}, 400), ({"note": {}}, 400), ({"action": None}, 400),
    ({"action": "x" * 65}, 400), ({"undo": "what was never done"}, 404),
]  # fmt: skip


def test_a_decision_about_what_is_not_here_is_refused(server):
    card = server.cards()[0]
    for change, status in NO_DECISIONS:
        assert server.decide(decision(card, "id") | change)[0] == status, change
    assert server.desk.decisions.taken_down == 0


def test_bodies_that_are_no_decision_are_refused(call, server):
    address, token = f"{server.address}decisions", {"X_Curator_Token": server.token}
    for data in (b"", b"nonsense", b"[1]", b"[" * 10_000, b'{"actions": 5}', b'{"actions": [5]}', b'{"actions": [{}]}'):
        assert call(address, data=data, **JSON, **token)[0] == 400, data[:20]
    assert server.ask("decisions", {"actions": [decision([0], "id")] * 201})[0] == 400
    for length, status in (("", 411), ("-5", 411), (f"{3 << 20}", 413)):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=BRAKE_SECONDS)
        connection.putrequest("POST", f"/{server.token}/decisions")
        for name, value in {"Content-Type": "application/json", "X-Curator-Token": server.token}.items():
            connection.putheader(name, value)
        if length:
            connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status in (status, 400 if length == "-5" else status), length
        connection.close()


NO_VIEWS = [
    {"sort": "other"}, {"reviewed": "other"}, {"flagged": "yes"}, {"cluster": "one"}, {"where": 5},
    {"where": "x" * 10_001}, {"among": "all"}, {"where": "nothing = 1"}, {"where": "1=1; drop table review"},
    {"where": "(select count(*) from read_text('/etc/passwd')) > 0"},
]  # fmt: skip


def test_a_view_that_is_none_is_one_line(server):
    for view in NO_VIEWS:
        status, said = server.ask("view", view)
        assert status == 400 and said["error"] and "\n" not in said["error"], view


def test_a_port_that_is_taken_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match=f"port {taken.getsockname()[1]} cannot be used"):
            AppServer(None, port=taken.getsockname()[1])  # type: ignore[arg-type]


def test_decisions_are_recorded_at_the_end_and_what_was_undone_is_not_held(workspace):
    with serving(workspace) as server:
        first, second, *_ = server.cards()
        one, two = decision(first, "ood", wrong_label="yellow", note="sky"), decision(second, "id")
        assert server.decide(one, two)[0] == 200
        status, said = server.decide({"action": "back", "undo": two["action"]})
        assert status == 200 and set(said["restored"][0]["codes"]) == {0}
        assert first["number"] in server.view(reviewed="ood", sort="score")
        assert second["number"] in server.view(reviewed="open", sort="score")
        assert workspace.sql("select count(*) as n from review")["n"].to_pylist() == [0]
    rows = workspace.sql(
        "select image_id, decision, wrong_label, note, reviewer, origin from report.reviews"
    ).to_pylist()
    assert rows == [
        {"image_id": first["image_id"], "decision": "ood", "wrong_label": "yellow", "note": "sky", "reviewer": "ann",
         "origin": "page"}
    ]  # fmt: skip
    assert workspace.sql("select count(*) as n from review")["n"].to_pylist() == [3], "rows are only added"
    assert not any(workspace.layout.reviews.iterdir())
    assert all(result.healthy for result in workspace.check())


def test_undo_brings_back_what_the_reviewer_had_said_before(workspace, images, decide):
    decide({"image_id": images["blue-2"], "decision": "unsure", "note": "far"})
    with serving(workspace) as server:
        number = server.desk._numbers.of[images["blue-2"]]
        for what in ("id", "ood"):
            assert server.decide(decision([number], what, groups=False))[0] == 200
        later = decision([number], "bad_image", groups=False)
        server.decide(later)
        server.decide({"action": "x", "undo": later["action"]})
        assert server.view(reviewed="ood", sort="score") == [number]
    with serving(workspace) as server:
        one = decision([number], "bad_image", groups=False)
        server.decide(one, {"action": "x", "undo": one["action"]}, {"action": "y", "undo": one["action"]})
    held = workspace.sql("select decision, note from report.reviews").to_pylist()
    assert held == [{"decision": "ood", "note": None}]


def test_an_action_that_is_sent_again_is_done_once(workspace):
    with serving(workspace) as server:
        one = decision([0, 1, 2], "ood", groups=False)
        for _ in range(3):
            assert server.decide(one)[1]["saved"] == 1
    assert workspace.sql("select count(*) as n from review")["n"].to_pylist() == [3]


def test_an_action_that_is_sent_again_to_the_next_server_is_recorded_once_and_holds_as_of_when_it_was_done(workspace):
    at = int(time.time() * 1000) - 5000
    one = decision([0, 1], "ood", groups=False, at=at)
    tag = {"action": "t", "tag": "seen", "given": True, "numbers": [2], "at": at + 1}
    with serving(workspace) as server:
        assert server.decide(one, tag)[0] == 200
    with serving(workspace) as server:
        assert server.decide(decision([1], "id", groups=False, at=at + 2000))[0] == 200
        for action in (one, tag):
            assert server.decide(action | {"late": True})[0] == 200
        for wrong in ("now", True, -1, 0.5, 1 << 60):
            assert server.decide(decision([0], "id", at=wrong))[0] == 400, wrong
        ids = list(server.desk._numbers.of)
    rows = workspace.sql("select image_id, decision from review order by review_number").to_pylist()
    assert [(row["image_id"], row["decision"]) for row in rows] == [(ids[0], "ood"), (ids[1], "ood"), (ids[1], "id")]
    held = workspace.sql("select image_id, decision from report.reviews").to_pylist()
    assert {row["image_id"]: row["decision"] for row in held} == {ids[0]: "ood", ids[1]: "id"}
    assert workspace.sql("select count(*) as n from tagging")["n"].to_pylist() == [1]


def test_a_time_that_lies_ahead_rules_over_nothing(workspace):
    with serving(workspace) as server:
        ahead = int(time.time() * 1000) + 10**9
        server.decide(decision([0], "ood", groups=False, at=ahead))
        server.decide(decision([0], "id", groups=False))
    assert workspace.sql("select decision from report.reviews")["decision"].to_pylist() == ["id"]


def test_while_another_run_writes_decisions_wait_and_then_are_recorded_once(workspace):
    with serving(workspace) as server:
        first, second, *_ = server.cards()
        with writing(workspace._context, "scan", {}):
            assert server.decide(decision(first, "ood"))[0] == 200
            assert server.desk.decisions.record() is False
        assert server.desk.decisions.record() is True
        server.decide(decision(second, "id"))
        assert server.desk.decisions.record() is True and server.desk.decisions.record() is True
    held = workspace.sql("select decision from report.reviews order by decision")["decision"].to_pylist()
    assert held == ["id", "ood"]


def test_a_new_snapshot_is_followed_and_images_keep_their_numbers(call, workspace, decide, images, scanned, tmp_path):
    from PIL import Image

    with serving(workspace) as server:
        before = {card["image_id"]: card["number"] for card in server.cards(sort="score")}
        assert server.desk.follow() is False
        mine = decision([before[images["red-0"]]], "id", groups=False)
        server.decide(mine)
        decide({"image_id": images["blue-2"], "decision": "ood"}, reviewer="bob")
        lake = tmp_path / "more"
        lake.mkdir()
        Image.new("RGB", (40, 30), "orange").save(lake / "orange.png")
        workspace.scan(scanned / "lake", lake)
        assert server.desk.follow() is True
        after = {card["image_id"]: card["number"] for card in server.cards(sort="score")}
        assert len(after) == len(before) + 1 and before.items() <= after.items()
        columns = unpacked(call(f"{server.address}columns")[1])
        assert columns["generation"] == 2
        assert columns["decision"][before[images["red-0"]]] == 1, "not recorded yet, and still shown"
        assert columns["decision"][before[images["blue-2"]]] == 2
        (new,) = set(after) - set(before)
        assert call(f"{server.address}thumbnails/{new}")[0] == 200
        server.desk.decisions.record()
        decide({"image_id": images["red-0"], "decision": "ood"}, reviewer="bob")
        assert server.desk.follow() is True
        assert server.view(reviewed="disputed", sort="score") == [before[images["red-0"]]]


@contextmanager
def served(workspace: Workspace) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`curator review serve`, the other name of `curator app`, as a process of its own, and its address."""
    command = [sys.executable, "-m", "curator", "-w", str(workspace.layout.root), "review", "serve"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, "--reviewer", "ann"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        line = process.stdout.readline()  # type: ignore[union-attr]
        assert "images at http://127.0.0.1:" in line, line + process.stderr.read()  # type: ignore[union-attr]
        yield process, line.split(" at ")[1].split()[0]
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def post(call, address: str, number: int, what: str) -> int:
    token = address.rstrip("/").rpartition("/")[2]
    said = {"actions": [decision([number], what)]}
    return call(f"{address}decisions", said, **JSON, X_Curator_Token=token)[0]


@pytest.mark.slow
def test_a_killed_server_loses_nothing_and_a_stopped_one_leaves_nothing(call, workspace):
    with served(workspace) as (process, address):
        assert post(call, address, 0, "ood") == 200
        process.send_signal(signal.SIGKILL)
        process.wait(BRAKE_SECONDS)
    assert len(list(workspace.layout.reviews.iterdir())) == 1
    with served(workspace) as (process, address):  # records what the other has left
        columns = unpacked(call(f"{address}columns")[1])
        assert columns["decision"][0] == 2
        assert post(call, address, int(columns["decision"].tolist().index(0)), "id") == 200
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=BRAKE_SECONDS)
        assert (process.returncode, said) == (0, "1 decisions\n")
        assert complaints == "recorded 1 decisions that a review page had left\n"
    rows = workspace.sql("select decision from report.reviews order by decision")["decision"].to_pylist()
    assert rows == ["id", "ood"] and not any(workspace.layout.reviews.iterdir())


def test_ctrl_c_while_the_address_is_printed_ends_it_as_ever(workspace):
    def interrupted(address: str, images: int) -> None:
        raise KeyboardInterrupt

    context = Context(workspace.layout, workspace.config)
    ended = serve_app(context, port=0, reviewer="ann", ready=interrupted, ended=threading.Event())
    assert ended == (0, True) and not any(workspace.layout.reviews.iterdir())


def test_what_a_killed_server_left_waits_while_another_run_writes(workspace, tmp_path):
    with serving(workspace) as server:
        item = decision(server.cards()[0], "ood")
        server.decide(item)
        left = server.desk.decisions._journal.path.read_bytes()
        server.decide({"action": "x", "undo": item["action"]})
    path = workspace.layout.reviews / "pending-dead.jsonl"
    path.write_bytes(left)
    with writing(workspace._context, "scan", {}):
        workspace.reviews.export_to(tmp_path / "a.csv")
    assert path.read_bytes() == left
    workspace.reviews.export_to(tmp_path / "b.csv")
    assert not path.exists(), "known by its content: recorded once, and not again"
    assert workspace.sql("select count(*) as n from review")["n"].to_pylist() == [2]


def test_a_snapshot_of_an_earlier_release_is_published_anew(workspace):
    with Database.open(workspace.layout.snapshot) as database:
        database.execute("drop view report.tags")
        database.execute("create or replace macro views_digest() as 'of an earlier release'")
    workspace.layout.ledger.write_bytes(workspace.layout.snapshot.read_bytes())
    with serving(workspace) as server:
        assert server.desk.facets()["tag"] == [] and len(server.cards()) == 5
