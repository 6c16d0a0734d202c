"""What a scan passes over reaches the summary, the ledger and the report of the night; and what patterns leave out."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from curator.errors import ConfigError
from curator.workspace import Workspace


def tar(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def put(root, name, data):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)


@pytest.fixture
def nas(tmp_path, pictures):
    """A share with thumbnails, notes, and a tar of one tar a class with sidecars."""
    first, second, third, fourth, *_ = pictures.values()
    root = tmp_path / "nas"
    put(root, "a.png", first)
    put(root, "@eaDir/a.png/THUMB.png", second)
    put(root, "cache/b.png", third)
    put(root, "notes.txt", b"no image")
    inner = tar(("1", third), ("1.json", b"{}"))
    put(root, "train.tar", tar(("n01.tar", inner), ("2.png", fourth), ("2.json", b"{}"), ("x/@eaDir/y.png", b"x")))
    return root


def uris(workspace, root):
    found = workspace.sql("select uri from report.locations order by uri")["uri"].to_pylist()
    return [uri.removeprefix(f"{root}/") for uri in found]


def passed_over(workspace):
    rows = workspace.sql("select place, heading, files from report.passed_over order by all").to_pylist()
    return [tuple(row.values()) for row in rows]


def test_what_is_passed_over_is_in_the_summary_the_ledger_and_the_report(workspace, nas):
    listed = {"(system folder)": 1, ".txt": 1}
    inside = {".json": 2, "(system folder)": 1}
    assert workspace.preview(nas)[0].ignored == listed
    summary = workspace.scan(nas)
    assert (summary.images, summary.rejects) == (3, 0)  # the picture in the cache is the one in the inner tar
    assert summary.listings[0].ignored == listed and summary.passed_over == inside
    assert json.loads(json.dumps(summary.as_json()))["passed_over"] == inside
    expected = {("listing", *item) for item in listed.items()} | {("archive", *item) for item in inside.items()}
    assert set(passed_over(workspace)) == expected
    rows = workspace.report(None, pictures=False).data["passed_over"]
    assert {(row["place"], row["heading"], row["files"]) for row in rows} == expected
    assert uris(workspace, nas) == ["a.png", "cache/b.png", "train.tar#2.png", "train.tar#n01.tar#1"]


def test_a_night_that_reads_no_archive_says_nothing_of_archives_and_one_that_reads_it_again_counts_it_once(
    workspace, nas
):
    workspace.scan(nas)
    assert workspace.scan(nas).passed_over == {}
    assert workspace.scan(nas, rehash=True).passed_over == {".json": 2, "(system folder)": 1}
    in_archives = [row for row in passed_over(workspace) if row[0] == "archive"]
    assert in_archives == [("archive", "(system folder)", 1), ("archive", ".json", 2)]


def test_what_is_excluded_later_stays_in_the_ledger_as_it_is_and_is_not_gone(workspace, nas):
    workspace.scan(nas)
    before = uris(workspace, nas)
    (nas / "cache" / "b.png").unlink()
    summary = workspace.scan(nas, exclude=["cache", "*.tar"])
    assert summary.listings[0].objects_gone == 0
    assert summary.listings[0].ignored == {"(system folder)": 1, ".txt": 1, "(excluded)": 2}
    assert uris(workspace, nas) == before
    assert workspace.scan(nas).listings[0].objects_gone == 1  # looked at again
    assert all(result.healthy for result in workspace.check())


def test_an_include_brings_a_system_folder_back_and_both_are_recorded(workspace, nas):
    workspace.scan(nas, exclude=["cache", "*.tar"], include=["@eaDir"])
    assert uris(workspace, nas) == ["@eaDir/a.png/THUMB.png", "a.png"]
    arguments = json.loads(workspace.sql("select arguments from run where command = 'scan'")[0][0].as_py())
    assert (arguments["exclude"], arguments["include"]) == (["cache", "*.tar"], ["@eaDir"])


def test_patterns_of_the_configuration_hold_for_references_too_and_options_add_to_them(workspace, nas):
    layout = workspace.layout
    text = layout.config.read_text()
    layout.config.write_text(text.replace("\n[scan]\n", '\n[scan]\nexclude = ["cache"]\n'))
    opened = Workspace.open(layout.root)
    assert opened.preview(nas, exclude=["*.tar"])[0].ignored == {"(system folder)": 1, ".txt": 1, "(excluded)": 2}
    (nas / "train.tar").unlink()
    opened.scan(nas)
    opened.calibrate(nas, keep=0.5)
    reference = opened.sql("select object_uri from source_object where role = 'reference'")["object_uri"].to_pylist()
    assert reference == [f"{nas}/a.png"]


def test_patterns_in_the_environment_have_commas_between_them(workspace, monkeypatch):
    monkeypatch.setenv("CURATOR_SCAN_EXCLUDE", "cache, *.tif")
    assert Workspace.open(workspace.layout.root).config.scan.exclude == ("cache", "*.tif")


@pytest.mark.parametrize("value", ["3", '["a", 1]', "true"])
def test_patterns_that_are_no_list_of_texts_are_refused(workspace, value):
    path = workspace.layout.config
    path.write_text(path.read_text().replace("[scan]\n", f"[scan]\nexclude = {value}\n"))
    with pytest.raises(ConfigError, match=r"scan\.exclude"):
        Workspace.open(workspace.layout.root)
