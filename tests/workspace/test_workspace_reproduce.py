"""A published table made again: on a made-up data set in the published layouts, with its bookkeeping done by hand."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curator.decode import fit
from curator.encoders import EncoderOptions, load_encoder
from curator.errors import RunInterrupted, UsageError
from curator.evaluation import recipes
from curator.evaluation.protocol import load_protocol
from curator.evaluation.recipes import recipe_banks
from curator.metrics import measure
from curator.resources import read_folder
from curator.systems.adaneg.settings import AdaNegSettings
from curator.systems.adaneg.stream import AdaNegStream
from curator.systems.stream import batches, shuffled
from curator.workspace import ReproductionRequest, Workspace
from curator.workspace.evaluate import reproduce as reproduction
from curator.workspace.evaluate.stream_recipe import StreamRecipe

SHIPPED = [name for name, text in read_folder("curator.protocols", suffix=".toml").items() if "recipe" in text]

BANK = """\
name = "small"
[id]
labels = "classes.txt"
repeats = true
template = "a {} thing"
[[negatives.lists]]
words = ["blue", "yellow", "cyan", "magenta"]
template = "a {} thing"
"""
TABLE = """\
name = "colours"
title = "Known colours against others"
encoder = "fake"
[id]
name = "known-val"
title = "Red and green pictures"
images = 8
files = "ILSVRC2012_val_{:08}.JPEG"
classes = ["red", "green", "dark_red"]
[[ood]]
name = "blue"
title = "Blue pictures"
images = 6
group = "near"
[[ood]]
name = "yellow"
title = "Yellow pictures"
images = 5
group = "far"
[[published]]
method = "NegLabel"
source = "a table"
positive = "ood"
[published.recipe]
bank = "small"
method = "neglabel:group_count=2"
images = "openood"
[published.figures]
blue = { auroc = 90.5, fpr95 = 40 }
average = { auroc = 91, fpr95 = 30 }
[[published]]
method = "MCM"
source = "a table"
positive = "id"
[published.recipe]
bank = "small"
method = "mcm:scale=1"
images = "bilinear"
[published.figures]
blue = { auroc = 80 }
[[published]]
method = "AdaNeg"
source = "a log"
positive = "ood"
[published.recipe]
bank = "small"
stream = "adaneg:batch=4,group_count=1,gap=0.1"
images = "openood"
[published.figures]
yellow = { auroc = 99, fpr95 = 1 }
[[published]]
method = "LAPT"
source = "a table"
positive = "unstated"
not_run = "its prompts are trained"
[published.figures]
blue = { auroc = 95, fpr95 = 20 }
"""
COLOURS = {"red": (220, 30, 20), "green": (20, 200, 60), "blue": (90, 20, 200), "yellow": (210, 200, 40)}


def picture(colour: str, number: int) -> bytes:
    """A picture of a colour, no two alike: 60 x 44 pixels with a band."""
    pixels = np.zeros((44, 60, 3), np.uint8)
    pixels[:] = COLOURS[colour]
    pixels[:, 5 * number : 5 * number + 30] = np.clip(
        np.array(COLOURS[colour]) // (1 + number % 3) + 9 * number, 0, 255
    )
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Lists in the published layouts: ID images in folders of classes, the others in `images` of each list; among the
    OOD ones a copy, an ID image, and a file that is no image."""
    root = tmp_path_factory.mktemp("data")
    for number in range(1, 9):
        colour = "red" if number % 2 else "green"
        write(root / "known-val" / colour / f"ILSVRC2012_val_{number:08}.JPEG", picture(colour, number))
    for number in range(4):
        write(root / "blue" / "images" / f"b{number}.jpg", picture("blue", number))
        write(root / "yellow" / "images" / "stained" / f"stained_{number:04}.jpg", picture("yellow", number))
    write(root / "blue" / "images" / "copy.jpg", picture("blue", 0))
    write(root / "blue" / "images" / "known.jpg", picture("red", 1))
    write(root / "yellow" / "images" / "stained" / "broken.jpg", b"no image")
    return root


