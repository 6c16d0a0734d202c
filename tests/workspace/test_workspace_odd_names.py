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

from curator.export.journal import FOLDER
from curator.lake import content_id
from curator.workspace import ExportRequest, LearnRequest, Workspace
from curator.workspace.pictures import thumbnails
from curator.workspace.session import reading
from tests.conftest import SMALL_BANK
from tests.generators import fault_server

ODD = "\udce9"  # the byte E9, an é in Latin-1, as Python has it in a name
FILES = (f"caf{ODD}.png", f"d{ODD}/plain.png")
NAMES = (*FILES, f"s{ODD}.tar", f"r{ODD}.parquet")
ALL = {"threshold": "share", "eta": 1.0, "gamma": 1.0, "duplicate_cosine": 1.0, "max_cosine": 1.0}


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


@pytest.mark.parametrize("form", ["webdataset", "huggingface", "symlinks"])
def test_each_is_exported(form, scanned, tmp_path):
    wanted = {"where": f"image_id in {tuple(IDS)}"}
    images = [
        scanned.export(ExportRequest(images=name, to=str(tmp_path / name), format=form, **wanted))
        for name in ("flagged", "kept")
    ]
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
            return fault_server.answer(json.dumps({"description": f"a wall of number {number}"}))
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
        summary = workspace.learn_bank(LearnRequest("ants", "ants", settings=ALL))
        shown = [image for received in server.received for image in received.images]
    assert summary.account["described"] == {"asked": 4, "answered": 4, "rejected": 0, "failed": 0}
    assert len(set(shown)) == 4
    assert os.fsencode(lake / FILES[0]).endswith(b"caf\xe9.png"), "the names were what they should be"
