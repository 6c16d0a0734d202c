"""What all commands share: the open workspace, the log, and the one door for errors."""

from __future__ import annotations

import re
import sys
import traceback
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Literal, NoReturn, ParamSpec, TypeVar, cast

import click

from curator.cli.exit_codes import EXIT_CODES
from curator.endings import Ending, ending_of
from curator.errors import CuratorError, RunInterrupted, StoreError
from curator.printable import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from curator.workspace import Workspace
    from curator.workspace.results import Results

Given = ParamSpec("Given")
Result = TypeVar("Result")


def in_options(text: str) -> str:
    """A message of the library with the options of the command that runs: `fail_on`, a parameter, becomes --fail-on."""
    context = click.get_current_context(silent=True)
    given = [item for item in context.command.params if isinstance(item, click.Option)] if context else []
    options = {item.name: max(item.opts, key=len) for item in given}
    return re.sub(r"`(\w+)`", lambda found: options.get(found[1], found[0]), text)


def on_terminal() -> bool:
    """Whether somebody reads what goes to stderr as it comes."""
    return sys.stderr.isatty()


class App:
    """The global options. Opening the workspace is left to the commands that need one."""

    def __init__(self, folder: str, *, log_format: str, verbosity: int) -> None:
        self.folder = folder
        self.log_format = log_format
        self.verbosity = verbosity

    def start_logs(self) -> None:
        from curator.workspace.logs import configure_logs

        configure_logs(style=cast(Literal["human", "json"], self.log_format), verbosity=self.verbosity)

    def complain(self, message: str, *, ending: Ending, hint: str | None = None, detail: str | None = None) -> None:
        """One line on stderr that says why the exit code is not 0, for people or for the JSON log; with -v, after the
        traceback of the error that is being handled. `detail`: what DuckDB adds to it, on lines of its own."""
        message = in_options(message)
        trace = traceback.format_exc() if self.verbosity > 0 and sys.exc_info()[0] else None
        if self.log_format == "json":
            from curator.workspace.logs import log

            self.start_logs()
            fields = {
                "event": "exit",
                "exit_code": EXIT_CODES[ending],
                "hint": hint,
                "detail": detail,
                "traceback": trace,
            }
            log.error(message, extra={"fields": {key: value for key, value in fields.items() if value is not None}})
        else:
            text = printable(f"curator: {message}{f' ({hint})' if hint else ''}")
            more = f"\n{printable_lines(detail)}" if detail and not trace else ""  # a traceback ends with it
            click.echo(printable_lines(trace or "") + text + more, err=True)

    def open(self, overrides: Mapping[str, object] | None = None) -> Workspace:
        """The workspace, with options from the command line on top of its configuration."""
        from curator.workspace import Workspace

        return Workspace.open(self.folder, overrides=overrides)

    def results(self) -> Results:
        """What the workspace's snapshot holds, without all that computes."""
        from curator.workspace.results import Results

        return Results.of(self.folder)

    def ruling(self, results: Results) -> dict[str, str | None] | None:
        """By what the images are judged that are shown next, for rows of JSON; on a terminal it is said, too."""
        ruling = results.in_force()
        if ruling and on_terminal() and self.verbosity >= 0:
            click.echo(printable(f"ruled by {ruling.said}"), err=True)
        return ruling.as_json() if ruling else None


class ErrorGroup(click.Group):
    """Turns every CuratorError into one line on stderr and its exit code; -v shows the traceback as well."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except CuratorError as fault:  # of what is printed before there is a command: help, version
            self._end(None, fault)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CuratorError as fault:
            self._end(context.obj, fault)
        except KeyboardInterrupt:  # before or after a run; a run says so itself
            self._end(context.obj, RunInterrupted("interrupted"))

    @staticmethod
    def _end(app: App | None, fault: CuratorError) -> NoReturn:
        app, ending = app or App(".", log_format="human", verbosity=0), ending_of(fault)
        detail = fault.detail if isinstance(fault, StoreError) else None
        app.complain(fault.message, ending=ending, hint=fault.hint, detail=detail)
        sys.exit(EXIT_CODES[ending])


def pass_app(command: Callable[Concatenate[App, Given], Result]) -> Callable[Given, Result]:
    """Gives the App to a command, with its log open; its options then stand in what the library says of parameters."""

    def run(app: App, /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        from curator.cli.terminal.progress import Display

        app.start_logs()
        try:
            with Display(quiet=app.verbosity < 0, plain=app.log_format == "json"):
                return command(app, *args, **kwargs)
        except CuratorError as fault:
            fault.message, fault.hint = in_options(fault.message), fault.hint and in_options(fault.hint)
            raise

    return click.pass_obj(update_wrapper(run, command))
