"""Doors for text: whole files of reviews, and one hostile text in every field that takes one from outside.

Whatever a door lets in has to fit into all that keeps it or shows it: UTF-8, Arrow, DuckDB, JSON, CSV, a terminal.
"""

from __future__ import annotations

import atexit
import csv
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curator.banks.labels import read_labels
from curator.banks.spec import parse_spec
from curator.cli.terminal.rows import encode
from curator.errors import CuratorError
from curator.evaluation.labels import read_label_map
from curator.lake import ReadOptions, plan_shards, read_shard
from curator.printable import printable, readable, readable_json
from curator.review.fiftyone import SAMPLES
from curator.review.journal import PATTERN, kept_aside, left_behind, read_journal
from curator.review.reviews import FIELDS, LONGEST, Review, checked_reviewer, sort_lines
from curator.review.tables import csv_bytes, jsonl_bytes
from curator.store import Database
from curator.types import Datum, ObjectKind, SourceObject
from curator.workspace.review.record import READERS

NOW = datetime(2026, 1, 31, 12)
A, B, C = "a" * 32, "b" * 32, "c" * 32
SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl", "label-studio": ".json"}


def enter_reviews(data: bytes) -> None:
    """The bytes as a file of each format, and as the journal of a page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for style, read in READERS.items():
            path = folder / SAMPLES if style == "fiftyone" else folder / f"x{SUFFIXES[style]}"
            path.write_bytes(data)
            try:
                lines = list(read(folder if style == "fiftyone" else path))
            except CuratorError as fault:
                assert "\n" not in fault.message and len(fault.message) < 1000
                continue
            found = sort_lines(lines, reviewer="ann", now=NOW)
            assert len(lines) == len(found.reviews) + len(found.faults) + found.undecided + found.repeated
            for _, review in found.reviews:
                _check_review(review)
            for fault in found.faults:
                assert "\n" not in fault.reason and len(fault.reason) < 1000
                (fault.reason + fault.image_id).encode()
        path = folder / PATTERN.replace("*", "x")
        path.write_bytes(data)
        entries = read_journal(path)
        with left_behind(folder):
            pass
        aside = kept_aside(path).read_bytes() if kept_aside(path).exists() else b""
        assert all(entry.data in aside for entry in entries if entry.fault is not None), "nothing is lost"
        for entry in entries:
            if entry.review is not None:
                _check_review(entry.review)


def _check_review(review: Review) -> None:
    for name, value in review.as_json().items():
        if value is not None:
            assert len(value) <= LONGEST.get(name, 200)
            _check_kept(value)
    assert Review(**{**review.as_json(), "reviewed_at": review.reviewed_at}) == review


def review_seeds() -> tuple[bytes, ...]:
    row = dict.fromkeys(FIELDS, "") | {"image_id": A, "decision": "ood", "note": "=two\nlines", "reviewer": "ann"}
    row["reviewed_at"] = "2026-01-30T12:00:00"
    rows = [row, row | {"image_id": B, "group_id": C, "wrong_label": "tram"}, row | {"image_id": C, "decision": ""}]
    return (csv_bytes(rows), jsonl_bytes(rows), _tasks(row), _minimal(row), _samples(row))


def _tasks(row: dict[str, Any]) -> bytes:
    result = [
        {"from_name": "decision", "type": "choices", "value": {"choices": [row["decision"]]}},
        {"from_name": "wrong_label", "type": "textarea", "value": {"text": [row["wrong_label"]]}},
        {"from_name": "note", "type": "textarea", "value": {"text": row["note"]}},
    ]
    said = {"completed_by": {"email": row["reviewer"]}, "result": result, "updated_at": row["reviewed_at"]}
    data = {name: row[name] for name in ("image_id", "group_id", "export_id")}
    return json.dumps([{"data": data, "annotations": [said]}]).encode()


def _minimal(row: dict[str, Any]) -> bytes:
    return json.dumps([{**row, "annotator": row["reviewer"], "updated_at": row["reviewed_at"]}]).encode()


def _samples(row: dict[str, Any]) -> bytes:
    return json.dumps({"samples": [{**row, "tags": [], "decision": {"label": row["decision"]}}]}).encode()


def enter_texts(data: bytes) -> None:
    """A text, with half surrogate pairs where the bytes are no UTF-8, or where it spells them as JSON does."""
    text = data.decode("utf-8", "surrogateescape").replace("\\ud800", "\ud800")
    with tempfile.TemporaryDirectory() as name:
        for put in (_in_reviews, _in_labels, _in_a_lake):
            put(text, Path(name))
    _in_a_query(text)
    json.loads(readable_json({text: [text]}))
    for enter in (lambda: checked_reviewer(text), lambda: parse_spec(_spec(text), where="x")):
        try:
            enter()
        except CuratorError as fault:
            _check_fault(fault)


def _in_reviews(text: str, folder: Path) -> None:
    """In each field of a row of each format, between two that are good."""
    good = {"image_id": A, "decision": "id"}
    for field in FIELDS:
        row = dict.fromkeys(FIELDS, "") | {"image_id": B, "decision": "ood", field: text}
        for path, style in _files(good, row, folder):
            found = sort_lines(READERS[style](path), reviewer="ann", now=NOW)
            assert A in {review.image_id for _, review in found.reviews}, "the good ones around it are read"
            assert C in {review.image_id for _, review in found.reviews}
            for _, review in found.reviews:
                _check_review(review)
            for fault in found.faults:
                assert "\n" not in fault.reason and len(fault.reason) < 1000, fault
                (fault.reason + fault.image_id).encode()


def _files(good: dict[str, Any], row: dict[str, Any], folder: Path) -> Iterator[tuple[Path, str]]:
    rows = [dict.fromkeys(FIELDS, "") | good, row, dict.fromkeys(FIELDS, "") | good | {"image_id": C}]
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, FIELDS)
    writer.writeheader()
    writer.writerows(rows)
    lists = [json.loads(write(item)) for write in (_tasks, _minimal) for item in rows]
    contents = {
        "x.csv": sink.getvalue().encode("utf-8", "surrogatepass"),
        "x.jsonl": jsonl_bytes(rows),
        "tasks.json": json.dumps([task for tasks in lists[:3] for task in tasks]).encode(),
        "min.json": json.dumps([task for tasks in lists[3:] for task in tasks]).encode(),
        SAMPLES: json.dumps({"samples": [json.loads(_samples(item))["samples"][0] for item in rows]}).encode(),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    yield from ((folder / name, style) for name, style in (("x.csv", "csv"), ("x.jsonl", "jsonl")))
    yield from ((folder / name, "label-studio") for name in ("tasks.json", "min.json"))
    yield folder, "fiftyone"


def _in_labels(text: str, folder: Path) -> None:
    path = folder / "labels.txt"
    path.write_bytes(f"red\n{text}\nblue\n".encode("utf-8", "surrogatepass"))
    try:
        for label in read_labels(path):
            _check_kept(label)
            assert label.isprintable()
    except CuratorError as fault:
        _check_fault(fault)
    path.write_bytes(f"n01,{text}\n".encode("utf-8", "surrogatepass"))
    try:
        for label in read_label_map(path.rename(path.with_suffix(".csv"))).names.values():
            _check_kept(label)
    except CuratorError as fault:
        _check_fault(fault)


def _spec(text: str) -> dict[str, Any]:
    negatives = {"lists": [{"words": [text]}, {"file": text}]}
    return {
        "name": "base",
        "id": {"labels": text, "template": text, "synonyms": {text: [text]}},
        "negatives": negatives,
    }


def _in_a_lake(text: str, folder: Path) -> None:
    """As name and label of a member of a tar, and as label and class name of a row of a Parquet file."""
    raw = text.encode("utf-8", "surrogatepass")
    with tarfile.open(folder / "a.tar", "w", encoding="utf-8", errors="surrogateescape") as tar:
        stem = f"s/{readable(text)[:80]}"
        for name, data in ((f"{stem}.jpg", b"1"), ("b.cls", raw), ("b.jpg", b"2")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    labels = pa.array([raw, b"x"], pa.binary()).view(pa.string())  # which nobody checks to be UTF-8
    pq.write_table(pa.table({"image": [b"1", b"2"], "label": labels}), folder / "a.parquet")
    features = {"info": {"features": {"label": {"names": [text, "x"]}}}}
    named = pa.table({"image": [b"1", b"2"], "label": [0, 1]})
    named = named.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(named, folder / "b.parquet")
    kinds: dict[str, ObjectKind] = {"a.tar": "tar", "a.parquet": "parquet", "b.parquet": "parquet"}
    for name, kind in kinds.items():
        path = folder / name
        item = SourceObject(str(path), str(path), kind, path.stat().st_size, "")
        data = [found for shard in plan_shards([item]) for found in read_shard(shard, options=ReadOptions())]
        assert data
        for found in data:
            _check_kept(found.uri)
            if isinstance(found, Datum) and found.source_label is not None:
                _check_kept(found.source_label)


def _in_a_query(text: str) -> None:
    (row,) = _memory().execute("select $x as x", {"x": text}).fetchall()
    _check_kept(row[0])


@cache
def _memory() -> Database:
    atexit.register(_memory.cache_clear)  # the bindings complain of what is left when the interpreter goes
    return Database.open(":memory:")


@lru_cache(maxsize=1000)
def _check_kept(text: str) -> None:
    """What is let in can be written and shown in all ways. Each text is tried once: fields and formats repeat it."""
    text.encode()
    table = pa.table({"x": [text]})
    with _memory().incoming(text=table):
        assert _memory().execute("select x from incoming_text").fetchall() == [(text,)]
    for style in ("table", "csv", "json"):
        shown = encode(table, style).decode()
        assert style == "csv" or all(line.isprintable() for line in shown.split("\n"))


def _check_fault(fault: CuratorError) -> None:
    assert "\n" not in fault.message
    printable(fault.message).encode()


TEXT_SEEDS = (
    b"plain", "caf\u00e9 \u05d0\u200f \U0001f469\u200d\U0001f373".encode(), b"caf\xe9", b"half \\ud800 pair",
    b"\xed\xa0\xbd", b"a\0b", b"\x1b]0;title\x07", b"\xe2\x80\xaegpj.exe", b"x" * 5000, b'a,b;c\td"e\nf\r\n#*@../\\',
    b"'=1+1", b"\xff\xfe", b"s3://b/c.tar#d.jpg@2", b"\\xe9", b"\xc2\x85\xe2\x80\xa8\x0b\x0c\x1c", b"-- name: q",
    b"{}[]", b"withdrawn", A.encode(),
)  # fmt: skip
