"""An OpenAI-compatible service on loopback that does what a script says, and remembers every request.

Loaded by path, as test folders are no packages.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """One request as it came in; the names of headers in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    when: float = field(default_factory=time.monotonic)

    @property
    def said(self) -> str:
        """The text of the last message."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else content[-1]["text"]

    @property
    def images(self) -> list[str]:
        parts = [part for message in self.body["messages"] for part in message["content"] if isinstance(part, dict)]
        return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


Action = Callable[[BaseHTTPRequestHandler, Received], None]


def send(handler: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        **(headers or {}),
    }.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


def completion(content: Any, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more}
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": "served", "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }  # fmt: skip


def answer(content: Any, **more: Any) -> Action:
    return lambda handler, received: send(handler, 200, json.dumps(completion(content, **more)).encode())


def echo(handler: BaseHTTPRequestHandler, received: Received) -> None:
    """Answer with the text that was asked, so that a reply shows which request it belongs to."""
    answer(received.said)(handler, received)


def refuse(status: int, message: str, *, headers: dict[str, str] | None = None, **more: Any) -> Action:
    body = json.dumps({"error": {"message": message, **more}}).encode()
    return lambda handler, received: send(handler, status, body, headers)


def raw(data: bytes, content_type: str = "application/json") -> Action:
    return lambda handler, received: send(handler, 200, data, {"Content-Type": content_type})


def after(seconds: float, action: Action = echo) -> Action:
    def slow(handler: BaseHTTPRequestHandler, received: Received) -> None:
        time.sleep(seconds)
        action(handler, received)

    return slow


def once(event: threading.Event, action: Action = echo) -> Action:
    """Silent until something has happened elsewhere."""

    def waiting(handler: BaseHTTPRequestHandler, received: Received) -> None:
        event.wait()
        action(handler, received)

    return waiting


def wait_until(moments: list[float], seconds: float, form: str) -> Action:
    """Ask for a pause of so many seconds from now, as seconds or as a date; note when it ends on the clock of here."""

    def refusal(handler: BaseHTTPRequestHandler, received: Received) -> None:
        now = datetime.now(UTC)
        until = (now + timedelta(seconds=seconds)).replace(microsecond=0) if form == "date" else None
        moments.append(time.monotonic() + ((until - now).total_seconds() if until else seconds))
        wish = format_datetime(until, usegmt=True) if until else str(int(seconds))
        refuse(429, "slow down", headers={"Retry-After": wish})(handler, received)

    return refusal


def cut(handler: BaseHTTPRequestHandler, received: Received) -> None:
    """Promise more than is sent, and hang up."""
    data = json.dumps(completion("never whole")).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True


class FaultServer:
    """`script` gives the action for a request by its number, from 0, and what it is; without one it echoes."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.script: Callable[[int, Received], Action] = lambda number, received: echo
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.handle(
                    self, Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                )

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *arguments: None  # a client that hung up is part of the game
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def play(self, *actions: Action) -> None:
        """One action a request, in order; then echoes."""
        self.script = lambda number, received: actions[number] if number < len(actions) else echo

    def handle(self, handler: BaseHTTPRequestHandler, received: Received) -> None:
        with self._lock:
            number = len(self.received)
            self.received.append(received)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.script(number, received)(handler, received)
        finally:
            with self._lock:
                self._at_once -= 1

    @property
    def said(self) -> list[str]:
        return [received.said for received in self.received]


@contextmanager
def running() -> Iterator[FaultServer]:
    made = FaultServer()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
