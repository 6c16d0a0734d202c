"""Interpreters that have imported what tests and commands need, and fork for each process that is asked of them.

`command` stands for `sys.executable` in a command line: `[*command(), "-m", "curator", …]` is a process of its own, of
the streams, folder, environment, signals and end that one has, in 50 ms instead of 1 to 3 s. Processes of tests come of
it too. What a test says of the interpreter itself (what it imports, how it begins, its number) wants a real one.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).absolute().parents[2]
FOLDER = "CURATOR_TEST_INTERPRETERS"  # where the sockets are, for the processes of one run
CLIENT = [sys.executable, "-IS", str(Path(__file__).with_name("client.py"))]

_servers: list[subprocess.Popen[bytes]] = []


def command(*, heavy: bool = False) -> list[str]:
    """The words of a command line in place of the path of Python. heavy: torch and the like are imported already, too;
    to fork costs three times as much then. The first to ask for one starts its server: of several processes, the one
    that starts the others."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="interpreters-")
        atexit.register(end)
    address = Path(os.environ[FOLDER], "heavy" if heavy else "light")
    if not address.exists():
        _servers.append(_started(command() if heavy else [sys.executable], address))
    return [*CLIENT, str(address)]


def _started(python: list[str], address: Path) -> subprocess.Popen[bytes]:
    server = subprocess.Popen(
        [*python, "-m", "tests.interpreter.server", str(address)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"},
        process_group=0,  # Ctrl-C is for those that it has forked
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n", "the interpreter of the tests did not start: its message is above"
    return server


def end() -> None:
    """End the servers that were started here, and with them all that they have forked."""
    atexit.unregister(end)
    while _servers:
        _servers.pop().communicate()
        if not _servers:
            Path(os.environ.pop(FOLDER)).rmdir()
