"""Evaluations of a workspace: sets, figures, what is stored, what is refused before any work."""

from __future__ import annotations

import io
import tarfile

import pytest

from curator.errors import BankError, CuratorError, UsageError
from curator.metrics import measure
from curator.workspace import Workspace

PROTOCOL = """\
name = "colours"
title = "Known colours against others"
encoder = "{encoder}"
[id]
name = "known"
title = "Red and green pictures"
images = 6
[[ood]]
name = "blue"
title = "Blue pictures"
images = {blue}
group = "near"
[[ood]]
name = "yellow"
title = "Yellow pictures"
images = 3
group = "far"
[[published]]
method = "MCM"
source = "a table"
positive = "id"
[published.figures]
blue = {{ auroc = 90.5, fpr95 = 40 }}
"""


@pytest.fixture
def folders(tmp_path, pictures):
    """Pictures by colour: known/red, known/green, blue, yellow; and a tar of all with the colour as label."""
    root = tmp_path / "data"
    with_tar = root / "all.tar"
    for name, data in pictures.items():
        colour = name.partition("-")[0]
        folder = root / "known" / colour if colour in ("red", "green") else root / colour
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with tarfile.open(with_tar, "w") as archive:
        for name, data in pictures.items():
            colour = name.partition("-")[0]
            for suffix, content in ((".png", data), (".cls.txt", f"{colour.upper()}_".strip("_").encode())):
                info = tarfile.TarInfo(name.removesuffix(".png") + suffix)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return root


def request(folders, **more) -> dict:
    return {
        "positive": "id",
        "id_sources": (str(folders / "known"),),
        "ood_sources": {"blue": (str(folders / "blue"),), "yellow": (str(folders / "yellow"),)},
        "replicates": 20,
        **more,
    }


def test_figures_are_those_of_the_stored_scores(workspace, folders):
    summary = workspace.evaluate(**request(folders, methods=("mcm", "neglabel")))
    assert [item.method for item in summary.measured] == ["mcm", "neglabel"]
    assert [item.images for item in summary.sets] == [6, 3, 3]
    assert summary.embedded == 12
    for measured in summary.measured:
        odds = workspace.sql(
            "select location.uri, score.log_odds from score join location using (image_id) where method_id = $method",
            {"method": measured.method_id},
        ).to_pylist()
        by_set = {
            name: [row["log_odds"] for row in odds if f"/{name}/" in row["uri"]] for name in ("known", "blue", "yellow")
        }
        found = {figure.name: figure for figure in measured.figures}
        for name in ("blue", "yellow"):
            values = {metric: estimate.value for metric, estimate in found[name].metrics.items()}
            assert values == measure(by_set["known"], by_set[name])
        assert (found["blue"].id_count, found["blue"].ood_count, found["average"].ood_count) == (6, 3, 6)
        assert (measured.labelled, measured.correct) == (6, 6)  # the folders are called red and green


def test_evaluated_images_are_not_in_the_lake_and_the_ledger_stays_healthy(workspace, folders, lake):
    workspace.scan(lake / "red-*.png")
    before = workspace.sql("select * from report.scores order by uri").to_pylist()
    workspace.use("base", "mcm")
    workspace.evaluate(**request(folders))
    assert workspace.sql("select count(*) as n from report.images").to_pylist() == [{"n": 3}]
    workspace.use("base", "neglabel")
    assert workspace.sql("select * from report.scores order by uri").to_pylist() == before
    assert [result.name for result in workspace.check() if not result.healthy] == []


def test_evaluated_images_are_not_searched_for_near_duplicates_until_they_are_in_the_lake(workspace, folders):
    workspace.evaluate(**request(folders))
    assert workspace.scan(folders / "known" / "red").near_duplicates > 0  # their contents were embedded before
    files = workspace.sql("select count(*) as n from compared_file").to_pylist()
    assert files == [{"n": 1}]
    assert workspace.scan(folders / "yellow").duplicates == 3


def test_second_evaluation_embeds_nothing_and_finds_the_same(workspace, folders, monkeypatch):
    first = workspace.evaluate(**request(folders))
    monkeypatch.setattr("curator.workspace.context.load_encoder", lambda options: pytest.fail("an encoder was loaded"))
    second = Workspace.open(workspace.layout.root).evaluate(**request(folders))
    assert (first.embedded, second.embedded) == (12, 0)
    assert first.measured == second.measured


def test_figures_are_stored_and_shown_by_the_view(workspace, folders):
    summary = workspace.evaluate(**request(folders, near=("blue",), positive="ood"))
    rows = workspace.query("evaluations").to_pylist()
    assert [(row["scope"], row["ood_name"]) for row in rows[:2]] == [("set", "blue"), ("set", "yellow")]
    assert {row["scope"] for row in rows[2:]} == {"average", "near", "far"}
    blue = summary.measured[0].figures[0]
    assert rows[0]["auroc"] == blue.metrics["auroc"].value
    assert rows[0]["auroc_low"] == blue.metrics["auroc"].low
    assert rows[0]["id_label_accuracy"] == 1.0
    sets = workspace.sql("select * from evaluation_set order by side, name").to_pylist()
    assert [(row["name"], row["near_far"], row["image_count"]) for row in sets] == [
        ("id", None, 6),
        ("blue", "near", 3),
        ("yellow", "far", 3),
    ]
    assert workspace.sql("select positive, replicates from evaluation").to_pylist() == [
        {"positive": "ood", "replicates": 20}
    ]
    assert [result.name for result in workspace.check() if not result.healthy] == []


