"""Runs of `curator` to which something is done: each a process of its own, forked by `tests.interpreter`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interpreter import ROOT, command

HEAVY = {"ants", "synood"}  # words of commands that compute with torch
LONGEST = 300  # seconds of a run; some take 20 on a busy machine


def run(order: dict[str, Any]) -> None:
    """In the process: one run of the command line."""
    from curator.__main__ import main
    from tests.faults.injection import install

    print(os.getpid(), flush=True)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{order['output']}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    signal.alarm(LONGEST)  # ends this process, also one that hangs in a library
    strike = install(order)
    sys.argv = ["curator", *order["arguments"]]
    try:
        main()
    finally:
        Path(f"{order['output']}.events").open("w").write(str(strike.events))  # noqa: SIM115  # write_text counts


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `events`: how many there were, None for one that was killed."""

    status: int
    stdout: str
    stderr: str
    events: int | None

    @property
    def said(self) -> str:
        """The last line for the user."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        return lines[-1] if lines else ""


@dataclass(slots=True)
class Running:
    """A run that was started. `pid`: of the process itself. `wait` for it once."""

    process: subprocess.Popen[str]
    pid: int
    output: Path

    def wait(self) -> Ended:
        status = self.process.wait()
        texts = {name: Path(f"{self.output}.{name}") for name in ("stdout", "stderr", "events")}
        found = {name: path.read_text() if path.exists() else "" for name, path in texts.items()}
        for path in texts.values():
            path.unlink(missing_ok=True)
        return Ended(status, found["stdout"], found["stderr"], int(found["events"]) if found["events"] else None)


class Runs:
    """Starts runs, which leave what they say in a folder until it was read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = 0

    def start(self, *arguments: object, workers: int = 0, **order: Any) -> Running:
        """Start `curator ARGUMENTS`; see injection.py for what may be ordered beside them."""
        self._started += 1
        order |= {"output": str(self._folder / f"run-{self._started}"), "arguments": [str(word) for word in arguments]}
        environment = {"CURATOR_SCAN_FILES_PER_SHARD": "3", "CURATOR_SCAN_DECODE_WORKERS": str(workers)}
        process = subprocess.Popen(
            [*command(heavy=not HEAVY.isdisjoint(arguments)), "-m", "tests.faults.runs", json.dumps(order)],
            cwd=ROOT, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        with process.stdout as said:
            return Running(process, int(said.readline()), Path(order["output"]))

    def run(self, *arguments: object, **order: Any) -> Ended:
        return self.start(*arguments, **order).wait()


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
