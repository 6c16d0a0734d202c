"""`curator evaluate`, run as a user runs it."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest


@pytest.fixture
def arguments(lake):
    return [
        "evaluate", "--id", lake / "red-*.png", "--id", lake / "green-*.png", "--ood", f"blue={lake}/blue-*.png",
        "--ood", f"rest={lake}/yellow-*.png", "--ood", f"rest={lake}/x-*", "--bootstrap", "20", "--method", "mcm",
    ]  # fmt: skip


def test_table_states_the_positive_class_and_prints_percent(workspace, arguments, run_cli):
    output = run_cli(*arguments, "--positive", "id", "--near", "blue", folder=workspace.layout.root).stdout
    assert "fpr95_id_positive: share of OOD kept where 95 % of ID are" in output
    assert "fpr95_ood_positive: share of ID flagged where 95 % of OOD are" in output
    assert "OOD rest (far): 4 images; left out: 2 unreadable, 1 in the ID set too" in output
    row = next(line for line in output.splitlines() if " blue (near) " in line)
    assert (
        "100.00  [100.00, 100.00]  100.00            0.00               [0.00, 0.00]  0.00                measured"
        in row
    )
    other = run_cli(*arguments, "--positive", "ood", folder=workspace.layout.root).stdout
    heads = [next(line for line in text.splitlines() if line.startswith("bank ") and "auroc" in line).split()
             for text in (output, other)]  # fmt: skip
    assert [[name for name in head if name.startswith("fpr95_")] for head in heads] == [
        ["fpr95_id_positive", "fpr95_ood_positive"], ["fpr95_ood_positive", "fpr95_id_positive"],
    ]  # fmt: skip


def test_json_and_files_hold_both_definitions(workspace, arguments, run_cli, tmp_path):
    found = json.loads(run_cli(*arguments, "--positive", "id", "--json", folder=workspace.layout.root).stdout)
    assert [item["name"] for item in found["sets"]] == ["id", "blue", "rest"]
    assert found["rows"][0]["auroc"] == 1.0
    path = tmp_path / "figures.parquet"
    run_cli(*arguments, "--positive", "id", "-o", path, folder=workspace.layout.root)
    table = pq.read_table(path)
    assert {"fpr95_id_positive", "fpr95_ood_positive", "aupr_id_positive", "aupr_ood_positive"} <= set(
        table.column_names
    )
    assert table.num_rows == 3


def test_published_figures_of_the_other_definition_are_not_in_the_column(workspace, lake, run_cli, tmp_path):
    (tmp_path / "p.toml").write_text(
        'name = "p"\ntitle = "t"\nencoder = "fake"\n[id]\nname = "known"\ntitle = "t"\nimages = 3\n'
        '[[ood]]\nname = "blue"\ntitle = "t"\nimages = 3\ngroup = "far"\n'
        '[[published]]\nmethod = "X"\nsource = "a log"\npositive = "ood"\n'
        "[published.figures]\nblue = { auroc = 91.25, fpr95 = 12.5 }\n"
    )
    given = ["--protocol", tmp_path / "p.toml", "--id", lake / "red-*.png", "--ood", f"blue={lake}/blue-*.png"]
    output = run_cli("evaluate", *given, "--positive", "id", "--bootstrap", "0", folder=workspace.layout.root).stdout
    row = next(line for line in output.splitlines() if "published" in line)
    assert row.split() == ["X", "blue", "(far)", "91.25", "12.50", "published", "(a", "log)"]
    head = next(line for line in output.splitlines() if "fpr95_ood_positive" in line and "auroc" in line)
    assert row.index("12.50") == head.index("fpr95_ood_positive")


def test_positive_class_must_be_given(workspace, arguments, run_cli):
    assert "--positive" in run_cli(*arguments, folder=workspace.layout.root, code=2).output


def test_missing_lists_exit_with_usage(workspace, run_cli):
    result = run_cli(
        "evaluate", "--protocol", "openood-v1.5-imagenet1k", "--positive", "id", folder=workspace.layout.root, code=2
    )
    assert "list ninco: NINCO, 5879 images; no --data was given; or give --ood ninco=SRC" in result.output


def test_ood_set_needs_a_name(workspace, lake, run_cli):
    given = ["--id", lake, "--ood", lake, "--positive", "id"]
    assert "is not NAME=SRC" in run_cli("evaluate", *given, folder=workspace.layout.root, code=2).output