def test_one_source_gives_both_sides_by_its_labels(workspace, folders, tmp_path):
    (tmp_path / "id.txt").write_text("red\nGreen\n")
    wanted = request(
        folders,
        id_sources=(str(folders / "all.tar"),),
        ood_sources={"blue again": (str(folders / "blue"),), "known": (str(folders / "known"), str(folders / "blue"))},
        id_labels=tmp_path / "id.txt",
        ood_rest="rest",
    )
    summary = workspace.evaluate(**wanted)
    assert {item.name: (item.images, item.excluded) for item in summary.sets} == {
        "id": (6, 0), "blue again": (3, 0), "known": (3, 6), "rest": (6, 0),
    }  # fmt: skip
    assert any("known: 6 images left out" in warning for warning in summary.warnings)
    figures = {figure.name: figure.metrics for figure in summary.measured[0].figures}
    assert {name: item.value for name, item in figures["known"].items()} == {
        name: item.value for name, item in figures["blue again"].items()
    }


def test_labels_map_gives_names_to_source_labels(workspace, folders, tmp_path):
    (tmp_path / "map.csv").write_text("key,label\nred,green\ngreen,turquoise\n")
    measured = workspace.evaluate(**request(folders, label_map=tmp_path / "map.csv")).measured[0]
    assert (measured.labelled, measured.correct) == (3, 0)  # red images called green; no bank label is turquoise


def test_every_bank_is_measured_with_every_method_once(workspace, folders):
    spec = workspace.layout.bank_spec("base").read_text()
    workspace.layout.bank_spec("other").write_text(spec.replace('"base"', '"other"').replace(', "noun.motive"', ""))
    methods = ("mcm", "neglabel", "mcm:temperature=1")  # the last is the first by another name
    summary = workspace.evaluate(**request(folders, banks=("base", "other"), methods=methods))
    assert [(item.bank.partition("@")[0], item.method) for item in summary.measured] == [
        ("base", "mcm"), ("base", "neglabel"), ("other", "mcm"), ("other", "neglabel"),
    ]  # fmt: skip
    assert len({(row["bank"], row["method"], row["ood"]) for row in summary.rows()}) == 4 * 3


def test_a_method_is_measured_with_the_banks_that_fit_it(workspace, folders):
    spec = workspace.layout.bank_spec("base").read_text()
    workspace.layout.bank_spec("bare").write_text(spec.replace('"base"', '"bare"') + "limit = 0\n")  # no negatives
    summary = workspace.evaluate(**request(folders, banks=("bare", "base"), methods=("mcm", "neglabel")))
    assert [(item.bank.partition("@")[0], item.method) for item in summary.measured] == [
        ("bare", "mcm"), ("base", "mcm"), ("base", "neglabel"),
    ]  # fmt: skip
    assert [warning for warning in summary.warnings if "bare" in warning and "not measured" in warning]
    with pytest.raises(BankError, match="bare"):
        workspace.evaluate(**request(folders, banks=("bare",), methods=("mcm", "neglabel")))
    workspace.layout.bank_spec("bald").write_text(spec.replace('"base"', '"bald"') + "limit = 0\n")
    summary = workspace.evaluate(**request(folders, banks=("bare", "bald", "base"), methods=("neglabel",)))
    (said,) = [warning for warning in summary.warnings if "not measured" in warning]
    assert "neglabel on bank bare@" in said and ", bald@" in said  # one line for all banks that lack the same


def test_a_method_that_the_reference_is_too_small_for_is_passed_over_and_said(workspace, folders):
    few = {"reference": (str(folders / "known" / "red"),)}
    summary = workspace.evaluate(**request(folders, **few, methods=("residual:dimensions=12", "mcm")))
    assert [item.method for item in summary.measured] == ["mcm"]
    (said,) = [text for text in summary.warnings if text.startswith("not measured: ")]
    assert said.startswith("not measured: residual:dimensions=12 on bank base@") and "3 reference images" in said
    with pytest.raises(UsageError, match="3 reference images are too few"):
        workspace.evaluate(**request(folders, **few, methods=("residual:dimensions=12",)))


def test_reference_images_are_kept_apart(workspace, folders):
    wanted = request(folders, reference=(str(folders / "known" / "red"),), methods=("knn:k=2", "mcm"))
    assert [item.method for item in workspace.evaluate(**wanted).measured] == ["knn:k=2", "mcm"]
    roles = workspace.sql("select role, count(*) as n from location group by role order by role").to_pylist()
    assert roles == [{"role": "evaluation", "n": 12}, {"role": "reference", "n": 3}]


