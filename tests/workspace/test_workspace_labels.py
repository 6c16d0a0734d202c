"""ID labels from where they are written to where they are read: every one of them, as it was written."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import pytest

from curator.errors import ConfigError
from curator.workspace import Workspace

ODD = [
    "red, green", '"quoted"', "o'hara'; drop table image; --", "C# sharp", "100% wool", "{} thing", "{name}", "犬",
    "قطة", "क्षत्रिय", "<b>bold</b>", "back\\slash", "a=b", "[x]", "🦉 owl", "a/b", "=SUM(A1)", "-v", "null", "NaN", "1",
    "x" * 200,
]  # fmt: skip


def made(folder: Path, labels: object) -> Workspace:
    workspace = Workspace.create(folder, labels=labels, encoder="fake")
    workspace.layout.bank_spec("base").write_text(
        'name = "base"\n[id]\nlabels = "labels.txt"\n[[negatives.lists]]\nwords = ["blue", "dark"]\n'
    )
    return workspace


@pytest.mark.parametrize("end", ["\n", "\r\n", "  \r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_odd_labels_come_through_a_file_a_bank_sql_and_an_export_as_they_are(end, mark, tmp_path, lake):
    (tmp_path / "labels.txt").write_bytes((mark + "".join(f"{label}{end}" for label in ODD)).encode())
    workspace = made(tmp_path / "work", tmp_path / "labels.txt")
    workspace.scan(lake)
    stored = workspace.sql("select text from main.label where role = 'id' order by label_index").to_pylist()
    assert [row["text"] for row in stored] == ODD
    found = workspace.sql("select uri, top_id from report.scores where not flagged").to_pylist()
    assert {row["top_id"] for row in found} <= set(ODD)
    workspace.export("kept", to=tmp_path / "out", format="csv")
    with (tmp_path / "out" / "kept.csv").open(newline="") as file:
        exported = {row["uri"]: row["top_id"] for row in csv.DictReader(file)}
    assert exported == {row["uri"]: row["top_id"] for row in found} != {}


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["red\ngreen", "blue"], r"ID label 1 holds the control character \\n"),
        (["red", "#1 fan"], "'#1 fan' would be a comment"),
        (["red", "Red"], "ID label 2 repeats 'Red' of ID label 1"),
        (["red", "\ufeffblue"], "ID label 2 holds the control character"),
        (["x" * 201], "ID label 1 has 201 characters"),
        (["red", "..."], "ID label 2 has no letter or digit"),
        ([" ", ""], "the list of ID labels holds no labels"),
    ],
)
def test_a_list_of_labels_that_a_file_could_not_hold_is_refused_before_there_is_one(labels, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        Workspace.create(tmp_path / "work", labels=labels, encoder="fake")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#1 fan\nred\n", "'#1 fan' is taken for a comment"),
        ("# colours\nred\n#\n", None),
        ("red,green,blue\n", "holds one label, 'red,green,blue': several are one a line"),
        ("tench, Tinca tinca\ngoldfish\n", None),
        ("tench\n", None),
    ],
)
def test_what_may_have_been_meant_otherwise_is_said(text, said, tmp_path, caplog):
    (tmp_path / "labels.txt").write_text(text)
    with caplog.at_level(logging.WARNING, "curator"):
        Workspace.create(tmp_path / "work", labels=tmp_path / "labels.txt", encoder="fake")
    assert [record.getMessage() for record in caplog.records if said and said in record.getMessage()] or not said
    assert len(caplog.records) == bool(said)