@pytest.fixture(scope="module", autouse=True)
def small_bank():
    """Recipes of these tests have one bank more, which is built in no time."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (recipes, reproduction):
            patch.setattr(module, "recipe_banks", lambda: recipe_banks() | {"small": BANK})
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory, small_bank) -> Path:
    path = tmp_path_factory.mktemp("table") / "colours.toml"
    path.write_text(TABLE)
    return path


@pytest.fixture(scope="module")
def made(table, data, tmp_path_factory):
    """A reproduction that was killed at its second row and called again: its workspace, and what it found."""
    folder, measure_row, begun = tmp_path_factory.mktemp("made") / "colours", reproduction.run_evaluation, []

    def killed(context, wanted, watcher):
        begun.append(wanted.methods)
        if len(begun) == 2:
            raise RunInterrupted("killed")
        return measure_row(context, wanted, watcher)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproduction, "run_evaluation", killed)
        with pytest.raises(RunInterrupted):
            Workspace.reproduce(folder, request(table, data))
    return folder, Workspace.reproduce(folder, request(table, data))


def request(table, data, **more) -> ReproductionRequest:
    return ReproductionRequest(table=str(table), data=data, replicates=10, **more)


def by_hand(data: Path, form: str):
    """Vectors of the distinct images of each list by content, and of the labels, as the workspace stores them."""
    encoder = load_encoder(EncoderOptions(address=f"fake#{form}"))
    contents = {
        name: list(
            dict.fromkeys(path.read_bytes() for path in sorted((data / name).rglob("*.*")) if path.stem != "broken")
        )
        for name in ("known-val", "blue", "yellow")
    }
    contents["blue"] = [item for item in contents["blue"] if item not in contents["known-val"]]
    vectors = {
        name: encoder.encode_images(
            np.stack([fit(Image.open(io.BytesIO(item)).convert("RGB"), encoder.preprocess) for item in items])
        )
        for name, items in contents.items()
    }
    words = ["red", "green", "dark red"], ["blue", "yellow", "cyan", "magenta"]
    labels = [encoder.encode_texts([f"a {word} thing" for word in part]) for part in words]
    return vectors, *labels


def test_rows_of_a_table_are_measured_by_their_recipes_beside_what_was_published(made, data):
    found = made[1]
    rows = found.rows()
    assert [(row["method"], row["ood"]) for row in rows] == [
        ("NegLabel", "blue"), ("NegLabel", "yellow"), ("NegLabel", "average"),
        ("MCM", "blue"), ("MCM", "yellow"), ("AdaNeg", "yellow"), ("LAPT", "blue"),
    ]  # fmt: skip
    vectors, ids, _ = by_hand(data, "bilinear")
    shares = {
        name: np.exp(part @ ids.T) / np.exp(part @ ids.T).sum(axis=1, keepdims=True) for name, part in vectors.items()
    }
    scores = {name: part.max(axis=1) for name, part in shares.items()}
    mcm = measure(scores["known-val"], scores["blue"])
    assert rows[3]["auroc"] == pytest.approx(100 * mcm["auroc"])
    assert rows[3]["auroc_less_published"] == pytest.approx(100 * mcm["auroc"] - 80)
    assert rows[3]["fpr95"] == pytest.approx(100 * mcm["fpr95_id_positive"])
    assert (rows[3]["fpr95_published"], rows[3]["fpr95_less_published"]) == (None, None)
    assert rows[2]["auroc"] == pytest.approx((rows[0]["auroc"] + rows[1]["auroc"]) / 2)
    assert rows[0]["fpr95_less_published"] == pytest.approx(rows[0]["fpr95"] - 40)
    assert (rows[5]["auroc"], rows[6]["auroc"]) == (None, None)
    assert "learns from what it scores" in rows[5]["not_measured"]
    assert rows[6]["not_measured"] == "its prompts are trained"
    # Data that were left out are counted, and lists that differ are said.
    counts = {
        item.name: (item.data, item.images, item.copies, item.excluded, item.unreadable)
        for item in found.results[0].summary.sets
    }
    assert counts == {"id": (8, 8, 0, 0, 0), "blue": (6, 4, 1, 1, 0), "yellow": (5, 4, 0, 0, 1)}
    assert found.warnings == ("blue: 1 images left out, they are ID images as well",)
    # Labels of folders are those of classes: every red and green image has one.
    assert found.results[0].summary.measured[0].labelled == 8


def test_killed_and_called_again_goes_on_and_counts_nothing_twice(made, table, data):
    folder, second = made
    stored = {item.row.method: item.summary.stored for item in second.results if item.summary}
    assert sorted(stored.values()) == [False, True]
    third = Workspace.reproduce(folder, request(table, data))
    assert [(item.summary.stored, item.summary.embedded) for item in third.results if item.summary] == [(True, 0)] * 2
    assert third.rows() == second.rows()
    workspace = Workspace.open(folder)
    counts = "select count(*) as n, count(distinct digest) as distinct_n from evaluation"
    assert workspace.sql(counts).to_pylist() == [{"n": 2, "distinct_n": 2}]
    # 16 contents in two forms, each with one vector; every figure once.
    assert workspace.sql("select count(*) as n from vector").to_pylist() == [{"n": 32}]
    assert [result.name for result in workspace.check() if not result.healthy] == []


def test_a_row_is_measured_again_when_its_images_are_others(table, data, tmp_path):
    own = shutil.copytree(data, tmp_path / "own")
    first = Workspace.reproduce(tmp_path / "made", request(table, own, methods=("neglabel",)))
    (own / "yellow" / "images" / "stained" / "stained_0000.jpg").unlink()
    second = Workspace.reproduce(tmp_path / "made", request(table, own, methods=("neglabel",)))
    assert [item.summary.stored for item in (*first.results, *second.results)] == [False, False]
    assert second.rows()[1]["auroc"] is not None
    assert any("yellow holds 4 images" in warning for warning in second.warnings)


def test_streams_begin_anew_with_each_set_and_order(table, data, tmp_path):
    wanted = request(table, data, streams=True, orders=3, methods=("AdaNeg",))
    found = Workspace.reproduce(tmp_path / "made", wanted)
    (row,) = [row for row in found.rows() if row["ood"] == "yellow"]
    vectors, ids, negatives = by_hand(data, "openood")
    workspace = Workspace.open(tmp_path / "made")
    uris = workspace.sql("select uri, image_id from location where image_id is not null").to_pylist()
    names = {Path(item["uri"]).read_bytes(): item["image_id"] for item in uris if Path(item["uri"]).is_file()}
    named = {}
    for name in ("known-val", "yellow"):
        paths = sorted(path for path in (data / name).rglob("*.*") if path.stem != "broken")
        named[name] = [names[path.read_bytes()] for path in paths]
    vector_of = {
        image_id: vector
        for name, ids_of in named.items()
        for image_id, vector in zip(ids_of, vectors[name], strict=True)
    }
    expected = []
    for order in range(3):
        settings = AdaNegSettings(mode="online", batch=4, group_count=1, gap=0.1)
        stream = AdaNegStream(ids, negatives, settings, scale=100.0)
        passed = shuffled([*named["known-val"], *named["yellow"]], order)
        parts = [stream.feed(np.stack([vector_of[item] for item in part])) for part in batches(passed, 4)]
        scores = dict(zip(passed, np.concatenate(parts), strict=True))
        inside, outside = ([scores[item] for item in named[name]] for name in ("known-val", "yellow"))
        expected.append(100 * measure(np.array(inside), np.array(outside))["auroc"])
    assert row["auroc"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert row["auroc_deviation"] == pytest.approx(np.std(expected, ddof=1), abs=1e-6)
    assert row["orders"] == 3
    again = Workspace.reproduce(tmp_path / "made", wanted)
    assert again.results[0].summary.stored
    assert again.rows() == found.rows()
    more = Workspace.reproduce(tmp_path / "made", replace(wanted, orders=2))
    assert not more.results[0].summary.stored


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"methods": ("Nonesuch",)}, "no row of Nonesuch"),
        ({"data": Path("/no/such")}, "cannot run; missing"),
    ],
)
def test_what_cannot_be_is_refused_before_any_image_is_read(table, data, tmp_path, more, message):
    with pytest.raises(UsageError, match=message):
        Workspace.reproduce(tmp_path / "made", replace(request(table, data), **more))
    assert not (tmp_path / "made" / "ledger.duckdb").exists()


def test_a_folder_of_another_table_is_refused_and_names_may_be_given(table, data, tmp_path):
    (tmp_path / "names.csv").write_text("key,label\nred,red\ngreen,green\ndark_red,red\n")
    found = Workspace.reproduce(tmp_path / "made", request(table, data, names=tmp_path / "names.csv", methods=("MCM",)))
    assert (tmp_path / "made" / "classes.txt").read_text() == "red\ngreen\nred\n"  # one twice, as published lists have
    assert found.rows()[0]["auroc"] is not None
    with pytest.raises(UsageError, match="another content"):
        Workspace.reproduce(tmp_path / "made", request(table, data, methods=("MCM",)))
    (tmp_path / "few.csv").write_text("red,red\n")
    with pytest.raises(UsageError, match="lack 2 of 3 classes"):
        Workspace.reproduce(tmp_path / "other", request(table, data, names=tmp_path / "few.csv"))


def test_the_command_prints_the_table_with_figures_of_streams_and_why_rows_are_missing(
    data, tmp_path, monkeypatch, run_cli
):
    (tmp_path / "colours-v1.5.toml").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    words = ["reproduce", "colours-v1.5.toml", "--data", data, "--row", "adaneg", "--row", "LAPT"]
    shown = run_cli(*words, "--stream", "--orders", "2").output
    assert "1 of 2 rows measured, 0 of them before" in shown
    (adaneg,) = [line for line in shown.splitlines() if "yellow" in line]
    assert "±" in adaneg and "99.00" in adaneg and "small, adaneg:batch=4" in adaneg
    assert "not measured: its prompts are trained" in shown
    rows = json.loads(run_cli(*words, "--stream", "--orders", "2", "--json").stdout)["rows"]
    assert [row["ood"] for row in rows] == ["blue", "yellow", "blue"]
    assert (tmp_path / "colours-v1.5" / "curator.toml").is_file()  # the workspace is called after the table


def test_streams_are_measured_beside_methods_on_a_bank_of_ones_own(workspace, data, run_cli):
    sources = {"id_sources": (data / "known-val",), "ood_sources": {"blue": (data / "blue",)}}
    stream = "tanl:batch=4,negatives=3,candidates=mined"
    wanted = {"positive": "id", "replicates": 0, "streams": (stream,), "orders": 2, **sources}
    summary = workspace.evaluate(**wanted, methods=("mcm",))
    assert [item.method for item in summary.measured] == ["mcm", f"{stream}, order 0", f"{stream}, order 1"]
    assert len({item.method_id for item in summary.measured}) == 3
    assert workspace.evaluate(**wanted).measured[0].method.startswith("tanl")
    for bad, message in (("eoe", "does not learn from what it scores"), ("tanl:stpe=1", "unknown key tanl.stpe")):
        with pytest.raises(UsageError, match=message):
            workspace.evaluate(**{**wanted, "streams": (bad,)})


def test_rows_that_need_models_say_so_and_have_their_banks_learnt(data, tmp_path, monkeypatch):
    eoe = '[published.recipe]\nbank = "small"\nlearn = "eoe:task=near,top_up=0"\nmethod = "eoe"\n'
    (tmp_path / "eoe.toml").write_text(TABLE.replace('not_run = "its prompts are trained"\n', eoe))
    wanted = request(tmp_path / "eoe.toml", data, methods=("LAPT",))
    (row,) = Workspace.reproduce(tmp_path / "made", wanted).rows()
    assert row["not_measured"].startswith("it needs a model: set generators.reasoner in ")
    asked = []

    def learn(context, learning, watcher):  # tests of systems have the real one, which takes its time
        asked.append((learning.system, learning.name, learning.parent, dict(learning.settings), learning.force))
        context.layout.bank_spec(learning.name).write_text(BANK.replace('"small"', f'"{learning.name}"'))

    monkeypatch.setattr(reproduction, "EMBEDDED", ())  # WordNet stands in for a model
    monkeypatch.setattr(reproduction, "run_learning", learn)
    found = Workspace.reproduce(tmp_path / "made", wanted)
    (measured,) = found.results[0].summary.measured
    assert measured.bank.startswith("small-eoe@")
    assert [row["ood"] for row in found.rows()] == ["blue", "yellow"]
    assert (found.rows()[0]["fpr95_published"], found.rows()[0]["fpr95_less_published"]) == (20, None)  # not stated
    assert Workspace.reproduce(tmp_path / "made", wanted).results[0].summary.stored
    assert asked == [("eoe", "small-eoe", "small", {"task": "near", "top_up": "0"}, True)]  # once


@pytest.mark.parametrize("name", SHIPPED)
def test_streams_of_shipped_recipes_can_be_run(name):
    streams = [row.recipe.stream for row in load_protocol(name).published if row.recipe and row.recipe.stream]
    assert len({StreamRecipe.parse(stream).method_id(0) for stream in streams}) == len(streams)
