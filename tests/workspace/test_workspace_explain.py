"""explain: shares, what a score would be without a label, the deciding one, references, neighbours."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from curator.errors import UsageError
from curator.methods import resolve_method, score
from curator.methods.attribution import attribute
from curator.report.words import summary_of
from curator.types import Bank, Label
from curator.workspace import Workspace
from curator.workspace.judge.ruling import Cuts, Ruling
from curator.workspace.learn.world import LedgerWorld
from tests.conftest import SMALL_BANK
from tests.generators.scripted import ScriptedGenerator


def make_bank(vectors, *, id_count):
    labels = tuple(Label(f"label {i}", "id" if i < id_count else "negative", "test") for i in range(len(vectors)))
    return Bank("b", "0" * 32, "fake@1", 10.0, labels, vectors, {})


@pytest.fixture(scope="module")
def root(tmp_path_factory, pictures):
    """A `lake` of twelve pictures and a `workspace` that has scanned it. Tests work on copies of the workspace."""
    root = tmp_path_factory.mktemp("explained")
    (root / "lake").mkdir()
    for name, data in pictures.items():
        (root / "lake" / name).write_bytes(data)
    workspace = Workspace.create(root / "workspace", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK)
    workspace.scan(root / "lake")
    return root


@pytest.fixture
def scanned(root, tmp_path):
    return Workspace.open(shutil.copytree(root / "workspace", tmp_path / "workspace"))


@pytest.fixture
def known(root, tmp_path):
    """The red and the green ones again, as images that are known to be ID."""
    return shutil.copytree(root / "lake", tmp_path / "known", ignore=shutil.ignore_patterns("blue*", "yellow*"))


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


def test_another_method_and_reference_images(calibrated):
    found = calibrated.explain("red-04.png", method="mcm", k=2)
    assert found.method_id.startswith("mcm(")
    assert [item["uri"].rpartition("/")[2][:3] for item in found.reference] == ["red", "red"]
    calibrated.use("base", "fusion:k=2")
    assert calibrated.explain("red-04.png", k=2).method_id.startswith("fusion(")


def test_duplicates_and_gone_images_and_references_say_where_they_are(own_night, tmp_path):
    workspace, lake = own_night
    found = workspace.explain("red-00.png", thumbnail=True)
    assert (found.state, found.copies) == ("lake", 3)
    assert [place.rpartition("/")[2] for place in found.places] == [
        "red-00.png",
        "x-duplicate.png",
        "z-shard.tar#0000.png",
    ]
    assert Image.open(io.BytesIO(found.thumbnail)).getpixel((9, 9))[0] > 200

    (lake / "blue-02.png").rename(tmp_path / "blue-02.png")
    (lake / "green-05.png").rename(tmp_path / "green-05.png")
    workspace.scan(lake)
    gone = workspace.explain("green-05.png", thumbnail=True)
    assert (gone.state, gone.copies, gone.places, gone.thumbnail) == ("gone", 0, (), None)
    assert "in no source any more" in gone.thumbnail_fault
    assert gone.flagged in (True, False)
    assert "gone from the lake" in gone.as_html()
    assert workspace.explain("blue-02.png").state == "lake"  # a copy lies in the tar

    (lake / "green-05.png").write_bytes((lake / "red-04.png").read_bytes())
    assert workspace.explain(lake / "green-05.png").state == "file"  # what lies there now was not scanned
    workspace.calibrate(tmp_path / "green-05.png", keep=0.5)
    assert workspace.explain(tmp_path / "green-05.png").state == "reference"


@pytest.fixture
def calibrated(scanned, known):
    scanned.calibrate(known)
    return scanned


def test_knn_and_fusion_say_plainly_what_leaving_a_label_out_tells(calibrated):
    calibrated.use("base", "knn:k=2")
    for method in ("knn:k=2", "knn(k=2,reference=0123456789ab)", None):  # as asked for, as stored, as shown
        knn = calibrated.explain("blue-02.png", method=method, k=2)
        assert knn.method_id.startswith("knn(k=2,")
        assert "looks at reference images" in knn.removal_note
        assert {label.id_score_without for label in knn.labels} == {knn.id_score}
    assert knn.verdict() == "no policy rules, so nothing is flagged"
    fusion = calibrated.explain("blue-02.png", method="fusion:k=2", k=2)
    assert fusion.removal_note is None
    assert any(label.id_score_without != pytest.approx(fusion.id_score) for label in fusion.labels)


def test_a_policy_is_told_by_the_rule_that_made_it(calibrated):
    calibrated.calibrate(alpha=0.4)
    made = summary_of(calibrated.explain("blue-02.png").as_json())["policy made by"]
    assert made.startswith("alpha 0.4, ") and "keep " not in made


def test_a_policy_that_judges_nights_has_a_cut_for_images_of_the_lake_only(calibrated, tmp_path):
    calibrated.calibrate(fdr=0.4)
    row = calibrated.sql("select uri, flagged from report.scores order by id_score limit 1").to_pylist()[0]
    assert calibrated.explain(row["uri"]).flagged == row["flagged"]
    Image.new("RGB", (64, 48), "blue").save(tmp_path / "new.png")
    found = calibrated.explain(tmp_path / "new.png")
    assert found.flagged is None and "a night together" in found.verdict()
    assert "Infinity" not in json.dumps(found.as_json(), default=str)


def test_a_score_of_a_stream_cannot_be_taken_apart(scanned):
    scanned.learn_bank("adaneg", "adaneg", settings={"mode": "online"}, force=True)
    stream = scanned.sql("select method_id, id_score from report.compare where contains(method_id, '-online')")
    row = stream.to_pylist()[0]
    found = scanned.explain("blue-02.png", bank="adaneg", method=row["method_id"])
    assert found.method_id == row["method_id"]
    assert "a stream gave this score" in found.verdict()
    assert {label.changes_flag for label in found.labels} == {None}
    with pytest.raises(UsageError, match="the image has no score by adaneg-online"):
        scanned.explain("blue-02.png", bank="adaneg", method="adaneg-online(batch=1,stream=0)")


def described(request):
    said = f"number &lt; {request.pictures[0].image_id[:4]}"
    return json.dumps({"description": said, "note": "<i>number</i>"})


def imagined(request):
    return json.dumps({"labels": {"red": ["rust"], "green": ["moss"]}[str(request.slots["label"])]})


def test_a_label_tells_which_call_made_it_and_about_which_image(scanned, monkeypatch):
    made = {
        "describer": ScriptedGenerator(described, model="d:1"),
        "reasoner": ScriptedGenerator(imagined, model="r:1"),
    }
    monkeypatch.setattr(LedgerWorld, "generator", lambda self, role: made[role])
    everything = {"threshold": "share", "eta": 1.0, "gamma": 1.0, "duplicate_cosine": 1.0, "max_cosine": 1.0}
    scanned.learn_bank("ants", "ants", settings=everything, force=True)
    scanned.use("ants", "ants")
    found = scanned.explain("blue-02.png", k=40)
    assert found.bank_name == "ants" and found.method_id.startswith("ants(")
    origins = {label.label: label.made_by for label in found.labels if label.made_by and label.made_by.role}
    rust = origins["rust"]
    assert (rust.role, rust.model, rust.concerns, rust.asked_about) == ("reasoner", "r:1", "red", ())
    label, sentence = next((label, origin) for label, origin in origins.items() if origin.role == "describer")
    (shown,) = sentence.asked_about
    assert label.endswith(shown["image_id"][:4]) and label in sentence.output
    assert (
        shown["uri"]
        == scanned.sql("select uri from report.images where image_id = $id", {"id": shown["image_id"]}).to_pylist()[0][
            "uri"
        ]
    )
    page = found.as_html()
    assert "<i>number" not in page and "&lt;i&gt;number" in page and "describer d:1" in page
    assert "number &amp;lt; " in page and "number &lt; " not in page


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
    assert ruling(found, cut=0.0).deciding() == found.negatives[0]
    assert ruling(found, cut=-10.0).deciding() is None
    assert [ruling(found, cut=0.0).turns(part) for part in found.ids] == [False, False]


def ruling(found, *, cut, log_odds=None, by_class=None):
    score = {"log_odds": found.log_odds if log_odds is None else log_odds, "id_score": 0.5}
    return Ruling(score, Cuts({"rule": "keep"}, cut, by_class or {}), cut, found)


def test_without_its_nearest_id_label_an_image_is_judged_as_one_of_its_next_class():
    bank = make_bank(np.eye(3, dtype=np.float32), id_count=2)
    method = resolve_method("neglabel:group_count=1,scale=10", bank)
    found = attribute(method, np.array([0.3, 0.29]), np.array([0.2]), scale=10, k=2)
    first, second = found.ids
    assert found.log_odds > 1.0 > first.log_odds_without > 0.5
    assert ruling(found, cut=0.5).deciding() is None
    strict = ruling(found, cut=0.5, by_class={0: 0.5, 1: 1.5})
    assert strict.turns(first) is True and strict.turns(second) is False


def test_where_rounding_decides_no_label_does():
    bank = make_bank(np.eye(3, dtype=np.float32), id_count=1)
    found = attribute(resolve_method("neglabel", bank), np.array([0.2]), np.array([0.3, 0.1]), scale=10, k=2)
    doubtful = ruling(found, cut=found.log_odds + 1e-4, log_odds=found.log_odds + 2e-4)
    assert doubtful.flagged is False
    assert "rounding" in doubtful.note and doubtful.deciding() is None


def test_a_method_that_cannot_work_without_its_only_id_label_says_so():
    bank = make_bank(np.eye(3, dtype=np.float32), id_count=1)
    found = attribute(
        resolve_method("neglabel:group_count=1", bank), np.array([0.3]), np.array([0.2, 0.1]), scale=10, k=3
    )
    assert found.ids[0].log_odds_without is None
