"""Reviews out of a workspace and back, in every format, and what the views make of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from curator.errors import UsageError
from curator.review.reviews import sort_lines
from curator.store.ledger import utc_now
from curator.workspace import Workspace
from curator.workspace.review.record import READERS
from tests.cases import rest_slow

SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl", "fiftyone": "", "label-studio": ".json"}


def answer(style: str, path: Path, decision: str) -> None:
    """Decide everything in an exported file, as its tool would."""
    if style == "csv":
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "decision": decision} for row in rows)
    elif style == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({**row, "decision": decision}) + "\n" for row in rows))
    elif style == "fiftyone":
        found = json.loads((path / "samples.json").read_text())
        for sample in found["samples"]:
            sample["decision"] = {"_cls": "Classification", "tags": [], "label": decision}
        (path / "samples.json").write_text(json.dumps(found))
    else:
        tasks = json.loads(path.read_text())
        for number, task in enumerate(tasks):
            choice = {"from_name": "decision", "type": "choices", "value": {"choices": [decision]}}
            when = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
            task |= {"id": number, "annotations": [{"completed_by": 1, "result": [choice], **when}]}
        path.write_text(json.dumps(tasks))


@pytest.mark.parametrize("style", rest_slow(SUFFIXES, kept=2))
def test_round_trip(style, workspace: Workspace, tmp_path: Path):
    path = tmp_path / f"out{SUFFIXES[style]}"
    written = workspace.reviews.export_to(path)
    assert (written.format, written.items, written.left_out) == (style, 5, {})
    assert sort_lines(READERS[style](path), reviewer="ann", now=utc_now()).undecided == 5, "untouched, it says nothing"
    answer(style, path, "ood")
    first = workspace.reviews.import_from(path, reviewer="ann")
    assert (first.lines, first.recorded, first.known, first.faults) == (5, 5, 0, ())
    before = workspace.sql("select * from report.reviews order by all")
    second = workspace.reviews.import_from(path, reviewer="ann")
    assert (second.recorded, second.known) == (0, 5)
    assert workspace.sql("select * from report.reviews order by all") == before
    facts = workspace.sql("select distinct decision, origin, export_id, reviewer from report.reviews").to_pylist()
    reviewer = "label-studio:1" if style == "label-studio" else "ann"
    expected = {"decision": "ood", "origin": style, "export_id": written.export_id, "reviewer": reviewer}
    assert facts == [expected]
    assert workspace.query("review_queue").num_rows == 0, "all is decided"
    decided = workspace.sql("select decision, count(*) as n from report.reviewed_images group by all").to_pylist()
    assert decided == [{"decision": "ood", "n": 10}], "both images of each group"


@pytest.mark.parametrize("style", ["csv", "jsonl", "fiftyone"])
def test_what_was_decided_can_be_exported_and_changes_nothing_when_it_comes_back(
    style, workspace, decide, images, tmp_path
):
    decide({"image_id": images["blue-2"], "decision": "ood", "note": "sky", "reviewer": "ben"})
    path = tmp_path / f"out{SUFFIXES[style]}"
    assert workspace.reviews.export_to(path, decided=True).items == 1
    before = workspace.sql("select * from report.reviews")
    found = workspace.reviews.import_from(path, reviewer="ann")
    assert (found.known, found.recorded, found.faults) == (1, 0, ())
    assert workspace.sql("select * from report.reviews") == before


def test_a_changed_mind_counts_and_an_old_file_does_not_bring_the_old_one_back(workspace, decide, images):
    line = {"image_id": images["blue-2"], "export_id": "e"}
    now_holds = "select decision from report.reviewed_images"
    for decision in ("ood", "id", "ood"):
        assert decide({**line, "decision": decision}).recorded == 1
        assert workspace.sql(now_holds).to_pylist() == [{"decision": decision}]
    assert decide({"image_id": images["blue-2"], "decision": "id", "export_id": "other"}).recorded == 1
    assert decide({**line, "decision": "ood"}).known == 1
    assert workspace.sql(now_holds).to_pylist() == [{"decision": "id"}]


def test_faults_are_told_line_by_line_and_the_rest_is_recorded(workspace, images, tmp_path, run_cli):
    path = tmp_path / "given.csv"
    lines = [
        f"{images['blue-2']},ood", f"{'0' * 32},id", f"{images['red-0']},perhaps", f"{images['blue-2']},ood",
        f"{images['green-1']},", f"{images['blue-2']},id",
    ]  # fmt: skip
    path.write_text("image_id,decision\n" + "\n".join(lines) + "\n")
    found = json.loads(
        run_cli("review", "import", path, "--reviewer", "ann", "--json", folder=workspace.layout.root).stdout
    )
    counts = {key: value for key, value in found.items() if key != "faults"}
    assert counts == {"lines": 6, "recorded": 1, "known": 0, "repeated": 1, "undecided": 1}
    assert {fault["where"]: fault["reason"] for fault in found["faults"]} == {
        "line 3": f"the workspace knows no image or group {'0' * 32}",
        "line 4": "the decision is 'perhaps', not one of id, ood, unsure, bad_image",
        "line 7": "it contradicts line 2: ood there, id here",
    }
    said = run_cli("review", "import", path, "--reviewer", "ann", folder=workspace.layout.root)
    assert "given.csv: line 3: the workspace knows no image" in said.stderr and "known      1" in said.stdout
    assert all(result.healthy for result in workspace.check())


def test_the_newest_of_each_reviewer_counts_and_a_quarrel_is_no_decision(workspace, decide, images):
    (row,) = workspace.sql("select group_id from report.group_members where uri like '%yellow-3.png'").to_pylist()
    group = {"image_id": images["yellow-3"], **row}
    decide({**group, "decision": "id", "reviewed_at": "2026-01-02T00:00:00"})
    decide({**group, "decision": "ood", "reviewed_at": "2026-01-01T00:00:00"})  # came later, is older

    def holds():
        rows = workspace.sql("select uri, decision, disputed from report.reviewed_images order by uri").to_pylist()
        return {Path(row["uri"]).stem: (row["decision"], row["disputed"]) for row in rows}

    assert holds() == {"yellow-3": ("id", False), "yellow-8": ("id", False)}
    decide({"image_id": images["yellow-8"], "decision": "ood", "reviewed_at": "2026-01-03T00:00:00"})
    assert holds()["yellow-8"] == ("ood", False), "about the image itself, and newer"
    decide({**group, "decision": "bad_image"}, reviewer="ben")
    assert holds() == {"yellow-3": (None, True), "yellow-8": (None, True)}
    assert workspace.query("review_queue").to_pylist()[0]["why"] == "disputed"
    decide({**group, "decision": "withdrawn"}, reviewer="ben")
    assert holds() == {"yellow-3": ("id", False), "yellow-8": ("ood", False)}
    assert {Path(row["uri"]).stem for row in workspace.query("disputed").to_pylist()} == {"yellow-3"}


def test_the_queue_takes_turns_between_certain_and_doubtful_and_ends_with_what_one_was_unsure_of(
    workspace, decide, images
):
    rows = workspace.sql("select * from report.review_queue order by position").to_pylist()
    assert [row["position"] for row in rows] == [1, 2, 3, 4, 5]
    lowest = min((row for row in rows if row["flagged"]), key=lambda row: row["log_odds"])
    nearest = min(rows, key=lambda row: abs(row["margin"]))
    assert {rows[0]["image_id"], rows[1]["image_id"]} == {lowest["image_id"], nearest["image_id"]}
    assert {row["why"] for row in rows} == {"certain", "doubtful"}
    first = rows[0]
    decide({"image_id": first["image_id"], "group_id": first["group_id"], "decision": "unsure"})
    after = workspace.sql("select image_id, why from report.review_queue order by position").to_pylist()
    assert after[-1] == {"image_id": first["image_id"], "why": "unsure"} and len(after) == 5
    decide({"image_id": first["image_id"], "group_id": first["group_id"], "decision": "ood"})
    assert first["image_id"] not in workspace.sql("select image_id from report.review_queue")["image_id"].to_pylist()


def test_an_export_overwrites_nothing_and_leaves_out_what_cannot_be_read(workspace, tmp_path, monkeypatch):
    path = tmp_path / "out"
    first = workspace.sql("select image_id, uri from report.review_queue order by position").to_pylist()[0]
    # A source that has gone: the ledger of this copy says that the picture lies where nothing is.
    from curator.workspace.session import writing

    with writing(workspace._context, "test", {}) as ledger:
        for table, column in (("location", "object_uri"), ("source_object", "object_uri")):
            ledger.database.execute(
                f"update {table} set {column} = '/nowhere/x.png' where {column} = $uri", {"uri": first["uri"]}
            )
    found = workspace.reviews.export_to(path)
    assert list(found.left_out) == [first["image_id"]] and found.items == 4
    assert len(list((path / "data").iterdir())) == 4 and not list(tmp_path.glob(".out*"))
    with pytest.raises(UsageError, match="is there already"):
        workspace.reviews.export_to(path)
    assert workspace.reviews.export_to(tmp_path / "tasks.json").items == 4
    with pytest.raises(UsageError, match="no format has this suffix"):
        workspace.reviews.export_to(tmp_path / "out.xml")


def test_fiftyone_samples_are_what_its_loader_takes(workspace, tmp_path, scanned):
    """Its importer reads `samples`, each with a relative `filepath`, `tags`, and labels that name their class; without
    a `version` in metadata.json it brings fields up to date itself."""
    workspace.reviews.export_to(tmp_path / "out")
    metadata = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert metadata["media_type"] == "image" and "version" not in metadata
    for sample in json.loads((tmp_path / "out" / "samples.json").read_text())["samples"]:
        assert sample["tags"] == [] and sample["decision"] is None
        assert sample["nearest_id"]["_cls"] == "Classification" and sample["nearest_id"]["label"] in ("red", "green")
        assert (tmp_path / "out" / sample["filepath"]).read_bytes() == Path(sample["uri"]).read_bytes()
