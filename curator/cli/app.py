"""What all commands share: the open workspace, the log, and the one door for errors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from curator.errors import CuratorError

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

    def open(self, overrides: Mapping[str, Any] | None = None) -> Workspace:
        """The workspace, with options from the command line on top of its configuration."""
        from curator.workspace import Workspace

        self.start_logs()
        return Workspace.open(self.folder, overrides=overrides)


class ErrorGroup(click.Group):
    """Turns every CuratorError into one line on stderr and its exit code; -v shows the traceback as well."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CuratorError as fault:
            if context.obj is not None and context.obj.verbosity > 0:
                import traceback

                traceback.print_exc()
            click.echo(f"curator: {fault}", err=True)
            sys.exit(fault.exit_code)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of our output has gone (`curator sql … | head`): nothing is wrong
            sys.exit(0)


pass_app = click.make_pass_decorator(App)
