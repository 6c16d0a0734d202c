"""docs/review.md, command by command and query by query, in its order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from curator.review.label_studio import CONTROLS
from curator.review.reviews import DECISIONS

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "review.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_guide_works_as_it_stands(workspace, lake, run_cli, monkeypatch):
    """All but `app`, which goes on until it is stopped; between export and import somebody decides."""
    monkeypatch.chdir(workspace.layout.root)
    lines = [line for block in blocks("sh") for line in block.splitlines() if line != "curator app"]
    assert len(lines) >= 12
    for line in lines:
        words = shlex.split(line.replace("/data/known-id", str(lake / "red-*.png")))
        assert words[0] == "curator"
        if words[1:3] == ["review", "import"]:
            path = Path("review.csv")
            path.write_text("".join(decided(row) for row in path.read_text().splitlines(keepends=True)))
        assert run_cli(*words[1:]).stdout
    assert Path("review-dataset/samples.json").is_file() and Path("decided.jsonl").is_file()
    assert workspace.layout.bank_spec("base-reviewed").is_file()
    (query,) = blocks("sql")
    assert workspace.sql(query).num_rows >= 2


def decided(row: str) -> str:
    """A line of the exported file with its decision: yellow belongs, all other groups are as they are called."""
    what = "id" if re.search("red|green|yellow", row.split(",")[1]) else "ood"
    return row if row.startswith("why") or "magenta" in row else row.replace(",,,,,", f",{what},,,,")


def test_the_labelling_interface_in_the_guide_is_the_one_that_is_read_back():
    (interface,) = blocks("xml")
    view = ElementTree.fromstring(interface)
    kinds = {"Choices": "choices", "TextArea": "text"}
    assert {item.get("name"): kinds[item.tag] for item in view if item.tag in kinds} == CONTROLS
    assert [choice.get("value") for choice in view.iter("Choice")] == list(DECISIONS)
    assert {item.get("value") for item in view if item.tag not in kinds} == {"$image", "$question"}
