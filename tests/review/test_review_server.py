"""The server of the review page over real HTTP: who gets in, what is refused, and where decisions end up."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from curator.errors import UsageError
from curator.review.server import ReviewServer
from curator.workspace import Workspace
from curator.workspace.context import Context
from curator.workspace.review.desk import ReviewDesk, serve_review
from curator.workspace.session import writing
from tests.patience import BRAKE_SECONDS

JSON = {"Content_Type": "application/json"}


@contextmanager
def serving(workspace: Workspace) -> Iterator[ReviewServer]:
    desk = ReviewDesk(Context(workspace.layout, workspace.config), reviewer="ann", limit=50)
    with ReviewServer(desk) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            desk.close()


@pytest.fixture
def server(workspace: Workspace) -> Iterator[ReviewServer]:
    with serving(workspace) as found:
        yield found


def items_of(call, address: str):
    return json.loads(call(f"{address}items")[1])["items"]


def decision(item, what: str, **more):
    return {"image_id": item["image_id"], "group_id": item["group_id"], "decision": what, **more}


def test_who_has_the_address_gets_the_page_its_pictures_and_nothing_else(call, server):
    status, body, headers = call(server.address)
    assert status == 200 and b"<title>Review" in body
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers and headers["Cache-Control"] == "no-store"
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css"), ("icon.svg", "image/svg+xml")):
        assert call(f"{server.address}{name}")[2]["Content-Type"].startswith(kind)
    item = items_of(call, server.address)[0]
    for image_id in (item["image_id"], *item["members"]):
        status, body, headers = call(f"{server.address}pictures/{image_id}")
        assert (status, headers["Content-Type"], body[:4]) == (200, "image/webp", b"RIFF")
    for path in ("nothing", "pictures/", f"pictures/{'0' * 32}", "../curator.toml", "%2e%2e/curator.toml", "page.js/"):
        assert call(server.address + path)[0] == 404, path


def test_the_server_listens_on_loopback_only(server):
    assert server.server_address[0] == "127.0.0.1"


def test_every_request_needs_the_token(call, server):
    root = f"http://127.0.0.1:{server.server_port}/"
    for path in (
        "",
        "page.js",
        "items",
        "decisions",
        f"{server.token[:-1]}/items",
        f"{server.token}x/items",
        "ä/items",
    ):
        assert call(root + path.replace("ä", "%C3%A4"))[0] == 403, path
    status, body, _ = call(f"{root}decisions", {}, **JSON, X_Curator_Token=server.token)
    assert status == 403 and server.token.encode() not in body


def test_another_name_for_this_machine_is_refused(call, server):
    """A site whose name was pointed here sends its own name as the host."""
    for host in (
        "evil.example",
        f"evil.example:{server.server_port}",
        "127.0.0.1",
        f"127.0.0.1:{server.server_port}.x",
        "",
    ):
        assert call(server.address, Host=host)[0] == 403, host
    assert call(server.address, Host=f"localhost:{server.server_port}")[0] == 200


def test_a_write_needs_a_header_that_no_form_and_no_other_site_can_send(call, server, workspace):
    address = f"{server.address}decisions"
    good = decision(items_of(call, server.address)[0], "id")
    token = {"X_Curator_Token": server.token}
    assert call(address, good, **JSON)[0] == 403
    assert call(address, good, **JSON, X_Curator_Token="x")[0] == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert call(address, good, Content_Type=kind, **token)[0] == 415
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{server.server_port + 1}"):
        assert call(address, good, **JSON, **token, Origin=origin)[0] == 403
    assert call(server.address + "items", good, **JSON, **token)[0] == 404
    assert call(address, method="DELETE")[0] == 501 and call(address, method="OPTIONS")[0] == 501
    assert not list(workspace.layout.reviews.glob("*.jsonl")) or server.desk.taken_down == 0
    assert call(address, good, **JSON, **token, Origin=f"http://127.0.0.1:{server.server_port}")[0] == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"decision": "perhaps"}, 400), ({"decision": None}, 404), ({"image_id": "0" * 32}, 404),
        ({"group_id": "0" * 32}, 404), ({"image_id": 7}, 400), ({"note": "x" * 5000}, 400), ({"note": {}}, 400),
    ],
)  # fmt: skip
def test_a_decision_about_what_is_not_on_the_desk_is_refused(change, status, call, server):
    sent = decision(items_of(call, server.address)[0], "id") | change
    assert call(f"{server.address}decisions", sent, **JSON, X_Curator_Token=server.token)[0] == status
    assert server.desk.taken_down == 0


def test_bodies_that_are_no_decision_are_refused(call, server):
    address, token = f"{server.address}decisions", {"X_Curator_Token": server.token}
    for data in (b"", b"nonsense", b"[1]", b"[" * 10_000):
        assert call(address, data=data, **JSON, **token)[0] == 400, data[:10]
    assert call(address, data=b" " * 20_000, **JSON, **token)[0] == 413
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=BRAKE_SECONDS)
    connection.putrequest("POST", f"/{server.token}/decisions")
    for name, value in {"Content-Type": "application/json", "X-Curator-Token": server.token}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_a_port_that_is_taken_is_one_clear_line(workspace):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match=f"port {taken.getsockname()[1]} cannot be used"):
            ReviewServer(None, port=taken.getsockname()[1])  # type: ignore[arg-type]


def test_decisions_are_recorded_at_the_end_and_what_was_undone_is_not_held(call, workspace):
    with serving(workspace) as server:
        token = {"X_Curator_Token": server.token, **JSON}
        first, second, *_ = items_of(call, server.address)
        send = f"{server.address}decisions"
        call(send, decision(first, "ood", wrong_label="yellow", note="sky"), **token)
        call(send, decision(second, "id"), **token)
        call(send, decision(second, "withdrawn"), **token)
        shown = items_of(call, server.address)
        assert (shown[0]["decision"], shown[0]["wrong_label"], shown[1]["decision"]) == ("ood", "yellow", None)
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


def test_while_another_run_writes_decisions_wait_and_then_are_recorded_once(call, workspace):
    with serving(workspace) as server:
        token = {"X_Curator_Token": server.token, **JSON}
        first, second, *_ = items_of(call, server.address)
        with writing(workspace._context, "scan", {}):
            assert call(f"{server.address}decisions", decision(first, "ood"), **token)[0] == 200
            assert server.desk.record() is False
        assert server.desk.record() is True
        call(f"{server.address}decisions", decision(second, "id"), **token)
        assert server.desk.record() is True and server.desk.record() is True
    assert workspace.sql("select decision from report.reviews order by decision")["decision"].to_pylist() == [
        "id",
        "ood",
    ]


@contextmanager
def served(workspace: Workspace) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`curator review serve` as a process of its own, and its address."""
    command = [
        sys.executable,
        "-m",
        "curator",
        "-w",
        str(workspace.layout.root),
        "review",
        "serve",
        "--reviewer",
        "ann",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    try:
        line = process.stdout.readline()  # type: ignore[union-attr]
        assert "groups to review at http://127.0.0.1:" in line, line + process.stderr.read()  # type: ignore[union-attr]
        yield process, line.split(" at ")[1].split()[0]
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def post(call, address: str, item, what: str) -> int:
    token = address.rstrip("/").rpartition("/")[2]
    return call(f"{address}decisions", decision(item, what), **JSON, X_Curator_Token=token)[0]


def test_a_killed_server_loses_nothing_and_a_stopped_one_leaves_nothing(call, workspace):
    with served(workspace) as (process, address):
        first, second, *_ = items_of(call, address)
        assert post(call, address, first, "ood") == 200
        process.send_signal(signal.SIGKILL)
        process.wait(BRAKE_SECONDS)
    assert len(list(workspace.layout.reviews.iterdir())) == 1
    with served(workspace) as (process, address):  # records what the other has left
        assert first["image_id"] not in [item["image_id"] for item in items_of(call, address)]
        assert post(call, address, second, "id") == 200
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=BRAKE_SECONDS)
        assert (process.returncode, said) == (0, "1 decisions\n")
        assert complaints == "recorded 1 decisions that a review page had left\n"
    rows = workspace.sql("select decision from report.reviews order by decision")["decision"].to_pylist()
    assert rows == ["id", "ood"] and not any(workspace.layout.reviews.iterdir())


