"""Precision is a part of what names a scoring: scores of 8-bit and of 15-bit cosines are never taken for each other."""

from __future__ import annotations

import pytest

from curator.errors import UsageError
from curator.workspace import Workspace

FULL = {"scan.precision": "full"}


@pytest.fixture
def scanned(first_night):
    return first_night[0]


def methods_of(workspace: Workspace) -> list[str]:
    rows = workspace.sql("select method_id from report.scorings where scored = 14 order by method_id").to_pylist()
    return [row["method_id"] for row in rows]


def test_full_precision_scores_what_has_fast_scores_only(scanned):
    """All 14 images, once; the fast scores stay, and are what `fast` finds again."""
    fast = scanned.sql("select image_id, log_odds from score order by image_id")
    (found,) = Workspace.open(scanned.layout.root, overrides=FULL).score().scorings
    assert found.rescored == 14
    assert found.method_id == "neglabel(group_count=100,precision=full,remainder=drop,scale=100,seed=0,temperature=1)"
    assert methods_of(scanned) == [found.method_id, found.method_id.replace("precision=full,", "")]
    assert Workspace.open(scanned.layout.root, overrides=FULL).score().scorings[0].rescored == 0
    assert scanned.score().scorings[0].rescored == 0
    kept = "select image_id, log_odds from score where method_id not like '%precision%' order by image_id"
    assert scanned.sql(kept).equals(fast)


def test_a_night_under_full_precision_goes_on_under_it(scanned, tmp_path, pictures):
    full = Workspace.open(scanned.layout.root, overrides=FULL)
    summary = full.scan(first_of(tmp_path, pictures))
    assert "precision=full" in summary.method_id
    assert (summary.scored, summary.rescored) == (14, 14)
    shown = scanned.sql("select distinct method_id from report.scores").to_pylist()
    assert shown == [{"method_id": summary.method_id}]


def test_a_calibration_on_fast_scores_does_not_judge_full_ones(scanned, tmp_path, pictures):
    """And the summary says so: which policy there is, and that it is of the other precision."""
    scanned.calibrate(first_of(tmp_path, pictures), keep=0.9)
    (found,) = Workspace.open(scanned.layout.root, overrides=FULL).score().scorings
    assert found.policy == "default"
    assert "policy keep-0.9 judges scores of the other precision only" in found.policy_note
    (back,) = scanned.score().scorings
    assert back.policy == "keep-0.9"


def test_an_image_is_explained_under_the_precision_that_the_views_show(scanned):
    """Whatever is configured now."""
    full = Workspace.open(scanned.layout.root, overrides=FULL)
    full.use("base", "neglabel")
    uri = scanned.sql("select uri from report.scores order by uri limit 1").to_pylist()[0]["uri"]
    explained = scanned.explain(uri)
    assert "precision=full" in explained.method_id
    stored = scanned.sql(f"select log_odds from report.scores where uri = '{uri}'").to_pylist()[0]
    assert explained.log_odds == stored["log_odds"]
    scanned.use("base", "neglabel")
    assert "precision" not in full.explain(uri).method_id


def test_methods_of_both_precisions_in_one_pass_are_refused(scanned):
    with pytest.raises(UsageError, match="methods of both precisions"):
        scanned.score(method=["mcm", "energy:precision=full"])


def first_of(tmp_path, pictures):
    folder = tmp_path / "more"
    folder.mkdir()
    for name, data in list(pictures.items())[:4]:
        (folder / name).write_bytes(data)
    return folder
