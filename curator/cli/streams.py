"""The standard streams of the process when nobody takes what is written: a full disk, a closed descriptor, no reader.

Whoever prints (click, rich, a log, the interpreter at its end) meets the same: output that cannot be written is an
error of its own, told from those of other files; a message that cannot be written is let go, as nobody can be told.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from curator.cli.exit_codes import exit_code_of
from curator.cli.output import say
from curator.errors import CuratorError, OutputError

KEPT = "only what was to be printed is lost; what the command did is kept"


class _Messages(io.FileIO):
    """Takes everything, and writes what can be written."""

    def write(self, data: object) -> int:
        with suppress(OSError):
            return super().write(data)  # type: ignore[arg-type]
        return memoryview(data).nbytes  # type: ignore[arg-type]


class _Output(_Messages):
    """Says once that it cannot be written; a reader who has enough (`curator sql … | head`) ends the program well."""

    def write(self, data: object) -> int:
        try:
            return io.FileIO.write(self, data)  # type: ignore[arg-type]
        except OSError as fault:
            self.write = super().write  # type: ignore[method-assign]
            if isinstance(fault, BrokenPipeError):
                sys.exit(0)
            raise OutputError(f"standard output cannot be written: {fault.strerror}", hint=KEPT) from fault


def guard_streams() -> None:
    """Take over stdout and stderr. One that is closed cannot be written, and no file of ours may get its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDONLY), descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout, errors="strict")
    sys.stderr = _text(_Messages(2, "w", closefd=False), sys.stderr, errors="backslashreplace")


def _text(raw: io.FileIO, former: TextIO | None, *, errors: str) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=former.encoding if former else "utf-8",
        errors=(former.errors if former else None) or errors,
        line_buffering=raw.isatty() or raw.fileno() == 2,
    )


class End:
    """The last that happens in the process: what is still to be printed, then its end, with `code`.

    It does not wait for the interpreter to take itself apart. By then everything is closed, but libraries have threads
    of their own (allocators, pools of DuckDB, pyarrow, torch), and one that comes back to an interpreter which is half
    gone aborts a run that was done. A query that Ctrl-C left behind ends here too.
    """

    def __init__(self) -> None:
        self.code = 1  # what a bug leaves
        atexit.register(self)  # the first to be registered is the last to be called

    def __call__(self) -> None:
        try:
            sys.stdout.flush()
        except CuratorError as fault:
            self.code = self.code or exit_code_of(fault)
            say(f"curator: {fault}", err=True)
        except SystemExit:  # the reader has gone
            pass
        finally:
            sys.stderr.flush()
            os._exit(self.code)
