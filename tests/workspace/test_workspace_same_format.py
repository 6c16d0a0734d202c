"""Evaluations of images saved alike: what the format gave away is gone, the figures are stored beside the others."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from curator.errors import SourceError, UsageError
from curator.workspace import Workspace
from curator.workspace.evaluate import resaving


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """`known`: 24 shades of red and green as JPEG of quality 95; `poor`: as many of the same kind, saved so badly that
    they all have the two colours which that leaves; `blue`: blue, PNG."""
    root, draws = tmp_path_factory.mktemp("formats"), np.random.default_rng(1)
    for folder, quality in (("known", 95), ("poor", 1)):
        (root / folder).mkdir()
        for number in range(24):
            colour = np.array([200, 60, 60] if number % 2 else [60, 200, 60]) + draws.integers(-5, 5, 3)
            image = Image.new("RGB", (48, 48), tuple(colour.tolist()))
            image.save(root / folder / f"{number:02d}.jpg", quality=quality, comment=f"{folder} {number}".encode())
    (root / "blue").mkdir()
    for number in range(6):
        Image.new("RGB", (48, 48), (number, 10, 200)).save(root / "blue" / f"{number}.png")
    return root


def evaluate(workspace, folders, same_format="drawn", **more):
    sets = {name: (folders / name,) for name in ("poor", "blue")}
    given = {"methods": ("max_logit",), "replicates": 5, "positive": "id", "same_format": same_format, **more}
    return workspace.evaluate(id_sources=(folders / "known",), ood_sources=sets, **given)


@pytest.fixture(scope="module")
def evaluated_once(tmp_path_factory, make_workspace, folders):
    workspace = make_workspace(tmp_path_factory.mktemp("evaluated") / "workspace")
    return workspace, evaluate(workspace, folders, near=("poor",))


@pytest.fixture
def evaluated(tmp_path, evaluated_once):
    """A workspace of its own that has evaluated `folders` in both forms, and what it found."""
    workspace, summary = evaluated_once
    return Workspace.open(shutil.copytree(workspace.layout.root, tmp_path / "workspace")), summary


def aurocs(summary, form, method="max_logit"):
    (measured,) = [item for item in summary.measured if (item.form, item.method) == (form, method)]
    return {figures.name: figures.metrics["auroc"].value for figures in measured.figures}


def test_what_only_the_format_told_apart_is_told_apart_no_more(evaluated_once):
    _, summary = evaluated_once
    before, after = aurocs(summary, "as_is"), aurocs(summary, "same_format")
    assert abs(before["poor"] - 0.5) > 0.35, "the test needs a format that is seen"
    assert abs(after["poor"] - 0.5) < 0.15
    assert (before["blue"], after["blue"]) == (1.0, 1.0), "what images show is left"
    used = summary.same_format
    assert used.qualities == (1, 1, 1) and used.sides == (48, 48, 48)
    assert used.enlarged == {"id": 0, "poor": 0, "blue": 0} and used.unsaved == ()


def test_figures_of_images_as_they_are_stay_what_they_were(evaluated, folders):
    workspace, summary = evaluated
    assert aurocs(summary, "as_is") == aurocs(evaluate(workspace, folders, None, near=("poor",)), "as_is")


def test_both_forms_are_stored_and_shown(evaluated_once):
    workspace, summary = evaluated_once
    rows = workspace.sql(
        "select form, ood_name, near_far, auroc from report.evaluations where scope = 'set' order by all"
    ).to_pylist()
    assert [(row["form"], row["ood_name"], row["near_far"]) for row in rows] == [
        (form, *of) for form in ("as_is", "same_format") for of in (("blue", "far"), ("poor", "near"))
    ]
    for row in rows:
        assert row["auroc"] == aurocs(summary, row["form"])[row["ood_name"]]
    (stored,) = workspace.sql("select same_format ->> 'asked' as asked from evaluation").to_pylist()
    assert stored == {"asked": "drawn"}
    assert [result.name for result in workspace.check() if not result.healthy] == []


def test_one_format_for_all_warns_of_what_had_to_be_enlarged(evaluated, folders):
    summary = evaluate(evaluated[0], folders, "64,40")
    assert summary.same_format.sides == (64, 64, 64) and summary.same_format.qualities == (40, 40, 40)
    assert summary.same_format.enlarged == {"id": 24, "poor": 24, "blue": 6}
    assert [line for line in summary.warnings if line.startswith("id: 24 of 24 images had to be enlarged")]


def test_the_second_time_nothing_is_embedded_and_all_is_the_same(evaluated, folders, monkeypatch):
    workspace, first = evaluated
    monkeypatch.setattr("curator.workspace.context.load_encoder", lambda options: pytest.fail("an encoder was loaded"))
    second = evaluate(workspace, folders, near=("poor",), methods=("max_logit", "mcm"))
    assert [item for item in second.measured if item.method == "max_logit"] == list(first.measured)


def test_a_damaged_cache_is_made_again(evaluated, folders):
    workspace, first = evaluated
    (path,) = (workspace.layout.root / "cache" / "resaved").glob("*/*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    assert evaluate(workspace, folders, near=("poor",)).measured == first.measured


def test_reference_images_are_saved_like_the_id_images(evaluated, folders):
    summary = evaluate(evaluated[0], folders, methods=("knn:k=3",), reference=(folders / "known",))
    assert aurocs(summary, "as_is", "knn:k=3")["poor"] > 0.95
    assert aurocs(summary, "same_format", "knn:k=3")["poor"] < 0.6
    assert len({item.method_id for item in summary.measured}) == 1


def test_an_image_that_is_not_to_be_had_again_is_left_out_and_told(evaluated, folders, monkeypatch):
    def without_first(context, database, image_ids, **more):
        for place, (image_id, data) in enumerate(READ(context, database, image_ids, **more)):
            yield image_id, SourceError("gone") if place == 0 else data

    READ = resaving.read_pictures
    monkeypatch.setattr(resaving, "read_pictures", without_first)
    summary = evaluate(evaluated[0], folders, "32,50")
    assert summary.same_format.unsaved == ("gone",)
    assert "1 images are not measured in the same format, first: gone" in summary.warnings


def test_a_bad_format_is_refused_before_any_work(workspace, folders):
    with pytest.raises(UsageError, match="no shortest side"):
        evaluate(workspace, folders, "small")
    assert not workspace.layout.ledger.exists()


def test_an_image_that_is_too_large_when_it_is_saved_costs_itself_alone(workspace, tmp_path):
    """Saved with a shortest side of 3600 pixels a strip takes 300 MiB, more than its process may have."""
    for folder, size in (("id", (48, 48)), ("ood", (48, 47)), ("ood", (8, 64))):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("RGB", size, "red").save(tmp_path / folder / f"{size[1]}.png")
    opened = Workspace.open(workspace.layout.root, overrides={"decode.memory_limit_bytes": 256 << 20})
    summary = opened.evaluate(
        id_sources=(tmp_path / "id",),
        ood_sources={"ood": (tmp_path / "ood",)},
        replicates=0,
        positive="id",
        same_format="3600,50",
    )
    assert len(summary.same_format.unsaved) == 1 and "out_of_memory" in summary.same_format.unsaved[0]
    assert [(item.form, item.figures[0].ood_count) for item in summary.measured] == [("as_is", 2), ("same_format", 1)]
