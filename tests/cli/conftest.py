"""A process that has loaded everything and forks a run of the command line for each order: 50 ms instead of 1 s."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

# For each line [words, stdout, stderr] forks a run of the command line, and says its exit code and what it printed.
DRIVER = """
import importlib, json, os, signal, sys, tempfile
for name in ("curator.workspace.facade", "curator.workspace.scan.run", "curator.workspace.keep.doctor",
             "curator.engines.local", "curator.encoders.fake_encoder", "curator.vectors.faiss_index",
             "pyarrow.parquet", "torch"):
    importlib.import_module(name)
from curator.__main__ import main
from curator.banks.wordnet import load_wordnet
load_wordnet().synsets("entity")  # reads and indexes it, once for all runs

def become(number, kind, kept):
    if kind == "closed":
        os.close(number)
    elif kind == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), number)
    elif kind == "gone":
        reading, writing = os.pipe()
        os.dup2(writing, number)
        os.close(writing)
        os.close(reading)
    else:
        os.dup2(kept.fileno(), number)

for line in sys.stdin:
    words, stdout, stderr = json.loads(line)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        process = os.fork()
        if process == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            become(1, stdout, output)
            become(2, stderr, messages)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.argv = ["curator", *words]
            main()
        answer = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])]
        for file in (output, messages):
            file.seek(0)
            answer.append(file.read().decode())
    print(json.dumps(answer), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    returncode: int
    stdout: str
    stderr: str


class Forking:
    """The side of the tests."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *words: object, stdout: str = "kept", stderr: str = "kept") -> Ended:
        """Run `curator WORDS` to its end; a stream is kept, or it is full, closed, or gone (without a reader)."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([[str(word) for word in words], stdout, stderr]) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))


@pytest.fixture(scope="session")
def forking() -> Iterator[Forking]:
    command = [sys.executable, "-c", DRIVER]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Forking(process)
        assert process.stdin is not None
        process.stdin.close()
