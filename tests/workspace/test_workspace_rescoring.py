"""Several banks and methods over one lake: side by side in SQL, reference images, flag changes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from curator.errors import StoreError, UsageError
from curator.methods import score
from curator.types import Bank, Label
from curator.vectors import read_rows
from curator.workspace import Workspace
from curator.workspace.judge.reference import ReferenceSet
from tests.cases import rest_slow


@pytest.fixture
def scanned(first_night):
    return first_night[0]


@pytest.fixture
def lake(first_night):
    return first_night[1]


@pytest.fixture
def referenced(scanned, lake, tmp_path):
    """A workspace whose reference images are the red ones of its lake."""
    folder = tmp_path / "reference"
    folder.mkdir()
    for path in sorted(lake.rglob("red-*.png")):
        (folder / path.name).write_bytes(path.read_bytes())
    scanned.calibrate(folder)
    return scanned


def healthy(workspace: Workspace) -> bool:
    return [result.name for result in workspace.check() if not result.healthy] == []


def test_several_methods_stand_side_by_side_and_leave_the_views_alone(scanned):
    before = scanned.sql("select * from report.selection")
    summary = scanned.score(method=["mcm", "eoe", "energy", "max_logit"])
    assert [item.rescored for item in summary.scorings] == [14, 14, 14, 14]
    assert summary.ruled_by == scanned.in_force()
    assert scanned.sql("select * from report.selection").equals(before)
    rows = scanned.sql(
        "select split_part(method_id, '(', 1) as method, count(*) as n, count(distinct uri) as images "
        "from report.compare group by 1 order by 1"
    ).to_pylist()
    assert [(row["method"], row["n"], row["images"]) for row in rows] == [
        (name, 14, 14) for name in ("energy", "eoe", "max_logit", "mcm", "neglabel")
    ]
    assert healthy(scanned)


def test_methods_scored_together_equal_each_alone_to_the_bit(scanned, lake, tmp_path):
    scanned.score(method=["mcm:scale=1", "eoe:variant=energy"])
    other = Workspace.open(scanned.layout.root)
    other.score(method="mcm:scale=1.0,temperature=1")  # the same method: nothing is left to do
    alone = Workspace.create(tmp_path / "alone", labels=["red", "green"], encoder="fake")
    alone.layout.bank_spec("base").write_text(scanned.layout.bank_spec("base").read_text())
    alone.scan(lake)
    for method in ("mcm:scale=1", "eoe:variant=energy"):
        assert alone.score(method=method).scorings[0].rescored == 14
    query = "select image_id, method_id, id_score, log_odds from score order by all"
    assert alone.sql(query).equals(scanned.sql(query))


def test_flags_that_differ_between_two_scorings_are_listed(scanned):
    scanned.score(method="neglabel:group_count=1")
    scanned.score(method="max_logit")
    cut = "select max(min_id_score) as cut from report.scorings where method_id like '%group_count=1,%'"
    assert scanned.sql(cut).to_pylist()[0]["cut"] is not None
    changed = scanned.query("flag_changes", old="group_count=100", new="group_count=1,")
    expected = scanned.sql(
        "select count(*) as n from report.compare a join report.compare b using (image_id) "
        "where a.method_id like '%group_count=100%' and b.method_id like '%group_count=1,%' and a.flagged <> b.flagged"
    )
    assert changed.num_rows == expected.to_pylist()[0]["n"]
    assert scanned.query("flag_changes", old="group_count=100", new="max_logit").num_rows == 0  # it has no policy
    for method in ("mcm", "mcm:temperature=2"):
        scanned.score(method=method)
    for name, count in (("no-such", 0), ("mcm", 2)):
        with pytest.raises(StoreError, match=f"old={name} is in the names of {count} scorings"):
            scanned.query("flag_changes", old=name, new="max_logit")


def test_of_several_scorings_of_a_bank_its_address_means_the_one_that_rules(scanned, lake):
    scanned.score(method=["neglabel:group_count=1", "mcm"])
    scanned.calibrate(lake, keep=0.5, method="mcm")
    expected = scanned.query("flag_changes", old="group_count=100", new="mcm")
    assert expected.num_rows
    for address in ("base@", "group_count", "neglabel("):
        assert scanned.query("flag_changes", old=address, new="mcm").equals(expected)


def test_a_scoring_counts_the_images_of_the_lake_and_one_without_any_is_not_compared(scanned, tmp_path):
    for name in ("purple", "orange"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (64, 48), name).save(tmp_path / name / "one.png")
    scanned.score(method="max_logit")
    sides = {"id_sources": [tmp_path / "purple"], "ood_sources": {"other": [tmp_path / "orange"]}}
    scanned.evaluate(**sides, positive="id", methods=["mcm"], replicates=0)
    scored = {row["scoring"].split("/")[1]: row["scored"] for row in scanned.query("scorings").to_pylist()}
    assert sorted(scored.values()) == [0, 14, 14]
    assert scanned.query("flag_changes", old="neglabel", new="max_logit").num_rows == 0  # max_logit has no policy
    with pytest.raises(StoreError, match="new=mcm is in the names of 0 scorings"):
        scanned.query("flag_changes", old="neglabel", new="mcm")


def test_what_does_not_rule_only_would_flag(scanned):
    summary = scanned.score(method=["neglabel", "mcm"])
    assert [item.rules(summary.ruled_by) for item in summary.scorings] == [True, False]


def test_where_scores_only_what_meets_the_condition(scanned):
    summary = scanned.score(method="mcm", where="uri like '%red-%' or flagged")
    chosen = scanned.sql("select count(*) as n from report.scores where uri like '%red-%' or flagged").to_pylist()
    assert 0 < summary.scorings[0].rescored == chosen[0]["n"] < 14
    assert scanned.score(method="mcm").scorings[0].rescored == 14 - chosen[0]["n"]
    assert healthy(scanned)


@pytest.mark.parametrize("condition", ["no_such_column > 1", "1 = 1; drop table score", "1=1) or (select 1"])
def test_a_condition_can_be_nothing_but_a_condition(scanned, condition):
    with pytest.raises(StoreError, match="`where`"):
        scanned.score(method="mcm", where=condition)
    assert scanned.sql("select count(*) as n from score").to_pylist() == [{"n": 14}]


def test_a_condition_that_no_image_meets_is_refused(scanned):
    with pytest.raises(UsageError, match="no image meets"):
        scanned.score(method="mcm", where="width > 1000000")


@pytest.mark.parametrize("method", ["knn:k=2", "fusion:k=2", "mahalanobis", "residual", "vim"])
def test_methods_that_measure_against_images_want_a_reference(scanned, method):
    with pytest.raises(UsageError, match="there are none"):
        scanned.score(method=method)


def test_knn_is_the_distance_to_the_kth_reference_image_but_itself(referenced):
    summary = referenced.score(method="knn:k=2")
    assert "reference=" in summary.scorings[0].method_id
    rows = referenced.sql(
        "select image_id, vector_file, row_index, id_score from vector join score using (image_id, encoder_id) "
        "where method_id like 'knn%' order by image_id"
    ).to_pylist()
    folder = referenced.layout.vectors(referenced.sql("select encoder_id from encoder").to_pylist()[0]["encoder_id"])
    vectors = np.concatenate(
        [read_rows(folder / f"{row['vector_file']}.safetensors", [row["row_index"]]) for row in rows]
    )
    known = {
        row["image_id"] for row in referenced.sql("select image_id from location where role = 'reference'").to_pylist()
    }
    reference = np.array([row["image_id"] in known for row in rows])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit[reference].T
    cosines[np.flatnonzero(reference), np.arange(reference.sum())] = -1  # not itself
    expected = score("knn", cosines, reference_cosines=cosines, k=2)
    np.testing.assert_allclose([row["id_score"] for row in rows], expected, atol=2e-3)
    assert healthy(referenced)


def test_another_reference_gives_another_method_and_new_scores(referenced, lake, tmp_path):
    first = referenced.score(method="knn:k=2").scorings[0]
    folder = tmp_path / "more"
    folder.mkdir()
    for path in sorted(lake.rglob("green-*.png")):
        (folder / path.name).write_bytes(path.read_bytes())
    referenced.calibrate(folder)
    second = referenced.score(method="knn:k=2").scorings[0]
    assert second.method_id != first.method_id
    assert second.rescored == first.rescored


def test_fusion_standardises_both_sides_on_the_reference(referenced):
    referenced.score(method="fusion:k=2,weight=0.25")
    rows = referenced.sql(
        "select log_odds from score where method_id like 'fusion%' "
        "and image_id in (select image_id from location where role = 'reference')"
    )
    assert abs(float(np.mean(rows["log_odds"].to_numpy()))) < 1e-6
    assert healthy(referenced)


@pytest.mark.parametrize("method", rest_slow(["knn:k=2", "mahalanobis:shrinkage=0.5", "vim:dimensions=1"]))
def test_calibration_reads_the_reference_first_and_the_next_night_measures_against_it(scanned, lake, tmp_path, method):
    folder = tmp_path / "reference"
    folder.mkdir()
    for path in sorted(lake.rglob("red-*.png")):
        (folder / path.name).write_bytes(path.read_bytes())
    configured = Workspace.open(scanned.layout.root, overrides={"scan.method": method})
    summary = configured.calibrate(folder, keep=0.5)
    assert summary.min_id_score == summary.min_log_odds
    assert summary.scored == 14
    night = configured.scan(lake)
    assert night.method_id.startswith(f"{method.partition(':')[0]}(") and "reference=" in night.method_id
    configured.use("base", method)
    assert configured.scan(lake).policy == "keep-0.5"
    assert night.policy == "keep-0.5"
    assert healthy(configured)


def test_methods_that_are_fitted_on_the_reference_name_it_and_score_the_same_again(referenced, lake, tmp_path):
    asked = ["mahalanobis:shrinkage=0.5", "residual:dimensions=1", "vim:dimensions=1,origin=mean"]
    found = {item.method_id.partition("(")[0]: item for item in referenced.score(method=asked).scorings}
    assert all("reference=" in item.method_id and item.rescored == 14 for item in found.values())
    assert "classes=nearest-" in found["mahalanobis"].method_id, "the folder of the images names no ID label"
    again = Workspace.open(referenced.layout.root).score(method=asked).scorings
    assert {item.method_id for item in again} == {item.method_id for item in found.values()}
    assert [item.rescored for item in again] == [0, 0, 0]
    scores = "select image_id, method_id, log_odds from score"
    kept = {(row["image_id"], row["method_id"]): row["log_odds"] for row in referenced.sql(scores).to_pylist()}
    for (image_id, method_id), log_odds in list(kept.items())[::7]:
        if method_id in {item.method_id for item in found.values()}:
            assert referenced.explain(image_id, method=method_id).log_odds == log_odds
    assert healthy(referenced)


def test_reference_images_have_the_classes_that_they_came_with_where_any_has_one():
    labels = (Label("red fox", "id", "spec"), Label("owl", "id", "spec"), Label("mud", "negative", "w"))
    bank = Bank("b", "0" * 32, "e@1", 10.0, labels, np.eye(3, dtype=np.float32), {})
    vectors = np.eye(3, dtype=np.float32)[[1, 1, 0]]
    own = ReferenceSet(("a", "b", "c"), vectors, ("Red_Fox", None, "mud")).known(bank, by_class=True)
    assert (own.classes_by, own.classes.tolist()) == ("own", [0, -1, -1])
    nearest = ReferenceSet(("a", "b", "c"), vectors, ("n01", None, "mud")).known(bank, by_class=True)
    assert (nearest.classes_by, nearest.classes.tolist()) == ("nearest", [1, 1, 0])


def test_too_few_reference_images_for_a_fit_are_refused(referenced):
    for method, said in (("mahalanobis", "too few"), ("residual", "too few"), ("vim:dimensions=63", "leaves nothing")):
        with pytest.raises(UsageError, match=said):
            referenced.score(method=method)
