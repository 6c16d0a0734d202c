"""Reviews as CSV and as JSON lines: one item a line, what helps to decide first, then the fields to fill in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curator.errors import UsageError
from curator.review.reviews import Line

FORMULA = ("=", "+", "-", "@", "\t")  # what a spreadsheet would run


def csv_bytes(items: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows with one header. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, list(items[0]) if items else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _guarded(value) for name, value in item.items()} for item in items)
    return sink.getvalue().encode("utf-8", "surrogateescape")


def _guarded(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def read_csv(path: Path) -> Iterator[Line]:
    """The lines of a CSV file as spreadsheets write it: comma, semicolon or tab, with or without a byte order mark."""
    text = text_of(path)
    first = text.partition("\n")[0]
    delimiter = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        before = reader.line_num
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            yield Line(f"line {before + 1}", {}, f"it is not CSV: {fault}")
            continue
        if header is None:
            header = _checked_header(path, row)
        elif any(cell.strip() for cell in row):
            fields = {name: _unguarded(cell) for name, cell in zip(header, row, strict=False)}
            wrong = None if len(row) == len(header) else f"it has {len(row)} cells, the header has {len(header)}"
            yield Line(f"line {before + 1}", fields, wrong)


def _checked_header(path: Path, row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    missing = {"image_id", "decision"} - set(names)
    if missing:
        raise UsageError(
            f"{path}: its first line has no column {sorted(missing)[0]}", hint="see `curator review export`"
        )
    return names


def _unguarded(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell


def jsonl_bytes(items: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(dict(item), default=str) + "\n" for item in items).encode()


def read_jsonl(path: Path) -> Iterator[Line]:
    """The lines of a file of JSON objects, one a line; empty ones are skipped."""
    for number, text in enumerate(text_of(path).split("\n"), start=1):
        if text.strip():
            yield _json_line(f"line {number}", text)


def _json_line(where: str, text: str) -> Line:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as fault:
        return Line(where, {}, f"it is not JSON: {fault}")
    if not isinstance(found, dict):
        return Line(where, {}, "it is no JSON object")
    return Line(where, found)


def text_of(path: Path) -> str:
    """The text of a UTF-8 file without its byte order mark. Raises UsageError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as fault:
        raise UsageError(f"{path}: cannot be read: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise UsageError(f"{path}: is not UTF-8 text: {fault.reason} at byte {fault.start}") from fault


def json_of(path: Path) -> Any:
    """The value of a JSON file. Raises UsageError."""
    try:
        return json.loads(text_of(path))
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"{path}: is not JSON: {fault}") from fault
