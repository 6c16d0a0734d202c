"""How rows and summaries reach the user: data on stdout, as a table for people or in a stable format for programs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from curator.cli.terminal.rows import cell, encode, json_text
from curator.cli.terminal.tables import Look, in_lines, table_text
from curator.errors import UsageError
from curator.printable import printable, printable_lines, said_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from curator.workspace import InForce

SHOWN_HEADINGS = 20
SUFFIXES = {".csv": "csv", ".json": "json", ".parquet": "parquet", ".txt": "table"}


class Ruled(Protocol):
    """The summary of a run that may change what rules."""

    @property
    def ruled_by(self) -> InForce | None: ...

    @property
    def ruled_before(self) -> InForce | None: ...


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Lines for a person, whatever names and labels are in them. The one door of the commands to the terminal."""
    click.echo(printable_lines(str(text)), err=err, nl=nl)


def echo_json(value: object) -> None:
    """One JSON value on stdout."""
    click.echo(json_text(value))


def echo_rows(
    table: pa.Table,
    *,
    style: str | None = None,
    output: str | None = None,
    look: Look = "fitted",
    ruled_by: Mapping[str, object] | None = None,
) -> None:
    """Rows on stdout or into a file, as table, csv, json or parquet; JSON rows say what they are `ruled_by`. look: of a
    table on a terminal, see tables.py."""
    style = style or (SUFFIXES.get(Path(output).suffix.lower()) if output else "table")
    if style is None:
        raise UsageError(f"{output}: no format has this suffix", hint="give --format table|csv|json|parquet")
    if output is not None:
        write_file(output, encode(table, style, ruled_by=ruled_by))
    elif style == "csv" and sys.stdout.isatty():  # as it is in a file or a pipe, it could steer the terminal
        say(encode(table, style).decode(), nl=False)
    elif style == "table" and sys.stdout.isatty():
        say(table_text(table, shutil.get_terminal_size().columns, look), nl=False)
    elif style == "parquet" and sys.stdout.isatty():
        raise UsageError("parquet is no text", hint="add -o FILE.parquet or redirect the output")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(encode(table, style, ruled_by=ruled_by))
        sys.stdout.buffer.flush()


def echo_records(
    records: Iterable[Mapping[str, object]],
    *,
    style: str | None = None,
    output: str | None = None,
    look: Look = "fitted",
) -> None:
    """The same of mappings with the same keys."""
    import pyarrow as pa

    echo_rows(pa.Table.from_pylist([dict(record) for record in records]), style=style, output=output, look=look)


def write_file(path: str, data: bytes | str) -> None:
    """A file that the user named, over what was there; text as UTF-8. Raises UsageError."""
    try:
        Path(path).write_bytes(data.encode(errors="backslashreplace") if isinstance(data, str) else data)
    except (OSError, ValueError) as fault:  # ValueError: a NUL in the name
        raise UsageError(f"{path}: cannot be written: {said_by(fault)}") from fault


def make_folder(path: str) -> None:
    """A folder that the user named, unless it is there. Raises UsageError."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as fault:
        raise UsageError(f"{path}: cannot be made: {said_by(fault)}") from fault


def say_ruling(summary: Ruled) -> None:
    """What rules after a run, and what ruled before where that was something else."""
    from curator.workspace.judge.in_force import ruled_lines

    for line in ruled_lines(summary.ruled_by, summary.ruled_before) if summary.ruled_by else ():
        say(line)


def echo_pairs(pairs: Mapping[str, object]) -> None:
    """Names and values, one a line, aligned."""
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        say_beside(f"{name.ljust(width)}  ", cell(value))


def say_beside(head: str, text: str) -> None:
    """A line that begins with `head`; on a terminal the text goes on below itself where it does not fit."""
    width = shutil.get_terminal_size().columns - len(head)
    lines = in_lines(text, max(40, width)) if sys.stdout.isatty() else [text]
    say("\n".join(f"{head if number == 0 else ' ' * len(head)}{line}" for number, line in enumerate(lines)))


def passed_over_text(counts: Mapping[str, int]) -> str:
    """What was passed over on one line, most first: `12 .txt, 3 (hidden)`."""
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{count} {heading}" for heading, count in order[:SHOWN_HEADINGS])
    rest = sum(count for _, count in order[SHOWN_HEADINGS:])
    return printable(f"{shown}, {rest} others" if rest else shown)
