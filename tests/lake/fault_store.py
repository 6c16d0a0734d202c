"""A proxy on loopback before a real S3-protocol server (or any web server): counts requests and injects faults.

A fault is given for requests that match a method and a part of the path, a number of times or for ever. What it does
happens on the wire: a status with S3's XML, a reset connection, a body that ends early, a body changed beneath its
headers, an answer that comes late.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

CODES = {429: "TooManyRequests", 500: "InternalError", 503: "SlowDown", 403: "AccessDenied"}
HOP_HEADERS = {"connection", "transfer-encoding", "content-length", "server", "date"}


@dataclass(slots=True)
class Request:
    method: str
    path: str  # decoded, with its query
    range: str | None
    sent: int = 0  # bytes of the answer's body

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and "list-type=2" in self.path


@dataclass(slots=True)
class Fault:
    """kind: a status, or reset, cut (connection), short (announced length), slow, drop (the answer after the work)."""

    kind: int | str
    part: str
    method: str
    times: float
    met: int = 0


@dataclass(slots=True)
class FaultStore:
    url: str
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    before: Callable[[Request], None] = lambda request: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, kind: int | str, part: str = "", *, method: str = "GET", times: float = 1) -> Fault:
        self.faults.append(Fault(kind, part, method, times))
        return self.faults[-1]

    def heal(self) -> None:
        self.faults.clear()

    def gets(self, part: str = "") -> list[Request]:
        """The requests for objects, without listings."""
        return [item for item in self.requests if item.method == "GET" and not item.is_listing and part in item.path]

    def take(self, request: Request) -> int | str | None:
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.method == request.method and fault.part in request.path and fault.met < fault.times:
                    fault.met += 1
                    return fault.kind
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: FaultStore
    origin: str

    def log_message(self, *_):
        pass

    def _serve(self) -> None:
        body = self._body()
        request = Request(self.command, unquote(self.path), self.headers.get("Range"))
        kind = self.store.take(request)
        self.store.before(request)
        if isinstance(kind, int):
            self._refuse(kind)
        elif kind == "reset":
            self._reset()
        else:
            if kind == "slow":
                self.connection.recv(1, socket.MSG_PEEK)  # until the client hangs up
                self.close_connection = True
                return
            self._pass_on(request, body, kind)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _refuse(self, status: int) -> None:
        code = CODES.get(status, "ServiceUnavailable")
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code} by the test</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _pass_on(self, request: Request, body: bytes, kind: str | None) -> None:
        target = urlsplit(self.origin)
        connection = http.client.HTTPConnection(target.hostname, target.port)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if kind == "drop":
            self._reset()
            return
        if kind == "short":
            data = data[: len(data) // 2]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_HEADERS and not (kind == "short" and "checksum" in name.lower()):
                self.send_header(name, value)
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command == "HEAD":
            return
        request.sent = len(data)
        self.wfile.write(data[: len(data) // 2] if kind == "cut" else data)
        if kind == "cut":
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


def start(origin: str) -> tuple[FaultStore, Callable[[], None]]:
    """The store before `origin`, and what stops it."""
    store = FaultStore("")
    handler = type("Handler", (_Handler,), {"store": store, "origin": origin})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that gave up waiting
    store.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return store, stop
