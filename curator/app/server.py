"""The web server of the app: Starlette and uvicorn, on loopback only.

What the app is about is the `Desk`'s, which answers by name; here are paths, bodies and answers. Who may ask is the
`Guard`'s. The front end is plain modules, package data without a build step.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from curator.app.guard import BadRequest, Guard
from curator.errors import CuratorError, UsageError
from curator.report.pages import templates
from curator.resources import read_folder

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

LOOPBACK = "127.0.0.1"
KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
IMAGE_ID = re.compile(r"[0-9a-f]{32}")
KEPT_BY_BROWSER = "private, max-age=3600"  # what stays the same, at an address that nobody else has
VENDOR = "vendor"  # the folder of what others made, as pinned.toml in it says

Said: TypeAlias = Mapping[str, object]
Answer: TypeAlias = Mapping[str, object] | bytes


class Desk(Protocol):
    """What is looked at and decided. All is called from several threads; raises BadRequest and CuratorError."""

    @property
    def shown(self) -> Mapping[str, Callable[[], Answer]]:
        """What can be read, by name."""

    @property
    def asked(self) -> Mapping[str, Callable[[Said], Answer]]:
        """What takes a JSON object, by name."""

    @property
    def sent(self) -> Mapping[str, Callable[[bytes], Answer]]:
        """What takes bytes, by name."""

    def picture(self, image_id: str, *, large: bool) -> bytes | None:
        """A picture as WebP; None for an image that is not known or cannot be shown."""


class AppServer:
    """Serves one desk, in a thread of its own, between `with` and its end."""

    def __init__(self, desk: Desk, *, port: int = 0) -> None:
        """Port 0 takes a free one. Raises UsageError when the port cannot be had."""
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Else the body of an answer waits some 40 ms until its head is acknowledged; connections have it from here.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket.bind((LOOPBACK, port))
            self.socket.listen()
        except (OSError, OverflowError) as fault:
            self.socket.close()
            raise UsageError(f"port {port} cannot be used: {fault}", hint="leave `port` out for a free one") from fault
        self.port: int = self.socket.getsockname()[1]
        hosts = frozenset({f"{LOOPBACK}:{self.port}", f"localhost:{self.port}"})
        self.guard = Guard(application(desk), hosts=hosts)

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/{self.guard.token}/"

    def __enter__(self) -> Self:
        import uvicorn

        config = uvicorn.Config(
            self.guard,
            log_config=None,  # nothing is logged: the paths hold the token
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            loop="asyncio",
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self.socket],), name="curator-app", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.socket.close()


def application(desk: Desk) -> Starlette:
    """The paths of the app, for requests that the guard has let through."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    made = Starlette(
        routes=[
            Route("/", answering(lambda request: _file(""))),
            Route("/{kind:str}/{image_id:str}", answering(lambda request: _picture(desk, request))),
            Route("/{name:str}", answering(lambda request: _shown(desk, request))),
            Route("/{name:str}", answering(lambda request: _asked(desk, request)), methods=["POST"]),
        ]
    )
    made.router.redirect_slashes = False  # an address with a slash more is none of ours
    return made


def answering(act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint whose refusals, and whatever the workspace complains of, are one line of JSON."""

    async def endpoint(request: Request) -> Response:
        from starlette.requests import ClientDisconnect

        try:
            return await act(request)
        except BadRequest as fault:
            return _json({"error": str(fault)}, fault.status)
        except CuratorError as fault:
            return _json({"error": fault.message, "hint": fault.hint}, 400)
        except ClientDisconnect:
            return _json({"error": "the body ended early"}, 400)

    return endpoint


async def _file(name: str, folder: str = "") -> Response:
    from starlette.responses import Response

    if not name:
        page = templates("curator.app").get_template("app").render()
        return Response(page, media_type="text/html")
    stem, dot, suffix = name.rpartition(".")
    if (kind := KINDS.get(dot + suffix)) and (
        text := read_folder("curator.app", folder, suffix=dot + suffix).get(stem)
    ):
        kept = {"cache-control": KEPT_BY_BROWSER} if folder else {}
        return Response(text, headers={"content-type": kind, **kept})
    raise BadRequest(404, "there is nothing here")


async def _picture(desk: Desk, request: Request) -> Response:
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response

    kind, image_id = request.path_params["kind"], request.path_params["image_id"]
    if kind == VENDOR:
        return await _file(image_id, VENDOR)
    data = None
    if kind in ("thumbnails", "pictures") and IMAGE_ID.fullmatch(image_id):
        data = await run_in_threadpool(desk.picture, image_id, large=kind == "pictures")
    if data is None:
        raise BadRequest(404, "there is nothing here")
    return Response(data, media_type="image/webp", headers={"cache-control": KEPT_BY_BROWSER})


async def _shown(desk: Desk, request: Request) -> Response:
    from starlette.concurrency import run_in_threadpool

    name = request.path_params["name"]
    if name in desk.shown:
        return _answer(await run_in_threadpool(desk.shown[name]))
    return await _file(name)


async def _asked(desk: Desk, request: Request) -> Response:
    from starlette.concurrency import run_in_threadpool

    name = request.path_params["name"]
    is_json = request.headers["content-type"].lower().startswith("application/json")
    if is_json and name in desk.asked:
        return _answer(await run_in_threadpool(desk.asked[name], said_in(await request.body())))
    if not is_json and name in desk.sent:
        return _answer(await run_in_threadpool(desk.sent[name], await request.body()))
    raise BadRequest(404, "there is nothing here")


def said_in(body: bytes) -> Said:
    """The JSON object of a body."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise BadRequest(400, "the body is not JSON") from fault
    if not isinstance(said, dict):
        raise BadRequest(400, "the body is no JSON object")
    return said


def _answer(found: Answer) -> Response:
    from starlette.responses import Response

    return Response(found, media_type="application/octet-stream") if isinstance(found, bytes) else _json(found)


def _json(found: Mapping[str, object], status: int = 200) -> Response:
    from starlette.responses import Response

    return Response(json.dumps(found, default=str), status, media_type="application/json")
