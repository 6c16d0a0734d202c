"""A workspace that knows a lake, made once: attacks must leave it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from curator.workspace import Workspace

SMALL_BANK = """\
name = "base"

[id]
labels = "labels.txt"

[negatives.wordnet]
include = ["noun.shape"]
"""


def small_workspace(folder: Path) -> Workspace:
    made = Workspace.create(folder, labels=["red", "green"], encoder="fake")
    made.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory, pictures: dict[str, bytes]) -> Workspace:
    """A workspace with three images; the file `secret.csv` lies beside it."""
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "secret.csv").write_text("a,b\n1,top-secret\n")
    (folder / "lake").mkdir()
    for name, data in list(pictures.items())[:3]:
        (folder / "lake" / name).write_bytes(data)
    made = small_workspace(folder / "workspace")
    made.scan(folder / "lake")
    return made
