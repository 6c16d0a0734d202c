"""explain: shares, what a score would be without a label, the deciding one, references, neighbours."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from curator.errors import UsageError
from curator.methods import resolve_method, score
from curator.methods.attribution import attribute
from curator.types import Bank, Label


def make_bank(vectors, *, id_count):
    labels = tuple(Label(f"label {i}", "id" if i < id_count else "negative", "test") for i in range(len(vectors)))
    return Bank("b", "0" * 32, "fake@1", 10.0, labels, vectors, {})


@pytest.fixture
def scanned(workspace, lake):
    workspace.scan(lake)
    return workspace


def test_an_image_of_the_lake_is_explained_as_the_views_judge_it(scanned):
    row = scanned.sql("select * from report.scores order by id_score limit 1").to_pylist()[0]
    found = scanned.explain(row["uri"], k=3)
    assert (found.image_id, found.id_score, found.flagged) == (row["image_id"], row["id_score"], row["flagged"])
    assert found.policy == row["policy_name"]
    ids, negatives = ([label for label in found.labels if label.role == role] for role in ("id", "negative"))
    assert ids[0].label == row["top_id"]
    assert ids[0].cosine == pytest.approx(row["top_id_cosine"], abs=1e-6)
    assert sum(label.share for label in ids) == pytest.approx(1)  # there are two ID labels
    assert len(negatives) == 3
    assert negatives[0].share >= negatives[1].share >= negatives[2].share > 0
    assert all(item["uri"] != row["uri"] for item in found.neighbours)
    assert json.dumps(found.as_json(), default=str)


def test_a_file_that_is_not_in_the_lake_is_explained_too(scanned, tmp_path):
    path = tmp_path / "new.png"
    Image.new("RGB", (64, 48), "red").save(path)
    found = scanned.explain(path)
    assert found.image_id is None
    assert found.flagged in (True, False)
    assert found.labels[0].label == "red"


def test_another_method_and_reference_images(scanned, lake, tmp_path):
    folder = tmp_path / "reference"
    folder.mkdir()
    for path in sorted(lake.rglob("red-*.png")):
        (folder / path.name).write_bytes(path.read_bytes())
    scanned.calibrate(folder)
    uri = scanned.sql("select uri from report.scores order by uri limit 1").to_pylist()[0]["uri"]
    found = scanned.explain(uri, method="mcm", k=2)
    assert found.method_id.startswith("mcm(")
    assert [item["uri"].rpartition("/")[2][:3] for item in found.reference] == ["red", "red"]
    scanned.score(method="fusion:k=2")
    assert scanned.explain(uri, k=2).method_id.startswith("fusion(")


def test_an_unknown_image_is_one_clear_line(scanned):
    with pytest.raises(UsageError, match="neither in the lake nor a file"):
        scanned.explain("no-such-image.png")


def test_parts_by_hand():
    bank = make_bank(np.eye(5, dtype=np.float32), id_count=2)
    method = resolve_method("neglabel:group_count=1,scale=10", bank)
    ids, negatives = np.array([0.3, 0.1]), np.array([0.2, 0.35, 0.0])
    found = attribute(method, ids, negatives, scale=10, k=2)
    assert found.id_score == pytest.approx(score("neglabel", ids[None], negatives[None], scale=10, group_count=1)[0])
    assert [part.label for part in (*found.ids, *found.negatives)] == [0, 1, 3, 2]
    assert found.ids[0].share == pytest.approx(np.exp(3) / (np.exp(3) + np.exp(1)))
    without = score("neglabel", ids[None], negatives[None, [0, 2]], scale=10, group_count=1)[0]
    assert 1 / (1 + np.exp(-found.negatives[0].log_odds_without)) == pytest.approx(without)
    assert found.log_odds < 0 < found.negatives[0].log_odds_without
    assert found.deciding(0.0) == found.negatives[0]
    assert found.deciding(-10.0) is None


def test_a_method_that_cannot_work_without_its_only_id_label_says_so():
    bank = make_bank(np.eye(3, dtype=np.float32), id_count=1)
    found = attribute(
        resolve_method("neglabel:group_count=1", bank), np.array([0.3]), np.array([0.2, 0.1]), scale=10, k=3
    )
    assert found.ids[0].log_odds_without is None
