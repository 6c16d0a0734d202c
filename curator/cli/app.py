"""What all commands share: the open workspace, the log, and the one door for errors."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from curator.errors import CuratorError, RunInterrupted, StoreError
from curator.printable import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from curator.workspace import Workspace


class App:
    """The global options. Opening the workspace is left to the commands that need one."""

    def __init__(self, folder: str, *, log_format: str, verbosity: int) -> None:
        self.folder = folder
        self.log_format = log_format
        self.verbosity = verbosity

    def start_logs(self) -> None:
        from curator.workspace.logs import configure_logs

        configure_logs(style=cast(Literal["human", "json"], self.log_format), verbosity=self.verbosity)

    def complain(self, message: str, *, exit_code: int, hint: str | None = None, detail: str | None = None) -> None:
        """One line on stderr that says why the exit code is not 0, for people or for the JSON log; with -v, after the
        traceback of the error that is being handled. `detail`: what DuckDB adds to it, on lines of its own."""
        trace = traceback.format_exc() if self.verbosity > 0 and sys.exc_info()[0] else None
        if self.log_format == "json":
            from curator.workspace.logs import log

            self.start_logs()
            fields = {"event": "exit", "exit_code": exit_code, "hint": hint, "detail": detail, "traceback": trace}
            log.error(message, extra={"fields": {key: value for key, value in fields.items() if value is not None}})
        else:
            text = printable(f"curator: {message}{f' ({hint})' if hint else ''}")
            more = f"\n{printable_lines(detail)}" if detail else ""
            click.echo(printable_lines(trace or "") + text + more, err=True)

    def open(self, overrides: Mapping[str, object] | None = None) -> Workspace:
        """The workspace, with options from the command line on top of its configuration."""
        from curator.workspace import Workspace

        self.start_logs()
        return Workspace.open(self.folder, overrides=overrides)


class ErrorGroup(click.Group):
    """Turns every CuratorError into one line on stderr and its exit code; -v shows the traceback as well."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except CuratorError as fault:  # of what is printed before there is a command: help, version
            App(".", log_format="human", verbosity=0).complain(
                fault.message, exit_code=fault.exit_code, hint=fault.hint
            )
            sys.exit(fault.exit_code)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CuratorError as fault:
            detail = fault.detail if isinstance(fault, StoreError) else None
            self._app(context).complain(fault.message, exit_code=fault.exit_code, hint=fault.hint, detail=detail)
            sys.exit(fault.exit_code)
        except KeyboardInterrupt:  # before or after a run; a run says so itself
            self._app(context).complain("interrupted", exit_code=RunInterrupted.exit_code)
            sys.exit(RunInterrupted.exit_code)

    @staticmethod
    def _app(context: click.Context) -> App:
        return context.obj or App(".", log_format="human", verbosity=0)


pass_app = click.make_pass_decorator(App)
