"""`curator evaluate`, run as a user runs it."""

from __future__ import annotations

import json
import re

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


def test_the_same_format_stands_beside_with_the_difference(workspace, arguments, run_cli):
    output = run_cli(*arguments, "--same-format", "--positive", "id", folder=workspace.layout.root).stdout
    assert "same format: every image saved as JPEG with a shortest side of 30 pixels, quality 100, drawn from" in output
    head = next(line for line in output.splitlines() if line.startswith("bank ") and "auroc" in line)
    row = next(line for line in output.splitlines() if " blue " in line and "measured" in line)
    assert re.split(r"  +", head)[5:8] == ["auroc", "auroc same format", "auroc difference"]
    assert re.split(r"  +", row)[5:8] == ["100.00", "100.00", "+0.00"]
    assert "fpr95 id same format" in head and "fpr95 ood same format" in head


def test_both_forms_are_rows_of_their_own_for_programs(workspace, arguments, run_cli):
    given = [*arguments, "--same-format", "32,60", "--positive", "id", "--json"]
    found = json.loads(run_cli(*given, folder=workspace.layout.root).stdout)
    assert [(row["form"], row["ood"]) for row in found["rows"]][::3] == [("as_is", "blue"), ("same_format", "blue")]
    assert found["same_format"] == {
        "asked": "32,60", "sides": [32] * 3, "qualities": [60] * 3,
        "enlarged": {"id": 6, "blue": 3, "rest": 4}, "unsaved": [],
    }  # fmt: skip


def test_a_format_that_is_none_exits_with_usage(workspace, arguments, run_cli):
    result = run_cli(*arguments, "--same-format", "32", "--positive", "id", folder=workspace.layout.root, code=2)
    assert "'32' is no shortest side of 16 to 4096 pixels and JPEG quality of 1 to 100" in result.output


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
