"""Why the images of a report's galleries are flagged: what `explain` says of each, and the call that made the label."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from datetime import datetime

import pytest

from curator.methods.attribution import Attribution, LabelPart
from curator.workspace import Workspace
from curator.workspace.judge.ruling import Cuts, Ruling
from curator.workspace.learn.world import LedgerWorld
from curator.workspace.night.reasons import part_to_show
from curator.workspace.night.report import distinct_names
from tests.cases import rest_slow
from tests.conftest import SMALL_BANK
from tests.generators.scripted import ScriptedGenerator


@pytest.fixture(scope="module")
def root(tmp_path_factory, pictures):
    """A `lake` of twelve pictures, the red and green of them as `known`, and a `workspace` calibrated on these."""
    root = tmp_path_factory.mktemp("reasons")
    (root / "lake").mkdir()
    for name, data in pictures.items():
        (root / "lake" / name).write_bytes(data)
    shutil.copytree(root / "lake", root / "known", ignore=shutil.ignore_patterns("blue*", "yellow*"))
    workspace = Workspace.create(root / "workspace", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK)
    workspace.scan(root / "lake")
    workspace.calibrate(root / "known")
    return root


@pytest.fixture
def workspace(root, tmp_path):
    return Workspace.open(shutil.copytree(root / "workspace", tmp_path / "workspace"))


def gallery(workspace):
    data = workspace.report(pictures=False).as_json()
    return [*data["certain"], *data["doubtful"]]


def as_explained(workspace, image_id):
    """The same of one image, by explain."""
    found = workspace.explain(image_id, k=1)
    deciding = [label for label in found.labels if label.decides]
    negatives = [label for label in found.labels if label.role == "negative"]
    label = next(iter((*deciding, *negatives)), None)
    told = {"deciding": found.deciding, "tried": found.tried, "note": found.removal_note}
    return told | {"label": label and json.loads(json.dumps(asdict(label), default=lambda moment: moment.isoformat()))}


@pytest.mark.parametrize(
    ("method", "policy"),
    rest_slow(
        [
            ("neglabel:group_count=1", {"fdr": 0.5}),
            ("fusion:k=2", {"keep": 0.6}),
            ("neglabel:group_count=1", {"keep": 0.6, "by_class": True, "minimum": 2}),
            ("mcm", {"keep": 0.5}),
            ("knn:k=2", {"keep": 0.6}),
        ],
        kept=2,
    ),
)
def test_a_gallery_says_what_explain_says(workspace, root, method, policy):
    chosen = Workspace.open(workspace.layout.root, overrides={"scan.method": method})
    chosen.calibrate(root / "known", **policy)
    shown = gallery(chosen)
    assert shown
    for item in shown:
        assert item["reason"] == as_explained(chosen, item["image_id"]), item["uri"]


def test_the_label_that_decides_is_shown_where_there_is_one_else_the_nearest_negative(workspace, root):
    workspace.calibrate(root / "lake", keep=0.6)
    certain, doubtful = gallery(workspace)
    assert [item["reason"] for item in (certain, doubtful)] == [
        as_explained(workspace, item["image_id"]) for item in (certain, doubtful)
    ]
    assert certain["reason"]["deciding"] is None and certain["reason"]["label"]["label"] == certain["top_negative"]
    decisive = doubtful["reason"]["label"]
    assert doubtful["reason"]["deciding"] == decisive["label"] and decisive["id_score_without"] > doubtful["id_score"]
    page = workspace.report().as_html()
    assert page.count("no single label decides") == 1
    assert f"“<bdi>{decisive['label']}</bdi>” decides: without it the image would be kept" in page


def test_under_cuts_by_class_the_label_that_decides_may_be_an_id_label():
    first, second = LabelPart(0, "id", 0.3, 0.6, 0.6), LabelPart(1, "id", 0.29, 0.4, 0.9)
    negative = LabelPart(2, "negative", 0.2, 1.0, 1.2)
    found = Attribution(log_odds=1.0, id_score=0.7, ids=(first, second), negatives=(negative,))
    strict = Cuts({"rule": "keep"}, common=1.5, by_class={0: 1.5, 1: 0.5})
    ruling = Ruling({"log_odds": 1.0, "id_score": 0.7}, strict, 1.5, found)
    assert ruling.flagged and part_to_show(ruling) == first, "of the next class it would be kept"
    lenient = Cuts({"rule": "keep"}, common=1.5, by_class={})
    assert part_to_show(Ruling(ruling.score, lenient, 1.5, found)) == negative


def described(request):
    said = f"number &lt; {request.pictures[0].image_id[:4]}"
    return json.dumps({"description": said, "note": "<i>number</i>"})


def imagined(request):
    return json.dumps({"labels": {"red": ["rust"], "green": ["moss"]}[str(request.slots["label"])]})


def test_a_card_tells_the_call_that_made_its_label(workspace, root, monkeypatch):
    made = {
        "describer": ScriptedGenerator(described, model="d:1"),
        "reasoner": ScriptedGenerator(imagined, model="r:1"),
    }
    monkeypatch.setattr(LedgerWorld, "generator", lambda self, role: made[role])
    everything = {"threshold": "share", "eta": 1.0, "gamma": 1.0, "duplicate_cosine": 1.0, "max_cosine": 1.0}
    workspace.learn_bank("ants", "ants", settings=everything, force=True)
    chosen = Workspace.open(workspace.layout.root, overrides={"scan.bank": "ants", "scan.method": "ants"})
    chosen.calibrate(root / "lake", keep=0.5)
    report = chosen.report()
    calls = {row["call_id"]: row for row in chosen.sql("select * from report.generator_calls").to_pylist()}
    shown = [*report.data["certain"], *report.data["doubtful"]]
    origins = [item["reason"]["label"]["made_by"] for item in shown]
    assert origins and all(origins)
    for item, origin in zip(shown, origins, strict=True):
        assert item["reason"] == as_explained(chosen, item["image_id"])
        call = calls[origin["call_id"]]
        assert (origin["role"], origin["model"]) == (call["role"], call["model"])
        assert item["reason"]["label"]["label"] in origin["output"] == call["output"]
    page = report.as_html()
    assert page.count('<details class="making">') == len(shown) and origins[0]["call_id"] in page
    assert "<i>number" not in page and "&lt;i&gt;number" in page and "describer d:1" in page
    assert "number &amp;lt; " in page and "number &lt; " not in page


def test_the_report_is_whole_where_a_score_cannot_be_taken_apart_any_more(workspace, root, tmp_path):
    chosen = Workspace.open(workspace.layout.root, overrides={"scan.method": "knn:k=2"})
    chosen.calibrate(root / "known", keep=0.6)
    known = {item["image_id"]: item["reason"] for item in gallery(chosen)}
    assert all(known.values())
    more = shutil.copytree(root / "lake", tmp_path / "more", ignore=shutil.ignore_patterns("red*", "green*"))
    # with more reference images than the scores were made by
    Workspace.open(workspace.layout.root).learn_bank("adaneg", "adaneg", reference=[more], force=True)
    shown = gallery(chosen)
    assert shown and {item["image_id"] for item in shown} == set(known)
    assert [item["reason"] for item in shown] == [None] * len(shown)
    assert "decides" not in chosen.report().as_html().partition('id="certain"')[2]


def test_a_scan_is_called_by_its_date_and_where_dates_repeat_by_as_much_of_the_time_as_tells_them_apart():
    moments = [
        datetime(2026, 1, 30, 2), datetime(2026, 1, 31, 2), datetime(2026, 1, 31, 14, 5, 1),
        datetime(2026, 1, 31, 14, 5, 9, 250_000), datetime(2026, 1, 31, 14, 5, 9, 750_000), datetime(2026, 2, 1),
    ]  # fmt: skip
    assert distinct_names(moments) == [
        "2026-01-30", "2026-01-31 02:00", "2026-01-31 14:05:01", "2026-01-31 14:05:09.250000",
        "2026-01-31 14:05:09.750000", "2026-02-01",
    ]  # fmt: skip


def test_two_scans_of_a_date_have_two_names_in_the_report(workspace, root):
    workspace.scan(root / "lake")
    nights = workspace.report(pictures=False).data["nights"]
    assert len(nights) == 2 == len({night["name"] for night in nights})
    assert all(night["name"].startswith(str(night["night"])) for night in nights)
