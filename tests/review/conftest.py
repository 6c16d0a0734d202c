"""A small scanned lake whose flags can be argued with: yellow is a negative, and magenta passes for red."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curator.workspace import Workspace
from tests.patience import BRAKE_SECONDS

BANK = """\
name = "base"

[id]
labels = "labels.txt"

[negatives.wordnet]
include = ["noun.shape"]

[[negatives.lists]]
words = ["yellow"]
"""
COLOURS = ("red", "green", "blue", "yellow", "magenta")


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: the folder of a lake of two alike pictures of each colour and of a scanned workspace."""
    folder = tmp_path_factory.mktemp("reviews")
    lake = folder / "lake"
    lake.mkdir()
    for number, colour in enumerate(COLOURS * 2):
        picture = Image.new("RGB", (40, 30), colour)
        picture.putpixel((number, 0), (1, 2, 3))
        picture.save(lake / f"{colour}-{number}.png")
    made = Workspace.create(folder / "workspace", labels=["red", "green"], encoder="fake")
    made.layout.bank_spec("base").write_text(BANK, encoding="utf-8")
    text = made.layout.config.read_text(encoding="utf-8")
    made.layout.config.write_text(text.replace('"neglabel"', '"neglabel:group_count=1"'), encoding="utf-8")
    Workspace.open(folder / "workspace").scan(lake)
    return folder


@pytest.fixture
def workspace(scanned: Path, tmp_path: Path) -> Workspace:
    """A copy of that workspace; its lake is shared, and not to be changed."""
    shutil.copytree(scanned / "workspace", tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def images(workspace: Workspace) -> dict[str, str]:
    """Image ids by the names of the pictures."""
    rows = workspace.sql("select uri, image_id from report.images").to_pylist()
    return {Path(row["uri"]).stem: row["image_id"] for row in rows}


@pytest.fixture
def decide(workspace: Workspace, tmp_path: Path):
    """Record decisions: lines of an imported file, a mapping each."""

    def act(*lines: dict[str, Any], reviewer: str = "ann"):
        path = tmp_path / "given.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return workspace.reviews.import_from(path, reviewer=reviewer)

    return act


def call(
    address: str, body: Any = None, *, data: bytes | None = None, method: str | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """One request: status, body and headers of the answer. Header names are written with underscores."""
    sent = json.dumps(body).encode() if body is not None else data
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address, data=sent, headers=named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=BRAKE_SECONDS) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read(), dict(refusal.headers)


@pytest.fixture(name="call")
def call_fixture():
    return call