def test_ctrl_c_while_the_address_is_printed_ends_it_as_ever(workspace):
    def interrupted(address: str, groups: int) -> None:
        raise KeyboardInterrupt

    context = Context(workspace.layout, workspace.config)
    ended = serve_review(context, port=0, reviewer="ann", limit=5, ready=interrupted, ended=threading.Event())
    assert ended == (0, True) and not any(workspace.layout.reviews.iterdir())


def test_what_a_killed_server_left_waits_while_another_run_writes(call, workspace, tmp_path, caplog):
    with serving(workspace) as server:
        item = items_of(call, server.address)[0]
        call(f"{server.address}decisions", decision(item, "ood"), **JSON, X_Curator_Token=server.token)
        left = server.desk._journal.path.read_bytes()
        call(f"{server.address}decisions", decision(item, "withdrawn"), **JSON, X_Curator_Token=server.token)
    path = workspace.layout.reviews / "pending-dead.jsonl"
    path.write_bytes(left)
    with writing(workspace._context, "scan", {}):
        workspace.reviews.export_to(tmp_path / "a.csv")
    assert path.read_bytes() == left
    workspace.reviews.export_to(tmp_path / "b.csv")
    assert not path.exists(), "known by its content: recorded once, and not again"
    assert workspace.sql("select count(*) as n from review")["n"].to_pylist() == [2]


def test_nothing_to_review_is_said_at_once(workspace, decide, run_cli):
    rows = workspace.sql("select image_id, group_id from report.review_queue").to_pylist()
    decide(*({**row, "decision": "ood"} for row in rows))
    said = run_cli("review", "serve", folder=workspace.layout.root, code=2)
    assert "there is nothing to review" in said.stderr
    assert not any(workspace.layout.reviews.iterdir())
