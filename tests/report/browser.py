"""A real Chromium without a window, driven through its own DevTools protocol: what a page says, shows and fails at."""

from __future__ import annotations

import asyncio
import atexit
import base64
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip
NO_WEBGL = ("--disable-3d-apis",)
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # computed, where there is no GPU
SECONDS = 600.0
PAPER = 718  # pixels between the margins of an A4 page as browsers print it
CUT_OFF = f"[...document.querySelectorAll('table')].map(one => one.scrollWidth).filter(width => width > {PAPER})"
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


class Page:
    """One tab. `said` collects what it wrote to its console, its errors, and what its policy refused."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.said: list[str] = []
        self.requests: list[str] = []

    async def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        self._number += 1
        await self._socket.send_str(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = await self._next()
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    async def _next(self) -> dict[str, Any]:
        message = json.loads(await asyncio.wait_for(self._socket.receive_str(), SECONDS))
        parameters = message.get("params", {})
        if message.get("method") == "Log.entryAdded":
            self.said.append(parameters["entry"]["text"])
        elif message.get("method") == "Runtime.consoleAPICalled":
            self.said.append(str(parameters["args"]))
        elif message.get("method") == "Runtime.exceptionThrown":
            self.said.append(str(parameters["exceptionDetails"]))
        elif message.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        return message

    async def open(self, address: str) -> None:
        """Go there, and wait until all of it is loaded."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=address)
        await self._loaded()

    async def reload(self) -> None:
        """As `open`, at the same address."""
        await self.call("Page.reload")
        await self._loaded()

    async def _loaded(self) -> None:
        while (await self._next()).get("method") != "Page.loadEventFired":
            pass
        await self.settle()

    async def settle(self) -> None:
        """Two frames, so that what was asked for is drawn."""
        await self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def press(self, key: str) -> None:
        """A key, as a person would press it on what has the focus."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36}
        codes |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        code = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        for kind in ("keyDown", "keyUp"):
            added = {"text": text} if text and kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **code, **added)
        await self.settle()

    async def type(self, text: str) -> None:
        await self.call("Input.insertText", text=text)
        await self.settle()

    async def look(self, *, dark: bool = False, width: int = 1200, height: int = 900) -> None:
        """The scheme that the user prefers, and the size of the window."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=features)
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await self.settle()

    async def look_printed(self, *, width: int) -> None:
        """As on paper, so many pixels between its margins."""
        await self.look(width=width)
        await self.call("Emulation.setEmulatedMedia", media="print")
        await self.settle()

    async def picture(self, path: Path) -> bytes:
        """The whole page as a PNG, which is put at `path` too."""
        found = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))
        return path.read_bytes()


@contextlib.asynccontextmanager
async def browsing(flags: Sequence[str] = NO_WEBGL) -> AsyncIterator[Page]:
    """A tab that knows nothing of those before it, in a browser that the session keeps: starting one takes a second.
    Without WebGL, unless the flags bring it."""
    import aiohttp

    port, path = await _browser(tuple(flags))
    socket_address = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.ws_connect(socket_address, max_msg_size=0) as socket:
        whole = Page(socket)
        context = (await whole.call("Target.createBrowserContext"))["browserContextId"]
        try:
            made = await whole.call("Target.createTarget", url="about:blank", browserContextId=context)
            address = f"http://127.0.0.1:{port}/devtools/page/{made['targetId']}"
            async with session.ws_connect(address, max_msg_size=0) as tab:
                yield Page(tab)
        finally:
            await whole.call("Target.disposeBrowserContext", browserContextId=context)


@functools.cache
def _started(flags: tuple[str, ...]) -> tuple[Path, subprocess.Popen[bytes]]:
    """A browser and its folder; it ends with this process."""
    assert CHROMIUM is not None
    folder = Path(tempfile.mkdtemp(prefix="browser-"))
    process = subprocess.Popen(
        [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    atexit.register(_end, folder, process)
    return folder, process


def _end(folder: Path, process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the group of the browser that was started here
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


async def _browser(flags: tuple[str, ...]) -> tuple[str, str]:
    """The port of the browser and the path of its socket, which it leaves in a file."""
    folder, process = _started(flags)
    path = folder / "DevToolsActivePort"
    while not (path.is_file() and path.read_text().count("\n") == 1 and path.read_text().split("\n")[1]):
        assert process.poll() is None, "chromium has ended"
        await asyncio.sleep(0.05)
    port, socket = path.read_text().split("\n")
    return port, socket


def visit_page(path: Path, steps: Callable[[Page], Coroutine[Any, Any, None]]) -> None:
    """Open a page and do the steps; whatever they are, nothing is complained of and nothing fetched."""

    async def whole() -> None:
        async with browsing() as page:
            await page.look()
            await page.open(path.as_uri())
            await steps(page)
            assert page.said == []
            assert [url for url in page.requests if not url.startswith("data:")] == [path.as_uri()]

    browse(whole())


def browse(steps: Coroutine[Any, Any, Any]) -> Any:
    """Run the steps of a test."""
    return asyncio.run(steps)
