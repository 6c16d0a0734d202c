"""A process that has loaded everything and forks a fresh run of `curator` for each order: a real process in 50 ms.

Orders come as lines of JSON on stdin, answers go as lines of JSON to stdout. A run that is started is waited for by a
second order, so that several can be at work together.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).absolute().parents[2]
LONGEST = 300  # seconds of a run; some take 20 on a busy machine
PRELOAD = (
    "curator.cli", "curator.workspace.facade", "curator.encoders.fake_encoder", "curator.vectors.faiss_index",
    "curator.engines.local", "curator.workspace.learn.run", "curator.systems.ants.learn",
    "duckdb", "faiss", "pyarrow.parquet", "PIL.Image", "torch",
    "tests.faults.injection",
)  # fmt: skip


def serve() -> None:
    for name in PRELOAD:
        importlib.import_module(name)
    importlib.import_module("curator.banks.wordnet").load_wordnet().synsets("entity")  # reads and indexes it
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = {"status": os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])}
        else:
            answer = {"pid": os.fork() or run(order)}
        print(json.dumps(answer), flush=True)


def run(order: dict[str, Any]) -> int:
    """In the child: one run of the command line, then the end of the process."""
    from curator.__main__ import main
    from tests.faults.injection import install

    code: int | str | None = 0
    strike = None
    try:
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(f"{order['output']}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.alarm(LONGEST)  # ends this process, also one that hangs in a library
        os.environ.update(order.get("environment", {}))
        strike = install(order)
        sys.argv = ["curator", *order["arguments"]]
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if strike is not None:
            Path(f"{order['output']}.events").open("w").write(str(strike.events))  # noqa: SIM115  # write_text counts
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


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
    """A run that was started. `wait` for it once."""

    zygote: Zygote
    pid: int
    output: Path

    def wait(self) -> Ended:
        status = int(self.zygote.ask({"wait": self.pid})["status"])
        texts = {name: Path(f"{self.output}.{name}") for name in ("stdout", "stderr", "events")}
        found = {name: path.read_text() if path.exists() else "" for name, path in texts.items()}
        for path in texts.values():
            path.unlink(missing_ok=True)
        return Ended(status, found["stdout"], found["stderr"], int(found["events"]) if found["events"] else None)


class Zygote:
    """The client's side. Use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "CURATOR_SCAN_FILES_PER_SHARD": "3"},
        )
        assert self._process.stdout is not None
        assert "ready" in self._process.stdout.readline(), "the zygote did not start; its message is above"

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, *arguments: object, workers: int = 0, **order: Any) -> Running:
        """Start `curator ARGUMENTS`; see injection.py for what may be ordered beside them."""
        self._runs += 1
        output = self._folder / f"run-{self._runs}"
        environment = {"CURATOR_SCAN_DECODE_WORKERS": str(workers), **order.pop("environment", {})}
        texts = [str(argument) for argument in arguments]
        asked = self.ask({"arguments": texts, "output": str(output), "environment": environment, **order})
        return Running(self, int(asked["pid"]), output)

    def run(self, *arguments: object, **order: Any) -> Ended:
        return self.start(*arguments, **order).wait()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            return answer


if __name__ == "__main__":
    serve()
