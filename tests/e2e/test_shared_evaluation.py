"""An evaluation of real photographs with the embedded encoder: known classes against what is surely something else."""

from __future__ import annotations

import pytest

from curator.workspace import Workspace

CLASSES = ["airplanes", "anchor", "barrel", "bass", "beaver", "binocular"]
BANK = """\
name = "base"
[id]
labels = "labels.txt"
[negatives.wordnet]
include = ["noun.body", "noun.phenomenon"]
"""


@pytest.mark.slow
def test_real_photographs_are_told_from_scans_and_drawings(tmp_path, shared_data):
    workspace = Workspace.create(tmp_path / "workspace", labels=CLASSES, encoder="mini")
    workspace.layout.bank_spec("base").write_text(BANK, encoding="utf-8")
    known = tuple(str(shared_data / "objects-folder" / name) for name in CLASSES)
    others = {name: (str(shared_data / name),) for name in ("brain-mri", "terminal-near-duplicates")}
    summary = workspace.evaluate(
        positive="id", id_sources=known, ood_sources=others, methods=("neglabel", "mcm"), replicates=100
    )
    for measured in summary.measured:
        assert measured.labelled == summary.sets[0].images
        assert measured.correct / measured.labelled > 0.7
        for figures in measured.figures:
            estimate = figures.metrics["auroc"]
            assert 0.8 < estimate.low <= estimate.value <= estimate.high
    assert [result.name for result in workspace.check() if not result.healthy] == []


def test_real_photographs_are_saved_as_their_own_tables_say(tmp_path, shared_data, make_workspace):
    """Their archive saved them at quality 75, with shortest sides of up to 300 pixels, which the charts have too."""
    workspace = make_workspace(tmp_path / "workspace")
    summary = workspace.evaluate(
        positive="id",
        id_sources=[shared_data / "objects-folder" / name for name in CLASSES[:2]],
        ood_sources={"charts": [shared_data / "terminal-near-duplicates"]},
        replicates=0,
        same_format="drawn",
    )
    used = summary.same_format
    assert used is not None and used.unsaved == ()
    assert used.qualities == (75, 75, 75)
    assert 90 < used.sides[0] < used.sides[1] < used.sides[2] <= 300
    assert used.enlarged == {"id": 0, "charts": 0}
    assert {(row["form"], row["id_images"]) for row in summary.rows()} == {("as_is", 48), ("same_format", 48)}
