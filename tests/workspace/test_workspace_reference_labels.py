"""What labels of reference images mean: folders called by WordNet ids, labels maps, and labels that name nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from curator.errors import ConfigError, UsageError
from curator.workspace import Workspace
from tests.conftest import SMALL_BANK
from tests.workspace.test_workspace_learning import picture

TENCH, GOLDFISH = "n01440764", "n01443537"
SAID = "^synood: none of the 2 labels of the reference images is an ID label, such as n01440764, n01443537 "
SMALL = {"per_class": 2, "projection_epochs": 1, "tuning_epochs": 1}


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> Path:
    """Eight images of two ImageNet classes in folders called as ImageNet calls them."""
    root = tmp_path_factory.mktemp("labels") / "known"
    for number in range(8):
        path = root / (TENCH, GOLDFISH)[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(("red", "green")[number % 2], number))
    return root


@pytest.fixture(scope="module")
def made_once(known) -> Path:
    """A workspace whose ID labels are no nouns of WordNet, with those images as its reference."""
    workspace = Workspace.create(known.parent / "workspace", labels=["class red", "class green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    workspace.calibrate(known)
    return workspace.layout.root


@pytest.fixture
def root(made_once, tmp_path) -> Path:
    return shutil.copytree(made_once, tmp_path / "workspace")


def names(folder: Path, *rows: str) -> str:
    path = folder / "names.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return str(path)


def test_labels_that_name_nothing_are_refused_before_any_call_in_one_line(root):
    workspace = Workspace.open(root)
    for asked in (workspace.learn_bank, workspace.plan_bank):
        with pytest.raises(UsageError, match=SAID) as caught:
            asked("synood", "synood", settings=SMALL)
        assert "--labels-map FILE" in caught.value.hint and "nearest" in caught.value.hint


def test_a_labels_map_names_them_and_the_lineage_counts_them(root):
    mapped = names(root, f"{TENCH},class red", f"{GOLDFISH},Class_Green")
    summary = Workspace.open(root, overrides={"scan.labels_map": mapped}).learn_bank("synood", "synood", settings=SMALL)
    assert summary.account["reference"] == {"by_label": 8, "by_nearest": 0, "left_out": 0, "unknown": []}
    assert summary.account["classes"] == 2
    (root / "half.csv").write_text(f"{TENCH},class red\n", encoding="utf-8")
    half = Workspace.open(root, overrides={"scan.labels_map": "half.csv"}).learn_bank("synood", "half", settings=SMALL)
    assert half.account["reference"] == {"by_label": 4, "by_nearest": 0, "left_out": 4, "unknown": [GOLDFISH]}
    assert half.account["classes"] == 1


def test_nearest_takes_the_nearest_id_label_on_purpose(root):
    summary = Workspace.open(root, overrides={"scan.labels_map": "nearest"}).learn_bank("synood", "s", settings=SMALL)
    assert summary.account["reference"] == {"by_label": 0, "by_nearest": 8, "left_out": 0, "unknown": []}


def test_a_calibration_says_which_labels_are_no_id_label(root, known, tmp_path, run_cli):
    mixed = tmp_path / "mixed"
    for number, path in enumerate(sorted(known.rglob("*.png"))):
        label = "Faces_easy" if number < 2 else "class red"
        (mixed / label).mkdir(parents=True, exist_ok=True)
        (mixed / label / path.name).write_bytes(path.read_bytes() + b"again")
    Workspace.open(root).calibrate(mixed, forget=[known])
    told = run_cli("-w", root, "calibrate").stderr
    assert "2 of 8 reference images have labels that are no ID label (Faces_easy): a labels map tells what they" in told


def test_a_calibration_refuses_a_map_that_names_nothing_and_warns_without_one(root, known, run_cli):
    wrong = names(root, f"{TENCH},tuna")
    ended = run_cli("-w", root, "calibrate", "--labels-map", wrong, code=2)
    assert "none of the 2 labels of the reference images is an ID label" in ended.stderr
    assert "banks that learn by class want --labels-map" in run_cli("-w", root, "calibrate").stderr
    right = names(root, f"{TENCH},class red")
    assert "labels" not in run_cli("-w", root, "calibrate", "--labels-map", right).stderr
    with pytest.raises(ConfigError, match="cannot be read"):
        Workspace.open(root, overrides={"scan.labels_map": "gone.csv"}).calibrate()


def test_folders_of_wordnet_ids_need_no_map_where_wordnet_has_the_id_labels(known, tmp_path):
    workspace = Workspace.create(tmp_path / "fish", labels=["goldfish", "tench"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    workspace.calibrate(known)
    summary = workspace.learn_bank("synood", "synood", settings=SMALL)
    assert summary.account["reference"] == {"by_label": 8, "by_nearest": 0, "left_out": 0, "unknown": []}


def test_names_of_imagenet_ship_and_two_folders_may_share_one(known, tmp_path):
    """The names published with CLIP call two WordNet ids `missile`; neither that nor `great white shark` is refused."""
    missiles, shark = ("n03773504", "n04008634"), "n01484850"
    for number, wnid in enumerate((*missiles, shark)):
        path = tmp_path / "images" / wnid / "0.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(picture("blue", 40 + number))
    workspace = Workspace.create(tmp_path / "w", labels=["missile", "great white shark"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    workspace.calibrate(tmp_path / "images")
    assert workspace.learn_bank("synood", "s", settings=SMALL).account["reference"]["by_label"] == 3
    named = Workspace.open(workspace.layout.root, overrides={"scan.labels_map": "imagenet1k"})
    assert named.learn_bank("synood", "s", settings=SMALL).account["reference"]["by_label"] == 3
    with pytest.raises(ConfigError, match="no list of classes is called 'imagenet'"):
        Workspace.open(workspace.layout.root, overrides={"scan.labels_map": "imagenet"}).calibrate()


def test_a_flat_folder_is_no_label(tmp_path, lake):
    workspace = Workspace.create(tmp_path / "flat", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    for number in range(4):
        path = tmp_path / "known-id" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(("red", "green")[number % 2], number))
    for source in (tmp_path / "known-id", f"{tmp_path}/known-id/*.png"):
        workspace.calibrate(source)
        account = workspace.learn_bank("synood", "synood", settings=SMALL, force=True).account["reference"]
        assert account["by_nearest"] == 4 and account["unknown"] == []
