"""Runs of the command line in processes of their own, also with streams that nobody takes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import IO

from tests.interpreter import command

STREAMS = {"stdout": 1, "stderr": 2}


def run(*words: object, stdout: str = "kept", stderr: str = "kept") -> subprocess.CompletedProcess[str]:
    """Run `curator WORDS` to its end; a stream is kept, or it is full, closed, or gone (without a reader)."""
    closed = [STREAMS[name] for name, kind in (("stdout", stdout), ("stderr", stderr)) if kind == "closed"]
    made = {kind: TAKERS[kind]() for kind in {stdout, stderr}}
    try:
        return subprocess.run(
            [*command(), "-m", "curator", *map(str, words)],
            stdin=subprocess.DEVNULL, stdout=made[stdout], stderr=made[stderr], text=True,
            preexec_fn=(lambda: [os.close(number) for number in closed]) if closed else None,
        )  # fmt: skip
    finally:
        for file in made.values():
            if not isinstance(file, int):
                file.close()


def gone() -> IO[bytes]:
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "wb")


TAKERS: dict[str, Callable[[], int | IO[bytes]]] = {
    "kept": lambda: subprocess.PIPE,
    "full": lambda: open("/dev/full", "wb"),  # noqa: SIM115, PTH123
    "closed": lambda: subprocess.DEVNULL,
    "gone": gone,
}
