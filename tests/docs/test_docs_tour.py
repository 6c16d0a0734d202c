"""The tour: a notebook that runs from its first cell to its last, and is kept without what it prints."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import SMALL_BANK
from tests.patience import BRAKE_SECONDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
TOUR = DOCS / "tour.ipynb"


@pytest.fixture
def tour() -> nbformat.NotebookNode:
    return nbformat.read(TOUR, as_version=4)


def test_the_tour_is_kept_without_outputs(tour):
    nbformat.validate(tour)
    code = [cell for cell in tour.cells if cell.cell_type == "code"]
    assert len(code) > 10
    assert all(cell.outputs == [] and cell.execution_count is None and not cell.metadata for cell in code)


def test_what_the_tour_refers_to_is_there(tour):
    targets = re.findall(r"\]\(([^)#]+)\)", "\n".join(cell.source for cell in tour.cells))
    assert targets and all((DOCS / target).is_file() for target in targets)


@pytest.mark.slow
def test_the_tour_runs(tour, tmp_path, monkeypatch):
    """With an encoder that takes no time and few labels: what the cells show is tested, not how good it is."""
    monkeypatch.setenv("CURATOR_ENCODER_ADDRESS", "fake")
    spec = tmp_path / "tour" / "workspace" / "banks" / "base.toml"
    spec.parent.mkdir(parents=True)
    spec.write_text(SMALL_BANK)
    NotebookClient(
        tour, timeout=BRAKE_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [output for cell in tour.cells if cell.cell_type == "code" for output in cell.outputs]
    pages = [output.data["text/html"] for output in shown if "text/html" in output.get("data", {})]
    assert [output.name for output in shown if output.output_type == "stream" and output.name == "stderr"] == []
    assert sum("<strong>" in page for page in pages) >= 4, "summaries and the workspace"
    assert sum(page.count("data:image/webp") for page in pages) >= 10, "pictures beside their scores"
    assert sum("image/png" in output.get("data", {}) for output in shown) == 3, "charts"
