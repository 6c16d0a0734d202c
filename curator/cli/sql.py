"""`curator sql` and `curator query`: read-only SQL over the published snapshot."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from curator.cli.app import App, pass_app
from curator.cli.options import Show, WholeRange, is_for_people, row_options
from curator.cli.output import say, say_beside
from curator.errors import CuratorError, UsageError


@click.command()
@click.argument("statement", required=False)
@click.option("-i", "--input", "file", type=click.Path(exists=True, dir_okay=False), help="Read the SQL from a file.")
@row_options
@pass_app
def sql(app: App, statement: str | None, file: str | None, show: Show) -> None:
    """Run SQL over the results, read-only.

    Takes STATEMENT, a file, or standard input; on a terminal without any of
    them opens a prompt, with history and completion. Works while a scan
    writes. It reaches no other file, and spills to none; a DuckDB client of
    your own can: open published/curator.duckdb read-only. Ctrl-C ends it.

    \b
    Example:
      curator sql "select uri, id_score from report.flagged order by id_score"
    """
    if statement is None and file is None and sys.stdin.isatty() and sys.stdout.isatty():
        from curator.cli.prompt import SqlPrompt

        return SqlPrompt(app, app.results(), show).run()
    text = sql_text(statement, file)
    results = app.results()
    show(results.sql(text), ruled_by=app.ruling(results))
    return None


def sql_text(statement: str | None, file: str | None) -> str:
    """The SQL from the argument, a file or standard input. Raises UsageError where there is none, or it is no text."""
    if statement is not None and file is not None:
        raise UsageError("give the SQL once: as an argument or as --input")
    where = file or "the SQL"
    try:
        if file:
            data = Path(file).read_bytes()
        elif statement in (None, "-"):
            data, where = sys.stdin.buffer.read(), "standard input"
        else:
            data = os.fsencode(str(statement))
        text = data.decode("utf-8-sig")
    except OSError as fault:
        raise UsageError(f"{where}: cannot be read: {fault.strerror}") from fault
    except UnicodeError as fault:
        raise UsageError(f"{where}: not UTF-8 text: {fault}", hint="save it as UTF-8") from fault
    if not text.strip():
        raise UsageError("there is no SQL to run", hint="give it as an argument, with --input, or on standard input")
    return text


def names_of_queries(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """For a shell: the queries of the workspace that is named so far; none where there is none."""
    from curator.workspace.results import Results

    above = context.parent.params if context.parent else {}
    try:
        return [name for name in Results.of(above.get("workspace") or ".").queries() if name.startswith(begun)]
    except CuratorError:
        return []


SHOWN_ROWS = 20  # on a terminal, unless it is said how many


@click.command()
@click.argument("name", required=False, shell_complete=names_of_queries)
@click.option("-p", "--param", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the query.")
@click.option("-n", "--limit", type=WholeRange(min=0), help="Rows at most; 0: all.  [default: all; on a terminal 20]")
@click.option("--describe", is_flag=True, help="Say what the view or table NAME holds; without NAME, list the views.")
@row_options
@pass_app
def query(
    app: App, name: str | None, parameters: tuple[str, ...], limit: int | None, describe: bool, show: Show
) -> None:
    """Run a named query; without NAME, list them.

    Your own go into queries/*.sql of the workspace.

    \b
    Example:
      curator query flagged --json
      curator query --describe flagged
    """
    results = app.results()
    if describe:
        show(results.describe(name))
        return
    if name is None:
        known = results.queries()
        width = max(map(len, known))
        for item in known.values():
            say_beside(f"{item.name.ljust(width)}  ", item.description)
        return
    values: dict[str, object] = dict(map(parameter_pair, parameters))
    takes_limit = name in results.queries() and "limit" in results.queries()[name].parameters
    is_cut = takes_limit and limit is None and "limit" not in values and is_for_people(show)
    if takes_limit:
        values.setdefault("limit", SHOWN_ROWS + 1 if is_cut else limit or None)
    found = results.query(name, **values)
    show(found.slice(0, SHOWN_ROWS) if is_cut else found, ruled_by=app.ruling(results))
    if is_cut and found.num_rows > SHOWN_ROWS:
        say(f"{SHOWN_ROWS} of at least {found.num_rows} rows; all of them: -n 0", err=True)


def parameter_pair(text: str) -> tuple[str, str]:
    """`NAME=VALUE` as a pair. Raises UsageError."""
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"--param {text}: write NAME=VALUE")
    return name, value
