"""A process that has imported what decode processes need and forks one for each order: 5 ms instead of 200.

Tests of what decode processes are by themselves (an interpreter that imports one module) start real ones.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).absolute().parents[1]
ORDER_BYTES = 65_536


def serve(descriptor: int) -> None:
    """Fork decode processes, and wait for them, until the socket closes."""
    from curator.decode.formats import plugins
    from curator.engines import decode_worker  # noqa: F401  # reading imports more, and shifts limits of memory by it

    plugins()
    orders = socket.socket(fileno=descriptor)
    while True:
        text, given, _, _ = socket.recv_fds(orders, ORDER_BYTES, 1)
        if not text:
            return
        order = json.loads(text)
        if given:
            answer = os.fork()
            if answer == 0:
                try:
                    orders.close()
                    os.setpgid(0, 0)
                    os.chdir(order["folder"])
                    sys.path[:] = order["path"]
                    os.environ.update(order["environment"])
                    importlib.import_module(f"curator.engines.{order['module']}").serve(given[0])
                finally:
                    os._exit(0 if sys.exc_info()[0] is None else 1)
            os.close(given[0])
        else:
            done, status = os.waitpid(order["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if done else None
        orders.send(json.dumps(answer).encode())


class Zygote:
    """The side of the tests. Use it in a `with`; begins with the first order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._orders.close()
            self._process.wait()

    def start(self, channel: socket.socket, module: str = "decode_worker") -> Forked:
        """A decode process at the other end of this channel: in place of `decode_pool.start_process`."""
        order = {
            "folder": str(Path.cwd()),
            "path": [str(Path(entry).absolute()) for entry in sys.path],
            "environment": dict(os.environ),
            "module": module,
        }
        return Forked(self, self.ask(order, channel.fileno()))

    def ask(self, order: dict[str, Any], *descriptors: int) -> Any:
        with self._lock:
            if self._process is None:
                self._begin()
            socket.send_fds(self._orders, [json.dumps(order).encode()], descriptors)
            return json.loads(self._orders.recv(ORDER_BYTES))

    def _begin(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from tests.decode_zygote import serve; serve({theirs.fileno()})"],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # a test may send Ctrl-C to its group
            )


class Forked:
    """What the pool knows a process by; as subprocess.Popen."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._zygote = zygote
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        with self._lock:
            if self.returncode is None:
                try:
                    self.returncode = self._zygote.ask({"wait": self.pid})
                except OSError:  # asked when the session is over, and its processes with it
                    self.returncode = 0
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.001)
        return status

    def kill(self) -> None:
        with self._lock:
            if self.returncode is None:
                os.kill(self.pid, signal.SIGKILL)
