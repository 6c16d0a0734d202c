"""The commands of the guide to the night report, run as they stand, but for the dates and addresses of examples."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from curator.workspace.night.drift import DRIFT_FIGURES, FIGURES

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "night-report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_command_of_the_guide_works(workspace, lake, tmp_path, monkeypatch, run_cli):
    blocks = re.findall(r"^```\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) >= 12 and all(line.startswith("curator ") for line in lines)
    first = workspace.scan(lake)
    night = str(workspace.sql("select night from report.night")["night"][0])
    extra = tmp_path / "incoming"
    extra.mkdir()
    Image.new("RGB", (20, 20), "blue").save(extra / "new.png")
    monkeypatch.chdir(workspace.layout.root)
    for line in lines:
        words = shlex.split(line.partition(" > ")[0])[1:]
        replaced = {"2026-01-31": night, "20260131T020000": first.run_id[:15], "/data/incoming": str(extra)}
        result = run_cli(*(replaced.get(word, word) for word in words), code=None)
        assert result.exit_code in ((0, 4) if "--fail-on" in words else (0,)), f"{line}: {result.output}"
    assert Path("night.html").is_file() and Path("january.html").is_file()


def test_the_guide_names_every_figure():
    assert {*FIGURES, *DRIFT_FIGURES} <= set(
        re.findall(r"`([a-z_]+)`", GUIDE.replace("flag_rate_low>0.1", "flag_rate_low"))
    )
