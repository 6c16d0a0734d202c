"""The web server of the review page: on loopback only, and only for who has its address.

The address holds a random token, which every request must give and every write must repeat in a header that no form
and no other site can send. Requests that name another host are refused, so a site whose name was pointed at this
machine (DNS rebinding) gets nothing; there is no CORS; and the page may load and run only what comes from here.
What the page is about is the `Desk`'s; here are paths, checks and answers.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from curator.errors import UsageError
from curator.resources import data_file

LOOPBACK = "127.0.0.1"
TOKEN_HEADER = "X-Curator-Token"
MOST_BYTES = 16 * 1024  # of a request's body
PATIENCE_SECONDS = 30.0  # for a client that sends nothing
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
}
PICTURE = re.compile(r"pictures/([0-9a-f]{32})")


class BadRequest(Exception):
    """A request that is refused: a status and one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Desk(Protocol):
    """What is reviewed. Its methods are called from several threads."""

    def items(self) -> Mapping[str, object]:
        """What the page shows: `items` and more, as JSON."""

    def picture(self, image_id: str) -> bytes | None:
        """A picture as WebP; None for an image that is not on the desk or cannot be shown."""

    def decide(self, said: Mapping[str, object]) -> Mapping[str, object]:
        """Takes down a decision; returns when it is safe. Raises BadRequest."""


class ReviewServer(ThreadingHTTPServer):
    """Serves one desk. `serve_forever` until `shutdown` from another thread."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, desk: Desk, *, port: int = 0) -> None:
        """Port 0 takes a free one. Raises UsageError when the port cannot be had."""
        self.desk = desk
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as fault:
            raise UsageError(f"port {port} cannot be used: {fault}", hint="leave `port` out for a free one") from fault

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which the browser of this machine may call it."""
        return frozenset({f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"})

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode())

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes its connection is no fault worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, act: Callable[[str], tuple[int, str, bytes]]) -> None:
        try:
            status, kind, body = act(self._checked_path())
        except BadRequest as fault:
            self.close_connection = True  # a body that was not read must not be taken for the next request
            status, kind, body = fault.status, "application/json", json.dumps({"error": str(fault)}).encode()
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _checked_path(self) -> str:
        """What follows the token. Hosts and tokens that are not ours learn nothing else."""
        if self.headers.get("Host", "") not in self.server.hosts:
            raise BadRequest(403, "this page is only for this machine")
        _, _, rest = self.path.partition("/")
        token, _, path = rest.partition("/")
        if not self.server.is_token(token):
            raise BadRequest(403, "wrong address: use the one that `curator review serve` has printed")
        return path

    def _get(self, path: str) -> tuple[int, str, bytes]:
        if path in FILES:
            name, kind = FILES[path]
            return 200, kind, data_file("curator.review", name).read_bytes()
        if path == "items":
            return 200, "application/json", json.dumps(self.server.desk.items(), default=str).encode()
        found = PICTURE.fullmatch(path)
        data = self.server.desk.picture(found[1]) if found else None
        if data is None:
            raise BadRequest(404, "there is nothing here")
        return 200, "image/webp", data

    def _post(self, path: str) -> tuple[int, str, bytes]:
        if path != "decisions":
            raise BadRequest(404, "there is nothing here")
        if not self.server.is_token(self.headers.get(TOKEN_HEADER, "")):
            raise BadRequest(403, f"the header {TOKEN_HEADER} is missing or wrong")
        if self.headers.get("Origin") not in (None, *(f"http://{host}" for host in self.server.hosts)):
            raise BadRequest(403, "another site sent this")
        if self.headers.get_content_type() != "application/json":
            raise BadRequest(415, "a decision is sent as application/json")
        return 200, "application/json", json.dumps(self.server.desk.decide(self._body())).encode()

    def _body(self) -> Mapping[str, object]:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise BadRequest(411, "the length of the body is not given")
        if len(length) > len(str(MOST_BYTES)) or int(length) > MOST_BYTES:  # Python makes no number of 4300 digits
            raise BadRequest(413, f"the body is longer than {MOST_BYTES} bytes")
        try:
            said = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as fault:
            raise BadRequest(400, "the body is not JSON") from fault
        if not isinstance(said, dict):
            raise BadRequest(400, "the body is no JSON object")
        return said

    def version_string(self) -> str:
        return "curator"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged: the paths hold the token."""
