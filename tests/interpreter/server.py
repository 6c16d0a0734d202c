"""The process that imports, forks, and says how each of its processes has ended. Ends when its stdin does."""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TextIO

from curator.banks.wordnet import load_wordnet
from tests.interpreter.client import ORDER_BYTES, STREAMS

HEAVY = (
    "torch", "open_clip", "transformers.modeling_utils", "diffusers", "ray", "scipy.stats", "polars",
    "matplotlib.figure", "aiobotocore.session", "boto3", "moto.server", "openai", "prompt_toolkit.shortcuts",
)  # fmt: skip
FLAGS = ("-u", "-P", "-B")  # what they ask for has no weight here
IMPORTED = (
    "curator.cli", "curator.workspace.facade", "curator.workspace.scan.run", "curator.workspace.learn.run",
    "curator.workspace.keep.doctor", "curator.encoders.fake_encoder", "curator.vectors.faiss_index",
    "curator.engines.local", "curator.systems.ants.learn", "duckdb", "faiss", "pandas", "pyarrow.parquet", "PIL.Image",
)  # fmt: skip


class Server:
    """Forks a process for each client, and holds the connection to it as long as that lives."""

    def __init__(self, address: str) -> None:
        self._path = sys.path[1:]  # without the folder of this program
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(address)
        self._listener.listen(64)
        self._processes: set[int] = set()
        self._at_work = True
        self._events = selectors.DefaultSelector()
        self._events.register(0, selectors.EVENT_READ, self._end)
        self._events.register(self._listener, selectors.EVENT_READ, self._accept)

    def serve(self) -> None:
        while self._at_work:
            for key, _ in self._events.select():
                if self._events.get_map().get(key.fileobj) == key:  # else it went with one before it
                    key.data()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        text, streams, _, _ = socket.recv_fds(client, ORDER_BYTES, len(STREAMS))
        if not text:  # killed before it could say what it wants
            client.close()
            return
        process = os.fork()
        if process == 0:
            for key in list(self._events.get_map().values()):
                if key.fd > max(STREAMS):
                    os.close(key.fd)
            self._events.close()
            client.close()
            become(json.loads(text), streams, self._path)
        for descriptor in streams:
            os.close(descriptor)
        self._processes.add(process)
        ending = os.pidfd_open(process)
        self._events.register(client, selectors.EVENT_READ, partial(self._left, process, client))
        self._events.register(ending, selectors.EVENT_READ, partial(self._ended, process, client, ending))
        with suppress(OSError):
            client.send(b"%d" % process)

    def _left(self, process: int, client: socket.socket) -> None:
        """The client was killed."""
        self._events.unregister(client)
        os.kill(process, signal.SIGKILL)

    def _ended(self, process: int, client: socket.socket, ending: int) -> None:
        self._events.unregister(ending)
        os.close(ending)
        self._processes.remove(process)
        _, status = os.waitpid(process, 0)
        with suppress(OSError):
            client.send(b"%d" % os.waitstatus_to_exitcode(status))
        if client in self._events.get_map():
            self._events.unregister(client)
        client.close()

    def _end(self) -> None:
        self._at_work = False
        for process in self._processes:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def become(order: dict[str, Any], streams: list[int], path: list[str]) -> NoReturn:
    """The process that was ordered, from its first line to its end."""
    status = 1
    try:
        settle(order, streams, path)
        status = ended(order["words"])
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        if status == -signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(status)


def settle(order: dict[str, Any], streams: list[int], path: list[str]) -> None:
    """Take the surroundings that were handed over."""
    for number in STREAMS:
        os.close(number)
    for number, descriptor in zip(order["streams"], streams, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    with suppress(OSError):  # the group has ended
        os.setpgid(0, order["group"])
    os.chdir(order["folder"])
    os.umask(order["umask"])
    os.environ.clear()
    os.environ.update(order["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = map(opened, STREAMS)
    sys.path[:] = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *path]
    with suppress(ImportError):
        importlib.import_module("sitecustomize")


def opened(number: int) -> TextIO | None:
    """A standard stream, as an interpreter that begins has it."""
    try:
        os.fstat(number)
    except OSError:
        return None
    errors = "backslashreplace" if number == 2 else "strict"
    return open(number, "w" if number else "r", buffering=1 if number == 2 else -1, errors=errors, closefd=False)


def ended(words: list[str]) -> int:
    """Run what the words of a command line say; the exit status."""
    try:
        run(words)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as fault:
        sys.excepthook(type(fault), fault, fault.__traceback__)
        return -signal.SIGINT if isinstance(fault, KeyboardInterrupt) else 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # tells pools that it is over, and waits for threads
    return 0


def run(words: list[str]) -> None:
    while words[0] in FLAGS:
        words = words[1:]
    kind, rest = words[0], words[1:]
    if kind == "-c":
        sys.argv[:], sys.path[:0] = ["-c", *rest[1:]], [""]
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(main))
    elif kind == "-m":
        sys.argv[:], sys.path[:0] = rest, [str(Path.cwd())]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:], sys.path[:0] = words, [str(Path(kind).absolute().parent)]
        runpy.run_path(kind, run_name="__main__")


def main(address: str) -> None:
    for name in (*IMPORTED, *HEAVY) if Path(address).name == "heavy" else IMPORTED:
        with suppress(ModuleNotFoundError):  # of an extra that is not installed
            importlib.import_module(name)
    load_wordnet().synsets("entity")  # reads and indexes it
    gc.collect()  # what is there is old then, and seldom looked at again
    server = Server(address)
    print("ready", flush=True)
    try:
        server.serve()
    finally:
        Path(address).unlink()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
