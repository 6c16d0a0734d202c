"""Reviews as CSV and as JSON lines: one item a line, what helps to decide first, then the fields to fill in."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from curator.errors import UsageError
from curator.review.reviews import Line

FORMULA = ("=", "+", "-", "@", "\t")  # what a spreadsheet would run


def csv_bytes(items: Sequence[Mapping[str, object]]) -> bytes:
    """Rows with one header. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, list(items[0]) if items else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _guarded(value) for name, value in item.items()} for item in items)
    return sink.getvalue().encode("utf-8", "surrogateescape")


def _guarded(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def read_csv(path: Path) -> Iterator[Line]:
    """The lines of a CSV file as spreadsheets write it: comma, semicolon or tab, with or without a byte order mark."""
    lines = list(io.StringIO(text_of(path), newline=""))
    if not lines:
        raise UsageError(f"{path}: is empty", hint="see `curator review export`")
    delimiter = max((",", ";", "\t"), key=lines[0].count)
    header: list[str] | None = None
    for number, row in _rows(lines, delimiter):
        if header is None and isinstance(row, list):
            header = _checked_header(path, row)
        elif header is None:
            raise UsageError(f"{path}: its first line is not CSV: {row}", hint="see `curator review export`")
        elif isinstance(row, csv.Error):
            yield Line(f"line {number}", {}, f"it is not CSV: {row}")
        elif any(cell.strip() for cell in row):
            fields = {name: _unguarded(cell) for name, cell in zip(header, row, strict=False)}
            wrong = None if len(row) == len(header) else f"it has {len(row)} cells, the header has {len(header)}"
            yield Line(f"line {number}", fields, wrong)


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """The rows of a CSV file, each with the number of its first line. Where a quote is never closed, the reader takes
    the lines after it for a part of it: it costs its own line, and reading goes on with the next one."""
    start = 0  # of what is not read yet
    while start < len(lines):
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), delimiter=delimiter, strict=True)
        done = 0  # lines of this reader whose rows were given
        try:
            for row in reader:
                yield start + done + 1, row
                done = reader.line_num
        except csv.Error as fault:
            yield start + done + 1, fault
            done += 1
        start += done


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


def jsonl_bytes(items: Sequence[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(dict(item), default=str) + "\n" for item in items).encode()


def read_jsonl(path: Path) -> Iterator[Line]:
    """The lines of a file of JSON objects, one a line; empty ones are skipped."""
    for number, text in enumerate(text_of(path).split("\n"), start=1):
        if text.strip():
            yield json_line(f"line {number}", text)


def json_line(where: str, text: str) -> Line:
    """A line that should hold one JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as fault:
        return Line(where, {}, f"it is not JSON: {fault}")
    if not isinstance(found, dict):
        return Line(where, {}, "it is no JSON object")
    return Line(where, found)


def as_text(data: bytes) -> str:
    """The text of a UTF-8 file. A byte that is none costs only the field that it stands in: it becomes half of a
    surrogate pair, which no field may hold."""
    return data.decode("utf-8-sig", "surrogateescape")


def text_of(path: Path) -> str:
    """As `as_text`, of a file. Raises UsageError where it cannot be read, or is text of two bytes a character."""
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise UsageError(f"{path}: cannot be read: {fault.strerror}") from fault
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UsageError(f"{path}: is UTF-16 text", hint="save it as UTF-8")
    return as_text(data)


def json_of(path: Path) -> object:
    """The value of a JSON file. Raises UsageError."""
    try:
        return json.loads(text_of(path))
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"{path}: is not JSON: {fault}") from fault
