"""Names of other bytes than UTF-8, from the scan to the last reader of an image: everywhere it can be had again."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curator.errors import WorkspaceError
from curator.export.journal import FOLDER
from curator.lake import content_id
from curator.workspace import Workspace
from curator.workspace.look.pictures import thumbnails
from curator.workspace.published import reading
from tests.cases import rest_slow
from tests.conftest import SMALL_BANK
from tests.generators import fault_server

ODD = "\udce9"  # the byte E9, an é in Latin-1, as Python has it in a name
FILES = (f"caf{ODD}.png", f"d{ODD}/plain.png")
NAMES = (*FILES, f"s{ODD}.tar", f"r{ODD}.parquet")
ALL = {"threshold": "share", "eta": 1.0, "gamma": 1.0, "duplicate_cosine": 1.0, "max_cosine": 1.0}


FORMATS = ("parquet", "csv", "jsonl", "files", "symlinks", "webdataset", "fiftyone", "huggingface")
COLOURS = ("blue", "yellow", "black", "cyan")


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 24), COLOURS[number]).save(buffer, "PNG")
    return buffer.getvalue()


PICTURES = [picture(number) for number in range(len(NAMES))]
IDS = sorted(map(content_id, PICTURES))


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Path:
    """An image each under an odd name, in a folder, a tar and a Parquet file of one."""
    lake = tmp_path_factory.mktemp("odd") / "lake"
    for name, data in zip(FILES, PICTURES, strict=False):
        (lake / name).parent.mkdir(parents=True, exist_ok=True)
        (lake / name).write_bytes(data)
    with tarfile.open(lake / NAMES[2], "w") as tar:
        info = tarfile.TarInfo(f"m{ODD}.png")
        info.size = len(PICTURES[2])
        tar.addfile(info, io.BytesIO(PICTURES[2]))
    with (lake / NAMES[3]).open("wb") as file:
        pq.write_table(pa.table({"image": [PICTURES[3]]}), file)
    return lake


@pytest.fixture(scope="module")
def scanned(lake) -> Workspace:
    made = Workspace.create(lake.parent / "workspace", labels=["red", "green"], encoder="fake")
    made.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    made.scan(lake)
    rows = made.sql("select image_id, uri from report.scores order by image_id").to_pylist()
    assert [row["image_id"] for row in rows] == IDS and all("\\xe9" in row["uri"] for row in rows)
    return made


def test_each_is_explained_with_its_thumbnail(scanned):
    for row in scanned.sql("select image_id, uri from report.scores").to_pylist():
        found = scanned.explain(row["uri"], thumbnail=True)
        assert (found.image_id, found.thumbnail_fault) == (row["image_id"], None)
        assert Image.open(io.BytesIO(found.thumbnail or b"")).size == (24, 24)


def test_a_name_is_found_as_the_shell_gives_it(scanned, lake, run_cli):
    for name, data in zip(FILES, PICTURES, strict=False):
        found = scanned.explain(lake / name, thumbnail=True)
        assert (found.image_id, found.thumbnail_fault) == (content_id(data), None)
        assert scanned.search(image=lake / name, k=1).to_pylist()[0]["cosine"] == pytest.approx(1.0)
    beside = lake.parent / f"new{ODD}.png"
    beside.write_bytes(picture(1))
    output = run_cli("explain", beside, "--json", folder=scanned.layout.root).stdout
    assert json.loads(output)["uri"].endswith("/new\\xe9.png")


def test_a_night_shows_them_all(scanned):
    with reading(scanned.layout) as database:
        found = thumbnails(scanned._context, database, [*IDS, "0" * 32])
    assert [found[name].reason for name in IDS] == [None] * 4 and all(found[name].data for name in IDS)
    assert found["0" * 32].data is None and "in no source any more" in (found["0" * 32].reason or "")


@pytest.mark.parametrize("form", rest_slow(FORMATS, kept=3))
def test_a_folder_of_any_name_is_exported_to(form, scanned, tmp_path):
    to = tmp_path / f"to{ODD}"
    done = scanned.export("flagged", to=str(to), format=form)
    again = scanned.export("flagged", to=str(to), format=form, replace="update")
    assert done.images == again.images > 0 and (to / FOLDER / "export.json").is_file()


def test_files_of_any_name_are_written_and_read_back(scanned, tmp_path, run_cli):
    folder = scanned.layout.root
    for command in (("report", "-o", f"r{ODD}.html"), ("review", "export", "--to", f"r{ODD}.csv"),
                    ("sql", "select 1 as x", "-o", f"s{ODD}.csv"), ("explain", IDS[0], "--html", f"e{ODD}.html"),
                    ("publish", "--to", f"p{ODD}")):  # fmt: skip
        *words, name = command
        assert run_cli(*words, tmp_path / name, folder=folder).exit_code == 0
        assert (tmp_path / name).exists()
    run_cli("review", "import", tmp_path / f"r{ODD}.csv", folder=folder)
    (row,) = scanned.sql("select arguments::json->>'path' as path from run where command = 'review import'").to_pylist()
    assert row["path"].endswith("/r\\xe9.csv"), "JSON that DuckDB reads"


def test_a_workspace_under_a_name_that_duckdb_cannot_open_is_refused_at_once(scanned, tmp_path):
    odd = tmp_path / f"w{ODD}"
    with pytest.raises(WorkspaceError, match=r"w\\xe9: a workspace lies under a path that is UTF-8"):
        Workspace.create(odd, labels=["red", "green"], encoder="fake")
    assert not odd.exists()
    kept = scanned.backup(tmp_path / f"b{ODD}")
    with pytest.raises(WorkspaceError, match="under a path that is UTF-8"):
        Workspace.restore(kept.path, odd)
    assert not odd.exists()
    restored = Workspace.restore(tmp_path / f"b{ODD}", tmp_path / "restored")
    restored.layout.root.rename(odd)
    with pytest.raises(WorkspaceError, match="under a path that is UTF-8"):
        Workspace.open(odd)


def test_values_of_other_bytes_are_asked_for_and_not_found(scanned, run_cli):
    folder = scanned.layout.root
    assert "no bank version" in run_cli("bank", "show", ODD, folder=folder, code=1).stderr
    assert "Could not convert" in run_cli("query", "flagged", "-p", f"limit={ODD}", folder=folder, code=1).stderr
    assert "neither in the lake nor a file" in run_cli("explain", f"x{ODD}", folder=folder, code=2).stderr


@pytest.mark.parametrize("form", ["webdataset", "huggingface", "symlinks"])
def test_each_is_exported(form, scanned, tmp_path):
    wanted = {"where": f"image_id in {tuple(IDS)}"}
    images = [scanned.export(name, to=str(tmp_path / name), format=form, **wanted) for name in ("flagged", "kept")]
    assert (sum(item.images for item in images), sum(item.missing for item in images)) == (4, 0)
    found = set()
    for path in tmp_path.rglob("*"):
        if path.suffix == ".tar":
            with tarfile.open(path) as tar:
                found |= {content_id(tar.extractfile(item).read()) for item in tar if item.name.endswith(".png")}
        elif path.is_file() and FOLDER not in path.parts:
            found.add(content_id(path.read_bytes()))
    assert found >= set(IDS)


def test_each_is_exported_for_review(scanned, tmp_path):
    summary = scanned.reviews.export_to(tmp_path / "out", style="fiftyone")
    assert summary.items == 4 and dict(summary.left_out) == {}


def test_each_is_shown_to_a_describer(lake, tmp_path, monkeypatch):
    def script(number, received):
        if received.images:
            said = {"description": f"a wall of number {number}, \ud800"}  # half a surrogate pair, as JSON spells it
            return fault_server.answer(json.dumps(said, ensure_ascii=False))
        return fault_server.answer(json.dumps({"labels": [f"brick {number}", f"leaf {number}"]}))

    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-of-names")
    Workspace.create(tmp_path / "workspace", labels=["red", "green"], encoder="fake")
    with fault_server.running() as server:
        server.script = script
        overrides = {"generators.describer": "endpoint:m", "generators.reasoner": "endpoint:m"}
        workspace = Workspace.open(tmp_path / "workspace", overrides={**overrides, "generators.base_url": server.url})
        workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
        Image.new("RGB", (24, 24), "red").save(tmp_path / "red.png")  # the one that is most like an ID label
        workspace.scan(lake, tmp_path / "red.png")
        summary = workspace.learn_bank("ants", "ants", settings=ALL, force=True)
        shown = [image for received in server.received for image in received.images]
    assert summary.account["described"] == {"asked": 4, "answered": 4, "rejected": 0, "failed": 0}
    assert len(set(shown)) == 4
    said = workspace.sql("select output from generator_call where role = 'describer'")["output"].to_pylist()
    assert len(said) == 4 and all("\\ud800" in output for output in said)
    assert os.fsencode(lake / FILES[0]).endswith(b"caf\xe9.png"), "the names were what they should be"
