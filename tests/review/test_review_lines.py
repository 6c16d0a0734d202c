"""Lines of files: each becomes a review, or a fault that says why not."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from curator.errors import UsageError
from curator.review.fiftyone import read_samples
from curator.review.journal import DecisionJournal, kept_aside, left_behind, read_journal
from curator.review.label_studio import read_tasks
from curator.review.reviews import BadReview, Line, Review, parse_review, sort_lines
from curator.review.tables import csv_bytes, read_csv, read_jsonl

NOW = datetime(2026, 1, 31, 12)
A, B = "a" * 32, "b" * 32


def parsed(**fields):
    return parse_review({"image_id": A, **fields}, reviewer="ann", now=NOW)


def test_a_line_says_who_decided_what_and_when():
    found = parsed(decision=" Bad image ", note="dark", reviewed_at="2026-01-30T13:00:00+01:00", group_id=B)
    assert found == Review(A, "bad_image", "ann", B, None, "dark", datetime(2026, 1, 30, 12))
    assert parsed(decision="ood", reviewer="ben").reviewer == "ben"


def test_a_note_may_have_lines_tabs_emoji_and_the_marks_of_right_to_left_scripts():
    note = "one\ntwo\r\n\tthree \u200f\u05d0 \U0001f469\u200d\U0001f373"
    assert parsed(decision="id", note=note).note == note


def test_a_line_without_a_decision_is_none_and_a_wrong_label_alone_is_unsure():
    assert parsed() is None and parsed(decision="", note="later") is None
    assert parsed(wrong_label="tram").decision == "unsure"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"decision": "maybe"}, "the decision is 'maybe', not one of id, ood"),
        ({"decision": "id", "image_id": ""}, "names no image"),
        ({"decision": "id", "image_id": "../x"}, "32 hexadecimal digits"),
        ({"decision": "id", "group_id": "x"}, "group_id must be"),
        ({"decision": ["id"]}, "must be a text"),
        ({"decision": "id", "reviewer": "a\x1b[2J"}, "control character"),
        ({"decision": "id", "note": "x" * 2001}, "2001 characters"),
        ({"decision": "id", "reviewer": "x" * 1_000_000}, "1000000 characters, more than 100"),
        ({"decision": "id", "reviewer": "ann\u202e"}, r"control character \\u202e"),
        ({"decision": "id", "note": "so \ud83d"}, r"note is no UTF-8 text: 'so \\ud83d'"),
        ({"decision": "id", "wrong_label": "\udce9"}, "wrong_label is no UTF-8 text"),
        ({"decision": "id", "note": "a\0b"}, r"note holds the control character \\x00"),
        ({"decision": "id", "note": "a\x1b[2J"}, r"note holds the control character \\x1b"),
        ({"decision": "id", "note": "a\x9b2J"}, r"note holds the control character \\x9b"),
        ({"decision": "id", "reviewed_at": "yesterday"}, "is no time"),
        ({"decision": "id", "reviewed_at": "9999-01-01"}, "in the future"),
        ({"decision": "id", "reviewed_at": "0001-01-01T00:00:00+14:00"}, "is no time"),
    ],
)
def test_a_bad_line_says_what_is_wrong(fields, reason):
    with pytest.raises(BadReview, match=reason):
        parsed(**fields)


def test_every_line_is_counted_once():
    lines = [
        Line("line 2", {"image_id": A, "decision": "id"}),
        Line("line 3", {"image_id": A, "decision": "id"}),
        Line("line 4", {"image_id": A, "decision": "ood"}),
        Line("line 5", {"image_id": B}),
        Line("line 6", {"image_id": B}, "it is torn"),
        Line("line 7", {"image_id": A, "decision": "ood", "reviewer": "ben"}),
    ]
    found = sort_lines(lines, reviewer="ann", now=NOW)
    assert [where for where, _ in found.reviews] == ["line 2", "line 7"]
    assert (found.repeated, found.undecided) == (1, 1)
    assert [(fault.where, fault.reason) for fault in found.faults] == [
        ("line 4", "it contradicts line 2: id there, ood here"),
        ("line 6", "it is torn"),
    ]


def test_csv_is_read_as_spreadsheets_write_it(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_bytes(f'\ufeffimage_id;decision;note\r\n{A};ood;"two\r\nlines; one cell"\r\n\r\n{B};id\r\n'.encode())
    first, second = read_csv(path)
    assert (first.where, first.fields["note"], first.fault) == ("line 2", "two\r\nlines; one cell", None)
    assert (second.where, second.fault) == ("line 5", "it has 2 cells, the header has 3")


def test_a_quote_that_is_never_closed_costs_its_own_line(tmp_path: Path):
    path = tmp_path / "x.csv"
    good = f"{A},id,fine\n"
    path.write_text(f'image_id,decision,note\n{good}{B},ood,"open\n{good}{A},id,"a"b\n"{A}",id,"two\nlines"\n{good}')
    assert [(line.where, line.fault is None) for line in read_csv(path)] == [
        ("line 2", True), ("line 3", False), ("line 4", True), ("line 5", False), ("line 6", True), ("line 8", True),
    ]  # fmt: skip


def test_bytes_that_are_not_utf8_cost_the_field_that_they_stand_in(tmp_path: Path):
    """As a spreadsheet saves it in Latin-1: the address is not needed, the note is."""
    csv_file, lines = tmp_path / "x.csv", tmp_path / "x.jsonl"
    csv_file.write_bytes(f"image_id,decision,note,uri\n{A},id,,café\n{B},ood,café,x\n{B},ood,,x\n".encode("latin-1"))
    said = ((A, ""), (B, "é"), (B, ""))
    rows = (f'{{"image_id": "{name}", "decision": "id", "note": "{note}", "uri": "café"}}\n' for name, note in said)
    lines.write_bytes("".join(rows).encode("latin-1"))
    for read, path, fault in ((read_csv, csv_file, "line 3"), (read_jsonl, lines, "line 2")):
        found = sort_lines(read(path), reviewer="ann", now=NOW)
        assert len(found.reviews) == 2 and [item.where for item in found.faults] == [fault]
        assert "note is no UTF-8 text" in found.faults[0].reason
    for data in ("a,b".encode("utf-16"), "[]".encode("utf-16-be")):
        path.write_bytes(data if data.startswith(b"\xff") else b"\xfe\xff" + data)
        for read in (read_csv, read_jsonl, read_tasks):
            with pytest.raises(UsageError, match="is UTF-16 text"):
                list(read(path))


def test_csv_runs_nothing_in_a_spreadsheet_and_comes_back_as_it_was(tmp_path: Path):
    path = tmp_path / "x.csv"
    item = {"image_id": A, "decision": "id", "note": "=HYPERLINK(1)", "wrong_label": "-5 degrees", "uri": "'quoted"}
    path.write_bytes(csv_bytes([item]))
    assert "'=HYPERLINK(1)" in path.read_text() and "'-5 degrees" in path.read_text()
    assert next(iter(read_csv(path))).fields == item


def test_files_that_are_something_else_are_refused_with_their_name(tmp_path: Path):
    path = tmp_path / "x"
    for data, read in ((b"a,b\n1,2\n", read_csv), (b"\xff\xfe", read_csv), (b"{}", read_tasks), (b"[", read_tasks)):
        path.write_bytes(data)
        with pytest.raises(UsageError, match="x: "):
            list(read(path))
    (tmp_path / "samples.json").write_text('{"samples": 3}')
    with pytest.raises(UsageError, match="no list `samples`"):
        list(read_samples(tmp_path))


def test_lines_that_are_no_json_cost_themselves_only(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_text(f'{{"image_id": "{A}", "decision": "id"}}\nnonsense\n\n[1]\n' + "[" * 100_000 + "\n")
    assert [(line.where, line.fault is None) for line in read_jsonl(path)] == [
        ("line 1", True), ("line 2", False), ("line 4", False), ("line 5", False),
    ]  # fmt: skip


def test_label_studio_exports_of_both_kinds_are_read(tmp_path: Path):
    """As Label Studio writes them: JSON with annotations under their tasks, JSON-MIN with values beside the data."""
    result = [
        {"from_name": "decision", "to_name": "picture", "type": "choices", "value": {"choices": ["ood"]}},
        {"from_name": "wrong_label", "to_name": "picture", "type": "textarea", "value": {"text": ["tram"]}},
    ]
    annotation = {"id": 7, "completed_by": 1, "result": result, "was_cancelled": False}
    annotation |= {"created_at": "2026-01-30T09:00:00.5Z", "updated_at": "2026-01-30T10:00:00.5Z", "lead_time": 4.2}
    skipped = {**annotation, "was_cancelled": True, "result": []}
    other = {**annotation, "completed_by": {"id": 2, "email": "ben@example.org"}}
    whole = tmp_path / "json.json"
    data = {"image_id": A, "group_id": B, "export_id": "e", "image": "data:"}
    tasks = [{"id": 1, "data": data, "annotations": [annotation, skipped, other], "predictions": []}]
    whole.write_text(json.dumps([*tasks, {"id": 2, "data": {"image_id": B}, "annotations": []}, 5]))
    found = sort_lines(read_tasks(whole), reviewer="ann", now=NOW)
    when = datetime(2026, 1, 30, 10, 0, 0, 500000)
    expected = Review(A, "ood", "label-studio:1", B, "tram", None, when, "e")
    assert next(review for _, review in found.reviews) == expected
    assert [review.reviewer for _, review in found.reviews] == ["label-studio:1", "label-studio:ben@example.org"]
    assert (found.undecided, [fault.reason for fault in found.faults]) == (2, ["it is no JSON object"])

    minimal = tmp_path / "min.json"
    record = {**data, "id": 1, "decision": "ood", "wrong_label": "tram", "annotator": 1, "annotation_id": 7}
    record |= {"created_at": annotation["created_at"], "updated_at": annotation["updated_at"], "lead_time": 4.2}
    several = {**record, "image_id": B, "decision": {"choices": ["id", "ood"]}}
    minimal.write_text(json.dumps([record, several]))
    found = sort_lines(read_tasks(minimal), reviewer="ann", now=NOW)
    assert [review for _, review in found.reviews] == [expected]
    assert "decision must be a text" in found.faults[0].reason


def test_a_tag_of_a_fiftyone_sample_goes_before_its_label(tmp_path: Path):
    old = {"_cls": "Classification", "label": "id", "tags": []}
    samples = [
        {"image_id": A, "tags": ["ood", "mine"], "decision": old, "reviewed_at": "2026-01-01T00:00:00"},
        {"image_id": B, "tags": [], "decision": old, "_id": {"$oid": "6" * 24}},
        {"image_id": B, "tags": ["id", "ood"], "decision": None},
    ]
    (tmp_path / "samples.json").write_text(json.dumps({"samples": samples}))
    found = sort_lines(read_samples(tmp_path), reviewer="ann", now=NOW)
    assert [(review.image_id, review.decision, review.reviewed_at) for _, review in found.reviews] == [
        (A, "ood", None), (B, "id", None),
    ]  # fmt: skip
    assert found.faults[0].reason == "it has several tags that decide: id, ood"


def test_a_journal_keeps_what_was_appended_and_sets_aside_what_was_cut_off(tmp_path: Path):
    journal = DecisionJournal(tmp_path / "reviews", "one")
    reviews = [Review(A, "id", "ann", reviewed_at=NOW), Review(B, "ood", "ann", reviewed_at=NOW, note="ä\nö")]
    for review in reviews:
        journal.append(review)
    with left_behind(tmp_path / "reviews") as found:
        assert found == {}, "a journal that a server holds is left to it"
    assert not journal.forget(1) and journal.waiting() == reviews
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b'{"image_id": "cut of')
    with left_behind(tmp_path / "reviews") as found:
        assert [entry.review for entry in found[journal.path]] == [*reviews, None]
    assert not journal.path.exists()
    assert kept_aside(journal.path).read_bytes() == b'{"image_id": "cut of\n'


def test_a_journal_stays_when_its_reviews_could_not_be_recorded(tmp_path: Path):
    journal = DecisionJournal(tmp_path / "reviews", "one")
    journal.append(Review(A, "id", "ann", reviewed_at=NOW))
    journal.close()
    with pytest.raises(ZeroDivisionError), left_behind(tmp_path / "reviews"):
        raise ZeroDivisionError
    assert len(read_journal(journal.path)) == 1


def test_each_line_of_a_journal_is_read_for_itself(tmp_path: Path):
    good = json.dumps(Review(A, "id", "ann", reviewed_at=NOW).as_json())
    unsaid = {"image_id": A, "decision": "id", "reviewer": "ann", "reviewed_at": "2026-01-31T12:00:00"}
    bad = {
        "{}": "who decided what",
        "\0" * 30: "is not JSON",
        "[" * 100_000: "is not JSON",
        json.dumps(unsaid | {"note": "\ud83d"}): r"note is no UTF-8 text: '\\ud83d'",
        json.dumps(unsaid | {"note": "a\0"}): r"note holds the control character \\x00",
        json.dumps(unsaid | {"image_id": "x"}): "image_id must be",
        json.dumps(unsaid | {"reviewed_at": None}): "and when",
        json.dumps(unsaid | {"reviewer": None}): "who decided",
    }
    path = tmp_path / "pending-x.jsonl"
    path.write_bytes("".join(f"{line}\n{good}\n" for line in bad).encode() + b'{"note": "\xff"}\n')
    entries = read_journal(path)
    assert [entry.number for entry in entries] == list(range(1, 2 * len(bad) + 2))
    assert [entry.review is not None for entry in entries] == [False, True] * len(bad) + [False]
    for reason, entry in zip(bad.values(), entries[::2], strict=False):
        assert re.search(reason, entry.fault or ""), entry


def test_lines_are_kept_aside_once_and_all_of_them(tmp_path: Path):
    path = tmp_path / "pending-x.jsonl"
    for lines in (b"{}\n[]\n", b"[]\n{}\n{", b"[]\n"):
        path.write_bytes(lines)
        with left_behind(tmp_path):
            pass
    assert kept_aside(path).read_bytes() == b"{}\n[]\n{\n" and not path.exists()
