"""Snapshots and other outputs in object stores: whole or not at all, and never at the cost of a night."""

from __future__ import annotations

import os
import sys

import duckdb
import pytest

from curator.errors import MissingExtra, OutputError, UsageError
from curator.workspace.outputs import put_output


def keys(s3):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket="lake").get("Contents", [])]


def content(s3, key):
    return s3.get_object(Bucket="lake", Key=key)["Body"].read()


def test_a_snapshot_in_a_store_is_the_published_file(s3, store, first_night, run_cli, tmp_path):
    workspace, _ = first_night
    result = run_cli("publish", "--to", "s3://lake/reports/curator.duckdb", folder=workspace.layout.root)
    assert "s3://lake/reports/curator.duckdb" in result.stderr
    assert content(s3, "reports/curator.duckdb") == workspace.layout.snapshot.read_bytes()
    (tmp_path / "copy.duckdb").write_bytes(content(s3, "reports/curator.duckdb"))
    with duckdb.connect(str(tmp_path / "copy.duckdb"), read_only=True) as database:
        assert database.execute("select count(*) from report.flagged").fetchone()[0] > 0


def test_every_run_puts_its_snapshot_where_the_configuration_says(s3, store, workspace, lake, run_cli, monkeypatch):
    monkeypatch.setenv("CURATOR_PUBLISH_TO", "s3://lake/nightly/")
    run_cli("scan", lake, folder=workspace.layout.root)
    first = content(s3, "nightly/curator.duckdb")
    assert first == workspace.layout.snapshot.read_bytes()
    run_cli("calibrate", "--reference", lake, folder=workspace.layout.root)
    assert content(s3, "nightly/curator.duckdb") == workspace.layout.snapshot.read_bytes() != first
    assert keys(s3) == ["nightly/curator.duckdb"]


def test_a_failed_upload_is_a_warning_and_the_night_is_kept(s3, store, workspace, lake, run_cli, monkeypatch):
    monkeypatch.setenv("CURATOR_PUBLISH_TO", "s3://no-such-bucket/curator.duckdb")
    result = run_cli("scan", lake, folder=workspace.layout.root)  # exit code 0
    assert "warning: s3://no-such-bucket/curator.duckdb: no such bucket or folder" in result.stderr
    assert "run `curator publish --to s3://no-such-bucket/curator.duckdb` to try again" in result.stderr
    assert workspace.sql("select images from report.night")["images"].to_pylist() == [14]


def test_an_upload_that_was_asked_for_fails_with_one_line(s3, store, workspace, run_cli):
    store.fail(403, "denied", method="PUT", times=float("inf"))
    result = run_cli("publish", "--to", "s3://lake/denied.duckdb", folder=workspace.layout.root, code=1)
    assert (
        result.stderr.startswith("curator: s3://lake/denied.duckdb: access denied: ") and "credentials" in result.stderr
    )
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", [503, "reset", "drop"])
def test_uploads_go_through_faults_that_pass(s3, store, tmp_path, kind):
    (tmp_path / "report.bin").write_bytes(os.urandom(200_000))
    fault = store.fail(kind, "report.bin", method="PUT", times=3)
    assert put_output(tmp_path / "report.bin", "s3://lake/out/") == "s3://lake/out/report.bin"
    assert content(s3, "out/report.bin") == (tmp_path / "report.bin").read_bytes()
    assert fault.met == 3


def test_an_upload_that_fails_for_good_leaves_the_older_file(s3, store, tmp_path):
    (tmp_path / "report.bin").write_bytes(b"old")
    put_output(tmp_path / "report.bin", "s3://lake/report.bin")
    (tmp_path / "report.bin").write_bytes(b"new and longer")
    store.fail(500, "report.bin", method="PUT", times=float("inf"))
    with pytest.raises(OutputError, match="cannot be written"):
        put_output(tmp_path / "report.bin", "s3://lake/report.bin")
    assert content(s3, "report.bin") == b"old" and keys(s3) == ["report.bin"]


