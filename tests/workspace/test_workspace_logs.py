"""The log of a scan, for programs and for people."""

from __future__ import annotations

import json
import subprocess

from tests import interpreter
from tests.patience import BRAKE_SECONDS


def scan(workspace, *arguments: object, code: int):
    command = [*interpreter.command(), "-m", "curator", "-w", str(workspace.layout.root), "--log-format", "json"]
    command += ["scan", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BRAKE_SECONDS)
    assert done.returncode == code, done.stderr
    return done


def test_every_line_of_stderr_is_an_object_and_the_stages_are_there(workspace, lake):
    done = scan(workspace, lake, "--workers", "0", "--fail-on", "rejects>1", code=4)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all({"time", "level", "run_id", "message"} <= line.keys() for line in lines)
    events = {line["stage"] if line.get("event") == "stage" else line.get("event"): line for line in lines}
    assert {"scan_begin", "list", "read", "score", "near_duplicates", "scan_end", "exit"} <= events.keys()
    end = events["scan_end"]
    assert {events[name]["run_id"] for name in ("scan_begin", "list", "read", "score")} == {end["run_id"]}
    assert events["list"]["sources"][0]["objects_new"] == 17
    assert (events["read"]["images"], events["read"]["rejects"]) == (14, 3)
    assert all(events[name]["seconds"] >= 0 for name in ("list", "read", "score", "near_duplicates", "scan_end"))
    assert (end["images"], end["duplicates"], end["rejects"], end["ending"]) == (14, 4, 3, "condition")
    assert (events["exit"]["level"], events["exit"]["exit_code"]) == ("error", 4) and "rejects is 3" in events["exit"][
        "message"
    ]


def test_bad_condition_is_an_object_too(workspace, lake):
    (line,) = scan(workspace, lake, "--fail-on", "x>1", code=2).stderr.splitlines()
    assert json.loads(line)["exit_code"] == 2


def test_people_do_not_see_the_events(workspace, lake, run_cli):
    said = run_cli("scan", lake, folder=workspace.layout.root).stderr
    assert "near_duplicates:" not in said and "the scan begins" not in said
    assert "encoder fake" in said


WARNS = """
import logging, warnings
from curator.workspace.logs import configure_logs
configure_logs(style="json")
warnings.warn("of a package")
logging.getLogger("another.package").warning("with its\\nlines")
raise ValueError("a bug")
"""


def test_warnings_of_others_and_the_traceback_of_a_bug_are_objects():
    done = subprocess.run([*interpreter.command(), "-c", WARNS], capture_output=True, text=True, timeout=BRAKE_SECONDS)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "warning", "critical"]
    assert "of a package" in lines[0]["message"] and lines[1]["message"] == "with its\nlines"
    assert "Traceback" in lines[2]["traceback"] and done.returncode == 1


def test_an_error_with_its_traceback_is_one_object(run_cli):
    for words in (["--log-format", "json"], ["--log-format", "json", "-v"]):
        (line,) = run_cli(*words, "-w", "/", "doctor", code=2).stderr.splitlines()
        assert ("traceback" in json.loads(line)) == ("-v" in words)
        assert json.loads(line)["hint"].startswith("make one with")
