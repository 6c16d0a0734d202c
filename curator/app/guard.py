"""Who gets into the app, and how much a request may be: checked before anything of it is looked at.

The address holds a random token, which every request must give and every write must repeat in a header that no form
and no other site can send. Requests that name another host are refused, so a site whose name was pointed at this
machine (DNS rebinding) gets nothing; there is no CORS; and the page may load and run only what comes from here.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "X-Curator-Token"
MOST_BYTES = 2 << 20  # of a body of JSON: the numbers of 250,000 images
MOST_PICTURE_BYTES = 64 << 20  # of an image that is searched by
PATIENCE_SECONDS = 30.0  # for a client that sends nothing
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class BadRequest(Exception):
    """A request that is refused: a status and one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard:
    """Lets through what comes from the one page that has the address, with the token taken out of its path.

    hosts: the names, with the port, under which the browser of this machine may call.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self.token = secrets.token_urlsafe(24)
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                added = ((name.lower().encode(), value.encode()) for name, value in HEADERS.items())
                message["headers"] = [*message["headers"], *(pair for pair in added if pair[0] not in given)]
            await send(message)

        try:
            path = self._checked_path(scope["path"], headers)
            if scope["method"] not in ("GET", "HEAD"):
                self._check_write(scope["method"], headers)
        except BadRequest as fault:
            await refuse(send_guarded, fault)
            return
        root = scope.get("root_path", "")
        inner = {**scope, "path": f"{root}/{path}", "raw_path": None}
        await self._app(inner, patient(receive), send_guarded)

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode())

    def _checked_path(self, path: str, headers: Mapping[str, str]) -> str:
        """What follows the token. Hosts and tokens that are not ours learn nothing else."""
        if headers.get("host", "") not in self._hosts:
            raise BadRequest(403, "this page is only for this machine")
        token, _, rest = path.removeprefix("/").partition("/")
        if not self.is_token(token):
            raise BadRequest(403, "wrong address: use the one that `curator app` has printed")
        return rest

    def _check_write(self, method: str, headers: Mapping[str, str]) -> None:
        if method != "POST":
            raise BadRequest(405, "only GET and POST are known here")
        if not self.is_token(headers.get(TOKEN_HEADER.lower(), "")):
            raise BadRequest(403, f"the header {TOKEN_HEADER} is missing or wrong")
        if headers.get("origin") not in (None, *(f"http://{host}" for host in self._hosts)):
            raise BadRequest(403, "another site sent this")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "application/octet-stream"):
            raise BadRequest(415, "what is asked is sent as application/json, an image as application/octet-stream")
        length, most = headers.get("content-length", ""), MOST_BYTES if kind.endswith("json") else MOST_PICTURE_BYTES
        if not (length.isascii() and length.isdigit()):
            raise BadRequest(411, "the length of the body is not given")
        if len(length) > len(str(most)) or int(length) > most:  # Python makes no number of 4300 digits
            raise BadRequest(413, f"the body is longer than {most} bytes")


def patient(receive: Receive) -> Receive:
    """A receiver that ends where the client sends nothing for too long."""

    async def receive_in_time() -> Message:
        try:
            return await asyncio.wait_for(receive(), PATIENCE_SECONDS)
        except TimeoutError:
            return {"type": "http.disconnect"}

    return receive_in_time


async def refuse(send: Send, fault: BadRequest) -> None:
    """Answer with one line; the connection is closed, for a body that was not read must not be the next request."""
    body = json.dumps({"error": str(fault)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
