"""How rows and summaries reach the user: data on stdout, as a table for people or in a stable format for programs."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curator.errors import UsageError
from curator.printable import printable, printable_json, printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

SHOWN_HEADINGS = 20
SUFFIXES = {".csv": "csv", ".json": "json", ".parquet": "parquet", ".txt": "table"}


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Lines for a person, whatever names and labels are in them. The one door of the commands to the terminal."""
    click.echo(printable_lines(str(text)), err=err, nl=nl)


def cell(value: Any) -> str:
    """One value for a person's eye."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return printable(str(value))


def echo_json(value: Any) -> None:
    """One JSON value on stdout."""
    click.echo(_json_text(value))


def _json_text(value: Any) -> str:
    return printable_json(json.dumps(value, indent=2, default=_jsonable, ensure_ascii=False))


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def echo_rows(table: pa.Table, *, style: str | None = None, output: str | None = None) -> None:
    """Rows on stdout or into a file, as table, csv, json or parquet."""
    style = style or (SUFFIXES.get(Path(output).suffix.lower()) if output else "table")
    if style is None:
        raise UsageError(f"{output}: no format has this suffix", hint="give --format table|csv|json|parquet")
    if output is not None:
        write_file(output, _encode(table, style))
    elif style == "csv" and sys.stdout.isatty():  # as it is in a file or a pipe, it could steer the terminal
        say(_encode(table, style).decode(), nl=False)
    elif style == "table" and sys.stdout.isatty():
        _print_rich(table)
    elif style == "parquet" and sys.stdout.isatty():
        raise UsageError("parquet is no text", hint="add -o FILE.parquet or redirect the output")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(_encode(table, style))
        sys.stdout.buffer.flush()


def write_file(path: str, data: bytes) -> None:
    """A file that the user named, over what was there. Raises UsageError."""
    try:
        Path(path).write_bytes(data)
    except (OSError, ValueError) as fault:  # ValueError: a NUL in the name
        raise UsageError(f"{path}: cannot be written: {getattr(fault, 'strerror', None) or fault}") from fault


def _encode(table: pa.Table, style: str) -> bytes:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    if style == "table":
        return _plain(table).encode()
    if style == "json":
        return (_json_text(_rows(table)) + "\n").encode()
    sink = pa.BufferOutputStream()
    if style == "csv":
        pyarrow.csv.write_csv(table, sink)
    else:
        pyarrow.parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _plain(table: pa.Table) -> str:
    """Columns aligned by spaces, nothing cut: what a pipe or a file gets."""
    rows = [list(map(printable, table.column_names)), *([cell(value) for value in row] for row in _cells(table))]
    widths = [max(len(row[column]) for row in rows) for column in range(table.num_columns)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _print_rich(table: pa.Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, column in zip(table.column_names, table.columns, strict=True):
        number = column.type in _number_types()
        shown.add_column(Text(printable(name)), justify="right" if number else "left", overflow="fold", no_wrap=number)
    for row in _cells(table):
        shown.add_row(*(Text(cell(value)) for value in row))
    Console().print(shown)
    if table.num_rows == 0:
        say("(no rows)")


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """Raises UsageError for values beyond those that Python has."""
    import pyarrow as pa

    try:
        rows: list[dict[str, Any]] = table.to_pylist()
    except (OverflowError, ValueError, pa.ArrowException) as fault:
        raise UsageError(f"a value cannot be shown: {fault}", hint="cast it to varchar in the SQL") from fault
    return rows


def _cells(table: pa.Table) -> Iterator[list[Any]]:
    """Row by row, also where columns share a name."""
    unique = table.rename_columns([str(number) for number in range(table.num_columns)])
    return (list(row.values()) for row in _rows(unique))


def _number_types() -> set[Any]:
    import pyarrow as pa

    return {pa.int32(), pa.int64(), pa.float32(), pa.float64()}


def echo_pairs(pairs: Mapping[str, Any]) -> None:
    """Names and values, one a line, aligned."""
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        say(f"{name.ljust(width)}  {cell(value)}")


def bytes_text(count: int) -> str:
    """A number of bytes for a person's eye: `3.4 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError(count)


def passed_over_text(counts: Mapping[str, int]) -> str:
    """What was passed over on one line, most first: `12 .txt, 3 (hidden)`."""
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{count} {heading}" for heading, count in order[:SHOWN_HEADINGS])
    rest = sum(count for _, count in order[SHOWN_HEADINGS:])
    return printable(f"{shown}, {rest} others" if rest else shown)
