"""The recipes of ARCHITECTURE.md, followed: one more method, encoder, source and view, by a line in each registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from curator.encoders import ENCODERS
from curator.lake.sources.opening import SOURCES
from curator.methods import METHODS
from curator.registry import Registry
from curator.resources import read_folder
from curator.workspace import Workspace
from tests.architecture.toys import TOY_VIEW

BANK = """\
name = "base"
[id]
labels = "labels.txt"
[[negatives.lists]]
words = ["blue", "dark"]
"""


def with_line(patch: pytest.MonkeyPatch, registry: Registry, target: str) -> None:
    patch.setitem(registry._targets, "toy", f"tests.architecture.toys:{target}")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, pictures: dict[str, bytes]) -> Iterator[Workspace]:
    """A workspace of the toys: made with the toy encoder, one night of the toy source, scored by the toy method."""
    folder = tmp_path_factory.mktemp("toys")
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    (folder / "list.txt").write_text("\n".join(pictures))

    def read(*folders: str, suffix: str) -> dict[str, str]:
        found = dict(read_folder(*folders, suffix=suffix))
        return {**found, "99_toy": TOY_VIEW} if "views" in folders else found

    with pytest.MonkeyPatch.context() as patch:
        with_line(patch, METHODS, "ToyMethod")
        with_line(patch, ENCODERS, "ToyFamily")
        with_line(patch, SOURCES, "ToySource")
        patch.setattr("curator.store.migrate.read_folder", read)
        made = Workspace.create(folder / "workspace", labels=["red", "green"], encoder="toy")
        made.layout.bank_spec("base").write_text(BANK)
        made.scan(f"toy://{folder / 'list.txt'}")
        made.use("base", "toy")
        yield made


def test_a_toy_encoder_embeds(workspace, pictures):
    (row,) = workspace.sql("select bank_name, encoder_id from report.selection").to_pylist()
    assert row["bank_name"] == "base" and row["encoder_id"].startswith("toy@")
    found = workspace.sql(
        "select count(*) as images from report.scores where uri like '%/' || top_id || '%'"
    ).to_pylist()
    assert found == [{"images": sum(name.startswith(("red", "green")) for name in pictures)}]


def test_a_toy_source_is_listed_and_misses_what_left_it(workspace, pictures):
    listed = Path(workspace.layout.root.parent / "list.txt")
    address, kept = f"toy://{listed}", listed.read_text().split()[1:]
    assert [item.objects_unchanged for item in workspace.preview(address)] == [len(pictures)]
    listed.write_text("\n".join(kept))
    assert [(item.objects_unchanged, item.objects_gone) for item in workspace.preview(address)] == [(len(kept), 1)]
    listed.write_text("\n".join([*kept, ".hidden.png"]))
    assert [dict(item.ignored) for item in workspace.preview(address)] == [{"(hidden)": 1}]


def test_a_toy_method_scores(workspace, pictures):
    found = workspace.sql("select scored from report.scorings where method_id = 'toy(scale=2)'").to_pylist()
    assert found == [{"scored": len(pictures)}]


def test_a_toy_view_answers(workspace, pictures):
    found = workspace.sql("select sum(images) as images from report.toy").to_pylist()
    assert found == [{"images": len(pictures)}]
