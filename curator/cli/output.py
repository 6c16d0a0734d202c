"""How rows and summaries reach the user: data on stdout, as a table for people or in a stable format for programs."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

SUFFIXES = {".csv": "csv", ".json": "json", ".parquet": "parquet", ".txt": "table"}


def printable(text: str) -> str:
    """`text` with control characters written as escapes: names from a lake must not steer the terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


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
    click.echo(json.dumps(value, indent=2, default=_jsonable, ensure_ascii=False))


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
        Path(output).write_bytes(_encode(table, style))
    elif style == "table" and sys.stdout.isatty():
        _print_rich(table)
    elif style == "parquet" and sys.stdout.isatty():
        raise UsageError("parquet is no text", hint="add -o FILE.parquet or redirect the output")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(_encode(table, style))
        sys.stdout.buffer.flush()


def _encode(table: pa.Table, style: str) -> bytes:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    if style == "table":
        return _plain(table).encode()
    if style == "json":
        return (json.dumps(table.to_pylist(), indent=2, default=_jsonable, ensure_ascii=False) + "\n").encode()
    sink = pa.BufferOutputStream()
    if style == "csv":
        pyarrow.csv.write_csv(table, sink)
    else:
        pyarrow.parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _plain(table: pa.Table) -> str:
    """Columns aligned by spaces, nothing cut: what a pipe or a file gets."""
    rows = [list(table.column_names), *([cell(value) for value in row.values()] for row in table.to_pylist())]
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
        shown.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=number)
    for row in table.to_pylist():
        shown.add_row(*(Text(cell(value)) for value in row.values()))
    Console().print(shown)
    if table.num_rows == 0:
        click.echo("(no rows)")


def _number_types() -> set[Any]:
    import pyarrow as pa

    return {pa.int32(), pa.int64(), pa.float32(), pa.float64()}


def echo_pairs(pairs: Mapping[str, Any]) -> None:
    """Names and values, one a line, aligned."""
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        click.echo(f"{name.ljust(width)}  {cell(value)}")


def bytes_text(count: int) -> str:
    """A number of bytes for a person's eye: `3.4 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError(count)