def test_reference_images_with_an_ood_label_are_left_out_and_others_of_the_workspace_too(workspace, folders, tmp_path):
    (tmp_path / "ids.txt").write_text("red\ngreen\n")
    workspace.calibrate(folders / "blue")  # a reference of the workspace, not of the evaluation
    shared = {"id_labels": tmp_path / "ids.txt", "id_sources": (str(folders / "all.tar"),), "methods": ("knn:k=2",)}
    mixed = workspace.evaluate(**request(folders, **shared, ood_rest="rest", reference=(str(folders / "all.tar"),)))
    known = workspace.evaluate(**request(folders, **shared, ood_rest="rest", reference=(str(folders / "known"),)))
    assert mixed.measured[0].method_id == known.measured[0].method_id
    red = workspace.evaluate(**request(folders, **shared, ood_rest="rest", reference=(str(folders / "known" / "red"),)))
    assert red.measured[0].method_id != known.measured[0].method_id


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"id_sources": ()}, "no ID images"),
        ({"ood_sources": {}}, "no OOD images"),
        ({"ood_sources": {"average": ("x",)}}, "cannot be called 'average'"),
        ({"near": ("cyan",)}, "cyan, which is no OOD set"),
        ({"ood_rest": "rest"}, "needs `id_labels`"),
        ({"methods": ("no-such",)}, "no method is called"),
        ({"data": "."}, "`data` is the folder of a protocol"),
        ({"protocol": "imagenet1k-four-ood"}, "has no list blue, yellow"),
        ({"ood_sources": {"x": ("/no/such/place",)}}, "/no/such/place"),
    ],
)
def test_bad_request_is_refused_before_any_work(workspace, folders, more, message):
    with pytest.raises(CuratorError, match=message):
        workspace.evaluate(**request(folders, **more))
    assert not workspace.layout.ledger.exists()


def test_empty_set_is_refused(workspace, folders, tmp_path):
    with pytest.raises(UsageError, match="the set twice is empty: every one of its images is an ID image"):
        workspace.evaluate(**request(folders, ood_sources={"twice": (str(folders / "known"),)}))
    (tmp_path / "id.txt").write_text("tram\n")
    with pytest.raises(UsageError, match="the set id is empty"):
        workspace.evaluate(**request(folders, id_labels=tmp_path / "id.txt"))


def test_protocol_finds_its_lists_and_sets_published_figures_beside(workspace, folders, tmp_path):
    (tmp_path / "colours.toml").write_text(PROTOCOL.format(encoder="fake", blue=4))
    found = workspace.evaluate(positive="id", protocol=str(tmp_path / "colours.toml"), data=folders, replicates=0)
    assert found.protocol == "colours"
    assert found.warnings == ("blue holds 3 images, the protocol's list 4",)
    rows = found.rows()
    assert [(row["ood"], row["near_far"], row["source"]) for row in rows] == [
        ("blue", "near", "measured"),
        ("yellow", "far", "measured"),
        ("average", None, "measured"),
        ("near", None, "measured"),
        ("far", None, "measured"),
        ("blue", "near", "published (a table)"),
    ]
    assert (rows[-1]["auroc"], rows[-1]["fpr95_id_positive"]) == (0.905, 0.4)
    assert rows[-1]["fpr95_ood_positive"] is None


def test_protocol_says_every_list_that_is_missing_and_does_nothing(workspace, folders, tmp_path):
    with pytest.raises(UsageError) as fault:
        workspace.evaluate(positive="id", protocol="imagenet1k-four-ood", data=folders)
    lines = str(fault.value).splitlines()
    assert len(lines) == 6
    assert "list imagenet-val: ImageNet-1k validation, 50000 images; looked for" in lines[1]
    assert str(folders / "textures") in lines[5]
    assert not workspace.layout.ledger.exists()


@pytest.mark.parametrize("blue", ["blue", "no-such"])
def test_protocol_says_which_weights_are_missing(tmp_path, folders, make_workspace, monkeypatch, blue):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    made = make_workspace(tmp_path / "clip")
    text = PROTOCOL.format(encoder="fake", blue=3).replace('"blue"', f'"{blue}"').replace("\nblue =", f"\n{blue} =")
    (tmp_path / "colours.toml").write_text(text)
    # Where a list is missing too, nothing is downloaded to find out.
    overrides = {"encoder.address": "open_clip:ViT-B-16/openai", "encoder.offline": blue == "blue"}
    opened = Workspace.open(made.layout.root, overrides=overrides)
    with pytest.raises(UsageError) as fault:
        opened.evaluate(positive="id", protocol=str(tmp_path / "colours.toml"), data=folders)
    assert "weights open_clip:ViT-B-16/openai: the repository" in str(fault.value).splitlines()[-1]
    assert ("list no-such: Blue pictures" in str(fault.value)) == (blue == "no-such")
    assert not made.layout.ledger.exists()


def test_other_encoder_than_the_published_one_is_said(workspace, folders, tmp_path):
    (tmp_path / "colours.toml").write_text(PROTOCOL.format(encoder="open_clip:ViT-B-16/openai", blue=3))
    found = workspace.evaluate(positive="id", protocol=str(tmp_path / "colours.toml"), data=folders, replicates=0)
    assert any("cannot be compared" in warning for warning in found.warnings)
