"""The report of nights that were really scanned: what it says is what the ledger says, whatever has happened since."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curator.errors import UsageError, WorkspaceError
from curator.store import Database, publish_snapshot
from curator.vectors.shards import write_shard
from curator.workspace import Workspace
from curator.workspace.night.drift import DRIFT_FIGURES, FIGURES
from curator.workspace.night.report import figures_of


@pytest.fixture(scope="module")
def scanned(tmp_path_factory, pictures, make_workspace):
    """A workspace after its first night: twelve images, a duplicate and a reject. Not to be written to."""
    folder = tmp_path_factory.mktemp("first-night")
    lake = folder / "lake"
    lake.mkdir()
    for name, content in pictures.items():
        (lake / name).write_bytes(content)
    (lake / "x-duplicate.png").write_bytes(next(iter(pictures.values())))
    (lake / "x-broken.png").write_bytes(b"no picture")
    made = make_workspace(folder / "workspace")
    made.scan(lake)
    return made


@pytest.fixture
def workspace(scanned, tmp_path):
    """A copy of it."""
    shutil.copytree(scanned.layout.root, tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def first(workspace):
    """The run of the first night."""
    return workspace.sql("select run_id from report.night")["run_id"][0].as_py()


@pytest.fixture
def extra(tmp_path):
    """A second source, still empty."""
    folder = tmp_path / "extra"
    folder.mkdir()
    return folder


def add(folder, count, colours=("blue", "red"), *, mark=7):
    for number in range(count):
        image = Image.new("RGB", (40, 30), colours[number % len(colours)])
        image.putpixel((number % 40, mark), (9, 9, number % 256))
        image.save(folder / f"added-{mark}-{number:02d}.png")


def figures_in(page):
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, dict(attrs)))

    Reader().feed(page)
    return [attributes for tag, attributes in found if tag == "figure"]


def test_a_report_says_what_the_ledger_says(workspace):
    report = workspace.report()
    data = report.as_json()
    night = workspace.sql("select * from report.night").to_pylist()[0]
    for name in ("data_read", "images", "duplicates", "rejects", "objects_new"):
        assert data["accounting"][name] == night[name]
    assert (data["flags"]["scored"], data["flags"]["flagged"]) == (12, night["flagged"])
    assert [(row["rejects"], row["stage"]) for row in data["rejects"]] == [(1, "decode")]
    assert data["flags"]["low"] < data["flags"]["flag_rate"] == night["flag_rate"] < data["flags"]["high"]
    assert {row["stage"] for row in data["stages"]} == {"list", "known", "read", "score", "near_duplicates", "count"}
    flagged = workspace.sql("select uri, log_odds from report.flagged").to_pylist()
    shown = [*data["certain"], *data["doubtful"]]
    assert {item["uri"] for item in shown} <= {row["uri"] for row in flagged} and shown
    assert data["certain"][0]["log_odds"] == min(row["log_odds"] for row in flagged)
    assert sum(item["alike"] for item in shown) == len(flagged) == sum(item["images"] for item in data["clusters"])
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert len(figures_in(report.as_html())) == len(shown)
    assert (
        all(item.data for item in report.thumbnails.values())
        and set(data["figures"]) == {**FIGURES, **DRIFT_FIGURES}.keys()
    )


def test_galleries_show_one_image_of_each_group_the_least_id_and_the_nearest_to_the_cut_apart(workspace, extra):
    generator = np.random.default_rng(0)
    for number in range(80):
        Image.fromarray(generator.integers(0, 256, (12, 12, 3), np.uint8)).save(extra / f"{number:02d}.png")
    workspace.scan(extra)
    data = workspace.report(pictures=False).as_json()
    groups = {
        row["image_id"]: row["group_id"] for row in workspace.sql("select * from report.group_members").to_pylist()
    }
    certain, doubtful = ([groups[item["image_id"]] for item in data[name]] for name in ("certain", "doubtful"))
    assert len({*certain, *doubtful}) == len(certain) + len(doubtful)
    margins = [item["margin"] for item in (*data["certain"], *data["doubtful"][::-1])]
    assert margins == sorted(margins) and all(margin < 0 for margin in margins)


def test_a_night_is_found_by_date_by_run_and_by_how_its_run_begins(workspace, first, extra):
    add(extra, 4)
    second = workspace.scan(extra)
    today = str(workspace.sql("select max(night) as night from report.night")["night"][0])
    for asked, run_id, images in (
        (None, second.run_id, 4), (today, second.run_id, 4), (first, first, 12), (first[:-2], first, 12),
    ):  # fmt: skip
        data = workspace.report(asked, pictures=False).as_json()
        assert (data["night"]["run_id"], data["flags"]["scored"]) == (run_id, images)
    for asked in ("1999-01-01", "2", "nonsense", ""):
        with pytest.raises(UsageError, match="no scan of the night"):
            workspace.report(asked)


def test_earlier_nights_are_those_before_and_clusters_know_what_was_flagged_then(workspace, extra):
    add(extra, 4, ["blue"])
    second = workspace.scan(extra)
    data = workspace.report(pictures=False).as_json()
    assert [night["scored"] for night in data["nights"]] == [12, 4]
    assert data["nights"][-1]["run_id"] == second.run_id
    blue = [cluster for cluster in data["clusters"] if "added" in cluster["examples"][0]["uri"]]
    assert blue and not any(cluster["new"] for cluster in blue), "blue images were flagged on the first night"
    first = workspace.report(data["nights"][0]["run_id"], pictures=False).as_json()
    assert all(cluster["new"] for cluster in first["clusters"]) and len(first["nights"]) == 1


def test_drift_is_measured_against_the_night_that_was_pinned_last(workspace, first, extra):
    assert workspace.report(pictures=False).data["drift"]["baseline"] is None
    pinned = workspace.pin_baseline()
    assert (pinned["night_run_id"], pinned["images"], pinned["ruling"]) == (first, 12, True)
    same = workspace.report(pictures=False).data["drift"]
    assert (same["ks"], same["ks_p"], same["mmd_p"]) == (0, 1, 1) and same["psi"] == pytest.approx(0)
    add(extra, 30, ["blue"])
    second = workspace.scan(extra)
    other = workspace.report(pictures=False).data["drift"]
    assert other["ks"] > 0.5 and other["ks_p"] < 0.01 and other["mmd_p"] < 0.01 and other["psi"] > 1
    assert other["mmd_images"] == [12, 30]
    assert workspace.pin_baseline(second.run_id)["ruling"]
    assert workspace.baselines()["ruling"].to_pylist() == [True, False]
    assert workspace.report(pictures=False).data["drift"]["ks"] == 0


@pytest.mark.slow
def test_the_baseline_and_old_nights_outlive_their_images(workspace, extra):
    add(extra, 9, ["blue"])
    second = workspace.scan(extra).run_id
    workspace.pin_baseline()
    before = workspace.report(second, pictures=False).data
    for path in extra.iterdir():
        path.unlink()
    add(extra, 4, ["red"], mark=9)
    workspace.scan(extra)
    assert workspace.sql("select count(*) as n from report.images")["n"][0].as_py() == 12 + 4
    drift = workspace.report(pictures=False).data["drift"]
    assert drift["mmd_images"] == [9, 4] and drift["ks"] == 1
    old = workspace.report(second)
    assert old.data["flags"] == before["flags"] and old.data["clusters"] != []
    assert {item.reason for item in old.thumbnails.values()} != {None}
    assert "is in no source any more" in old.as_html()
    assert [check.name for check in workspace.check() if not check.healthy] == []


def test_a_night_keeps_its_figures_whatever_leaves_the_lake_later(workspace, extra):
    add(extra, 9, ["blue"])
    run_id = workspace.scan(extra).run_id
    asked = f"select images, scored, flagged, flag_rate from report.night where run_id = '{run_id}'"
    [before] = workspace.sql(asked).to_pylist()
    assert (before["images"], before["scored"]) == (9, 9)
    for path in sorted(extra.iterdir())[:6]:
        path.unlink()
    workspace.scan(extra)
    assert workspace.sql(asked).to_pylist() == [before]
    flags = workspace.report(run_id, pictures=False).data["flags"]
    assert {name: flags[name] for name in ("scored", "flagged", "flag_rate")}.items() <= before.items()


def test_an_image_that_cannot_be_read_again_shows_why(workspace, extra):
    add(extra, 3, ["blue"])
    workspace.scan(extra)
    for path in extra.iterdir():
        path.write_bytes(b"something else")
    report = workspace.report()
    assert any("content has changed" in (item.reason or "") for item in report.thumbnails.values())
    assert "no picture: " in report.as_html()


def test_a_night_without_images_and_one_with_a_single_image(workspace, extra):
    workspace.pin_baseline()
    workspace.scan(extra)
    empty = workspace.report()
    assert empty.data["flags"]["scored"] == 0 and figures_in(empty.as_html()) == []
    assert np.isnan(figures_of(empty.data)["flag_rate"]) and empty.data["drift"]["mmd"] is None
    add(extra, 1, ["blue"])
    workspace.scan(extra)
    one = workspace.report(fail_on=["mmd_p<0.5", "flag_rate>=1"])
    assert one.data["flags"]["flagged"] == 1 and len(figures_in(one.as_html())) == 1
    assert one.data["drift"]["mmd_p"] is None and one.data["drift"]["ks"] is not None
    assert one.broken_limits == ("`fail_on` flag_rate>=1: flag_rate is 1",)
    with pytest.raises(UsageError, match="no image with a score arrived"):
        workspace.pin_baseline(empty.data["night"]["run_id"])
    assert workspace.baselines().num_rows == 1, "what was refused left nothing"


def test_without_a_policy_nothing_is_flagged_and_the_report_is_whole(workspace):
    workspace.use("base", "mcm")
    report = workspace.report()
    assert report.data["decided_by"]["policy_name"] is None and report.data["flags"]["flagged"] == 0
    assert report.data["flags"]["scored"] == 12 and "Nothing that arrived tonight is flagged" in report.as_html()


def test_before_the_first_scan_there_is_nothing_to_report(make_workspace, tmp_path):
    workspace = make_workspace(tmp_path / "new")
    with pytest.raises(WorkspaceError, match="nothing was scanned yet"):
        workspace.report()
    workspace.publish()
    with pytest.raises(UsageError, match="no scan was made yet"):
        workspace.report()


def test_conditions_on_drift_ask_for_a_baseline(workspace):
    for condition in ("psi>0.25", "ks_p<0.01", "mmd_p<0.05"):
        with pytest.raises(UsageError, match="no night is pinned"):
            workspace.report(fail_on=[condition], pictures=False)
    with pytest.raises(UsageError, match="no figure is called 'gone'"):
        workspace.report(fail_on=["gone>1"], pictures=False)


@pytest.mark.slow
def test_the_command_writes_a_page_prints_figures_and_says_when_to_look(
    workspace, extra, run_cli, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    root = workspace.layout.root
    result = run_cli("report", folder=root)
    (page,) = tmp_path.glob("report-*.html")
    assert page.name in result.stderr and "images that arrived are flagged" in result.stdout
    assert "baseline pin" in result.stdout
    run_cli("report", "--json", folder=root)
    assert list(tmp_path.glob("*.html")) == [page], "JSON alone writes no page"
    both = run_cli("report", "--json", "-o", "both.html", folder=root)
    assert json.loads(both.stdout)["flags"]["scored"] == 12 and (tmp_path / "both.html").is_file()
    run_cli("baseline", "pin", folder=root)
    first = run_cli("report", "-o", "pages/", folder=root).stderr
    workspace.scan(extra)
    stays = run_cli("report", "-o", "pages", folder=root).stderr
    assert "no image arrived in the night of " in stays and "latest.html stays as it is" in stays
    kept, latest = sorted((tmp_path / "pages").iterdir())
    assert kept.name in first and latest.name == "latest.html" and latest.read_bytes() == kept.read_bytes()
    add(extra, 30, ["blue"])
    workspace.scan(extra)
    run_cli("report", "-o", "pages/", folder=root)
    (newer,) = {*(tmp_path / "pages").iterdir()} - {kept, latest}
    assert latest.read_bytes() == newer.read_bytes() != kept.read_bytes()
    held = run_cli(
        "report", "-o", "night.html", "--fail-on", "psi>0.25", "--fail-on", "mmd_p<0.01", "--fail-on", "images<1",
        folder=root, code=4,
    )  # fmt: skip
    assert held.stderr.count("--fail-on") == 2 and (tmp_path / "night.html").is_file()
    assert "--fail-on psi&gt;0.25" in (tmp_path / "night.html").read_text()
    assert "no night is pinned" not in held.stderr and "ks_p" in held.stdout
    assert run_cli("report", "--night", "1999-01-01", folder=root, code=2).stderr.count("\n") == 1
    assert "ruling" in run_cli("baseline", "list", folder=root).stdout


@pytest.mark.slow
def test_a_night_of_a_hundred_thousand_images_makes_a_small_page_in_a_minute(workspace):
    count = 100_000
    ids, vectors = many(count)
    fill(workspace, ids, vectors)
    report = workspace.report()
    page = report.as_html()
    assert report.data["flags"]["scored"] == count and report.data["map"]["shown"] == count
    assert report.data["flags"]["flagged"] == count // 20 and sum(c["images"] for c in report.data["clusters"]) > 0
    assert len(page.encode()) < 20_000_000
    print(f"{len(page.encode()):,} bytes")


def many(count):
    generator = np.random.default_rng(1)
    centres = generator.normal(size=(20, 16))
    vectors = centres[generator.integers(0, 20, count)] + generator.normal(scale=0.7, size=(count, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(count)], vectors


def fill(workspace, ids, vectors):
    """A night of so many images more, written into the ledger as a scan would have left it."""
    layout = workspace.layout
    with Database.open(layout.ledger) as database:
        chosen = database.row("find_selection")
        write_shard(
            layout.vectors(chosen["encoder_id"]) / "many.safetensors", ids, vectors,
            encoder_id=chosen["encoder_id"],
        )  # fmt: skip
        table = pa.table({"image_id": ids, "place": pa.array(range(len(ids)), pa.int64())})
        statements = (
            "insert into run select 'night', 'scan', 'done', $now, $now, '1', 'h', 1, '{}', null, 1 + max(run_number) "
            "from run",
            "insert into listing values ('night', 'lake', '/x', 1, 1, 0, 0, 0, 9, 9, '{}')",
            "insert into source_object values ('/x', 'lake', 'tar', 9, 'v', $encoder_id, $count, 'night', null)",
            "insert into image (image_id, byte_size, width, height, format, mode, animated, run_id) "
            "select image_id, 9, 4, 4, 'PNG', 'RGB', false, 'night' from incoming_many",
            "insert into location select '/x#' || place, 'lake', '/x', 'v', place::varchar, null, 9, null, image_id, "
            "'s', 'night' from incoming_many",
            "insert into vector select image_id, $encoder_id, 'many', place::integer, 'night' from incoming_many",
            "insert into score select image_id, $encoder_id, $bank_digest, $method_id, 0.5, "
            "case when place % 20 = 0 then -5 - place / 1e5 else 5 + place / 1e5 end, 0, 0.5, 2 + (place % 40)"
            "::integer, 0.4, 'night' from incoming_many",
        )  # fmt: skip
        values = {**chosen, "now": datetime(2030, 1, 1), "count": len(ids)}
        with database.incoming(many=table):
            for statement in statements:
                database.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement})
    publish_snapshot(layout.ledger, layout.snapshot)
