"""The suite itself: what it counts, and that it would see a loss."""

from __future__ import annotations

import shutil

import pytest

from tests.faults.__main__ import print_table
from tests.faults.laboratory import Trial, snapshot
from tests.faults.ledger_tables import differences, faults_in, half_files, tables_of


def test_table_counts_faults_runs_and_losses_by_kind(capsys):
    trials = [Trial("SIGKILL", "scan", runs=2), Trial("SIGKILL", "score", injected=3, runs=4), Trial("ledger", "cut")]
    assert print_table(trials) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert lines[1:] == [["SIGKILL", "2", "4", "6", "0"], ["ledger", "1", "1", "0", "0"], ["all", "3", "5", "6", "0"]]


def test_a_loss_fails_the_torture(capsys):
    assert print_table([Trial("SIGKILL", "scan"), Trial("ledger", "cut", losses=["a row"])]) == 1
    assert capsys.readouterr().out.splitlines()[-1].split() == ["all", "2", "2", "0", "1"]


@pytest.mark.parametrize("files", ["vectors", "banks/base"])
def test_missing_file_that_a_row_refers_to_is_a_loss(files, lab):
    with lab.workspace("scanned") as workspace:
        assert faults_in(workspace) == []
        for path in (workspace / files).iterdir():
            shutil.rmtree(path)
        assert faults_in(workspace)


def test_other_rows_and_half_files_are_losses(lab):
    with lab.workspace("scanned") as workspace, lab.workspace("calibrated") as other:
        expected = tables_of(snapshot(workspace))
        assert differences(expected, expected) == []
        assert {line.partition(":")[0] for line in differences(tables_of(snapshot(other)), expected)} >= {
            "policy",
            "score",
        }
        (path, *_) = (workspace / "vectors").rglob("*.safetensors")
        path.write_bytes(path.read_bytes()[:-1])
        assert half_files(workspace) == [path]
