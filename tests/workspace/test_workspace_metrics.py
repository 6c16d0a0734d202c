"""The metrics file: valid exposition text, the night's figures, and written however the run ends."""

from __future__ import annotations

import re
import time
from itertools import chain

import duckdb
import pytest

from curator.cli.exit_codes import EXIT_CODES
from curator.errors import SourceError, UsageError
from curator.lake.sources.local import LocalSource
from curator.types import Reject
from curator.workspace import Workspace
from curator.workspace.lock import hold_lock
from curator.workspace.night.metrics import Metric

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)")
UNITS = ("_seconds", "_bytes", "_total", "_images", "_info")


def parse(text: str) -> dict[str, dict[str, float]]:
    """Samples by name and label text. Fails on anything that the exposition format does not allow: HELP and TYPE once
    and before the samples of a metric, samples of a metric together, no sample twice, a newline at the end."""
    assert text.endswith("\n") and "\n\n" not in text
    found: dict[str, dict[str, float]] = {}
    kinds: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        if match := re.fullmatch(rf"# HELP ({NAME}) [^\n]+", line):
            current = match[1]
            assert current not in found
            found[current] = {}
        elif match := re.fullmatch(rf"# TYPE ({NAME}) (gauge|counter)", line):
            assert match[1] == current and not found[current]
            kinds[current] = match[2]
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] == current and kinds[current] == ("counter" if current.endswith("_total") else "gauge")
            assert (sample[2] or "") not in found[current]
            found[current][sample[2] or ""] = float(sample[3])
    assert all(found.values()) and found.keys() == kinds.keys()
    return found


@pytest.fixture
def metrics_file(tmp_path):
    return tmp_path / "curator.prom"


@pytest.fixture
def watched(workspace, metrics_file) -> Workspace:
    return Workspace.open(workspace.layout.root, overrides={"scan.metrics_file": str(metrics_file)})


def test_file_has_the_figures_of_the_night(watched, lake, metrics_file):
    before = time.time()
    summary = watched.scan(lake, fail_on=["images<1", "rejects>1"], exit_codes=EXIT_CODES)
    found = parse(metrics_file.read_text())
    assert found["curator_scan_data"] == {'outcome="image"': 14, 'outcome="duplicate"': 4, 'outcome="reject"': 3}
    assert found["curator_scan_rejects"]['stage="decode",reason="empty"'] == 1
    assert sum(found["curator_scan_rejects"].values()) == 3
    assert found["curator_scan_objects"]['state="new"'] == 17
    assert found["curator_scan_read_bytes"] == {"": summary.bytes_read}
    assert found["curator_scan_arrived_images"] == found["curator_lake_images"] == {"": 14}
    assert found["curator_scan_flagged_images"] == {"": summary.flagged}
    assert set(found["curator_scan_stage_seconds"]) == {
        f'stage="{name}"' for name in ("list", "known", "read", "score", "near_duplicates", "count")
    }
    assert found["curator_scan_condition_tripped"] == {'condition="images<1"': 0, 'condition="rejects>1"': 1}
    assert (found["curator_scan_success"], found["curator_scan_exit_status"]) == ({"": 1}, {"": 4})
    assert found["curator_scan_runs_total"] == {'status="done"': 1}
    for name in ("last_success", "last_run"):
        (moment,) = found[f"curator_scan_{name}_timestamp_seconds"].values()
        assert before - 1 <= moment <= time.time()
    assert metrics_file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in metrics_file.parent.iterdir() if path.name.endswith(".tmp")] == []


def test_failed_run_says_so_and_keeps_the_last_success(watched, lake, metrics_file):
    watched.scan(lake)
    success = parse(metrics_file.read_text())["curator_scan_last_success_timestamp_seconds"]
    with pytest.raises(SourceError):
        watched.scan(lake / "not-there")
    found = parse(metrics_file.read_text())
    assert found["curator_scan_success"] == {"": 0}
    assert "curator_scan_exit_status" not in found, "there is no shell that sees one"
    assert found["curator_scan_status"]['status="failed"'] == 1 and sum(found["curator_scan_status"].values()) == 1
    assert found["curator_scan_last_success_timestamp_seconds"] == success
    assert "curator_scan_data" not in found, "the figures of an earlier night are not those of this one"


def test_the_last_success_is_the_newest_also_after_a_clock_that_was_ahead(watched, lake, metrics_file):
    watched.scan(lake)
    with duckdb.connect(watched.layout.ledger) as ledger:
        ledger.execute("update run set finished_at = finished_at + interval 1 year")
    watched.scan(lake)
    (moment,) = parse(metrics_file.read_text())["curator_scan_last_success_timestamp_seconds"].values()
    assert moment <= time.time()


def test_a_folder_that_cannot_be_listed_is_counted(watched, lake, metrics_file, monkeypatch):
    shut = Reject("/lake/shut", "/lake/shut", "list", "unreadable_folder", "permission denied")
    listed = LocalSource.list
    monkeypatch.setattr(LocalSource, "list", lambda source: chain([shut], listed(source)))
    summary = watched.scan(lake, fail_on=["unlisted>0"])
    assert (summary.unlisted, summary.ending, summary.rejects) == (1, "condition", 3)
    assert parse(metrics_file.read_text())["curator_scan_unlisted_places"] == {"": 1}


def test_locked_run_of_the_command_says_so(workspace, lake, metrics_file, run_cli):
    with hold_lock(workspace.layout.lock, command="scan", run_id="other"):
        run_cli("scan", lake, "--metrics-file", metrics_file, folder=workspace.layout.root, code=5)
    found = parse(metrics_file.read_text())
    assert found["curator_scan_exit_status"] == {"": 5}
    assert found["curator_scan_status"]['status="locked"'] == 1
    assert "curator_scan_last_success_timestamp_seconds" not in found


def test_place_that_cannot_be_is_refused_before_any_work(workspace, lake, tmp_path):
    for place in (tmp_path / "no-folder" / "x.prom", tmp_path):
        with pytest.raises(UsageError, match="metrics cannot be written there"):
            Workspace.open(workspace.layout.root, overrides={"scan.metrics_file": str(place)}).scan(lake)
    assert not workspace.layout.ledger.exists()


def test_configured_place_is_taken_from_the_workspace(workspace, lake):
    Workspace.open(workspace.layout.root, overrides={"scan.metrics_file": "night.prom"}).scan(lake)
    assert parse((workspace.layout.root / "night.prom").read_text())


def test_disk_that_refuses_at_the_end_costs_a_warning_and_not_the_night(watched, lake, metrics_file, monkeypatch):
    import curator.workspace.night.metrics as module

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "durable", full)
    assert watched.scan(lake).images == 14
    assert not metrics_file.exists()


def test_label_values_are_escaped():
    text = Metric("curator_x", "X.", [({"name": 'a"b\\c\nd'}, 1.0)]).text()
    assert parse(text) == {"curator_x": {'name="a\\"b\\\\c\\nd"': 1.0}}
