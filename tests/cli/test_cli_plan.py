"""`curator plan`: measured costs, and what they come to on a fleet."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def planned(workspace, lake, run_cli):
    """The figures of a plan, after the bank is built."""

    def plan(*options: str) -> dict[str, object]:
        found = run_cli("plan", lake, *options, "--json", folder=workspace.layout.root)
        return json.loads(found.stdout)

    run_cli("bank", "build", folder=workspace.layout.root)
    return plan


def test_plan_measures_works_out_and_leaves_nothing_behind(planned, workspace):
    before = sorted(workspace.layout.root.rglob("*"))
    found = planned("--nodes", "4", "--cores", "16", "--images", "1000000")
    here, larger = found["estimates"]
    assert here["images"] > 16  # the loose files, and about as many as the tar holds
    assert larger["images"] == 1_000_000
    assert larger["seconds"] > here["seconds"] > 0
    assert all(value >= 0 for value in found["costs"].values())
    for name in ("read", "decode", "encode", "score", "commit", "hand_on", "publish", "ledger_bytes"):
        assert found["costs"][name] > 0, name
    assert 2 * 16 < found["costs"]["vector_bytes"] < 100  # 16 half-precision components, an id, a share of the head
    assert found["costs"]["reject_share"] > 0
    assert larger["bottleneck"] in [stage["name"] for stage in larger["stages"]]
    assert [(night["images"], night["lake"]) for night in found["nights"]] == [(10_000, 0), (10_000, 1_000_000)]
    assert sorted(workspace.layout.root.rglob("*")) == before


def test_gpus_that_cannot_be_measured_need_a_rate(planned, workspace, lake, run_cli):
    refused = run_cli("plan", lake, "--gpus", "8", folder=workspace.layout.root, code=2)
    assert "this machine has no GPU whose speed could be measured (give --gpu-rate" in refused.output
    found = planned("--gpus", "8", "--cores", "64", "--gpu-rate", "2000")
    assert found["costs"]["encode"] == pytest.approx(1 / 2000)
    assert [stage["name"] for stage in found["estimates"][0]["stages"]][1:3] == ["read and decode", "encode and score"]


def test_people_get_a_table_that_names_the_bottleneck(workspace, lake, run_cli):
    shown = run_cli("plan", lake, "--nodes", "3", folder=workspace.layout.root).stdout
    assert "a lake, 1,000,000,000 images: " in shown
    assert shown.count("<- limits") == 4
    assert "a night of 10,000 new images in this lake, and in larger ones; * is what limits:" in shown
    (head, *rows) = shown.partition("what limits:")[2].strip("\n").splitlines()
    assert head.split() == ["0", "10,000,000", "100,000,000", "1,000,000,000"]
    assert [row[:12].strip() for row in rows][-3:] == ["publish", "copy as Pa", "in all"]
    assert sum(row.count("*") for row in rows) == 4


def test_a_source_without_images_is_one_line(workspace, tmp_path, run_cli):
    (tmp_path / "empty").mkdir()
    shown = run_cli("plan", tmp_path / "empty", folder=workspace.layout.root, code=1)
    assert "there is no image to measure with" in shown.output