def test_a_large_file_arrives_in_parts_or_leaves_nothing(s3, store, tmp_path, monkeypatch):
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda size, chunksize=None: 5 << 20)
    (tmp_path / "large.bin").write_bytes(os.urandom(12 << 20))
    fault = store.fail(503, "partNumber=2", method="PUT", times=2)
    put_output(tmp_path / "large.bin", "s3://lake/large.bin")
    assert content(s3, "large.bin") == (tmp_path / "large.bin").read_bytes() and fault.met == 2
    s3.delete_object(Bucket="lake", Key="large.bin")
    store.fail(403, "partNumber=2", method="PUT", times=float("inf"))
    with pytest.raises(OutputError):
        put_output(tmp_path / "large.bin", "s3://lake/large.bin")
    assert keys(s3) == [] and "Uploads" not in s3.list_multipart_uploads(Bucket="lake")


def test_a_folder_is_put_file_by_file(s3, store, make_tree):
    root = make_tree("page/index.html", "page/img/a.png")
    assert put_output(root / "page", "s3://lake/night") == "s3://lake/night"
    assert {key: content(s3, key) for key in keys(s3)} == {
        "night/index.html": b"page/index.html",
        "night/img/a.png": b"page/img/a.png",
    }


def test_elsewhere_a_file_is_written_aside_and_renamed(memory, make_tree, monkeypatch):
    root = make_tree("a.txt")
    put_output(root / "a.txt", "memory://out/deep/a.txt")
    assert memory.cat_file("/out/deep/a.txt") == b"a.txt"
    (root / "a.txt").write_bytes(b"newer")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(memory), "mv", fail)
    with pytest.raises(OutputError, match="No space left"):
        put_output(root / "a.txt", "memory://out/deep/a.txt")
    assert memory.find("/out") == ["/out/deep/a.txt"] and memory.cat_file("/out/deep/a.txt") == b"a.txt"


def test_a_folder_of_this_machine_gets_the_file_under_its_name(make_tree, tmp_path):
    root = make_tree("a.txt")
    (tmp_path / "there").mkdir()
    assert put_output(root / "a.txt", str(tmp_path / "there")) == str(tmp_path / "there" / "a.txt")
    put_output(root / "a.txt", f"file://{tmp_path}/there/b.txt")
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["a.txt", "b.txt"]


def test_a_bad_destination_is_refused_before_any_work(workspace, lake, run_cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    for address, code, message in [
        ("https://host/x.duckdb", 2, "nothing is written to web servers"),
        ("s3://key:hunter2@lake/x.duckdb", 2, "credentials"),
        ("gs://bucket/x.duckdb", 1, "gcsfs"),
    ]:
        monkeypatch.setenv("CURATOR_PUBLISH_TO", address)
        result = run_cli("scan", lake, folder=workspace.layout.root, code=code)
        assert message in result.stderr and "hunter2" not in result.output and result.stderr.count("\n") == 1
    assert not workspace.layout.snapshot.exists()


@pytest.mark.parametrize("kind", [MissingExtra, UsageError])
def test_outputs_refuse_what_they_cannot_write_to(make_tree, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(kind):
        put_output(make_tree("a.txt") / "a.txt", "gs://b/a" if kind is MissingExtra else "http://h/a")


def test_a_workspace_at_a_url_is_refused_and_says_why(run_cli, tmp_path):
    (tmp_path / "labels.txt").write_text("red\ngreen\n")
    for result in (
        run_cli("init", "s3://lake/ws", "--labels", tmp_path / "labels.txt", code=1),
        run_cli("-w", "s3://lake/ws", "doctor", code=1),
    ):
        assert "s3://lake/ws: a workspace is a folder on this machine" in result.stderr
        assert "DuckDB" in result.stderr and "publish --to" in result.stderr and result.stderr.count("\n") == 1
