"""Libraries that could draw the map, side by side in one browser, under the policy of the app: whether each draws
100,000 points at all, how large it is, how soon the first frame is there, and frames/s while the map moves and zooms.

`python -m tests.bench map-libraries`. Each is fetched by name and version from the npm registry; nothing of it stays.
"""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curator.app.guard import HEADERS
from tests.app.vendor import fetched
from tests.report.browser import CHROMIUM, WEBGL, browsing

POINTS = 100_000
SECONDS = 60.0  # that a library may take for all
PAGE = '<!doctype html><meta charset="utf-8"><link rel="icon" href="page.css"><link rel="stylesheet" href="page.css">'
STYLE = "html, body, #plane { margin: 0; width: 100%; height: 100%; overflow: hidden; }"
# What is imported by a bare name is answered by a module that has the names asked for, and does nothing.
STUB = """
export const coordinator = () => undefined, isSelection = () => false, makeClient = () => undefined, Query = {};
"""


@dataclass(frozen=True, slots=True)
class MapLibrary:
    """A library: its packages with versions, and the files that a page loads of them, (package, path inside) by name.

    bare: what its modules import by bare names, which a browser resolves only with a build step before it.
    """

    name: str
    licence: str
    packages: tuple[str, ...]
    files: Mapping[str, tuple[int, str]]
    bare: Mapping[str, str]


CANDIDATES = (
    MapLibrary(
        "embedding-atlas EmbeddingView",
        "MIT",
        ("embedding-atlas@0.26.0",),
        {"component.js": (0, "dist/component.js"), "chunk-B2i4wGKD.js": (0, "dist/chunk-B2i4wGKD.js"),
         "chunk-Dl-qhI7d.js": (0, "dist/chunk-Dl-qhI7d.js")},
        {"@uwdata/mosaic-core": "./stub.js", "@uwdata/mosaic-sql": "./stub.js"},
    ),
    MapLibrary(
        "regl-scatterplot",
        "MIT",
        ("regl-scatterplot@1.16.0", "regl@2.1.1", "pub-sub-es@3.0.0"),
        {"regl-scatterplot.min.js": (0, "dist/regl-scatterplot.min.js"), "regl.min.js": (1, "dist/regl.min.js"),
         "pub-sub-es.js": (2, "dist/index.js")},
        {},
    ),
    MapLibrary("deck.gl ScatterplotLayer", "MIT", ("deck.gl@9.4.0",), {"deck.js": (0, "dist.min.js")}, {}),
    MapLibrary(
        "three.js Points",
        "MIT",
        ("three@0.187.0",),
        {"three.module.js": (0, "build/three.module.js"), "three.core.js": (0, "build/three.core.js")},
        {},
    ),
    MapLibrary(
        "twgl.js, with shaders of our own",
        "MIT",
        ("twgl.js@7.0.0",),
        {"twgl-full.module.js": (0, "dist/7.x/twgl-full.module.js")},
        {},
    ),
    MapLibrary("canvas, as the app draws without WebGL", "", (), {}, {}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LibraryFigures:
    """size: bytes of its files as published. first: milliseconds from the call to its first frame. pan, zoom:
    frames/s. fault: why it draws nothing, in place of figures."""

    name: str
    licence: str
    size: int
    bare: tuple[str, ...]
    first: float
    pan: float
    zoom: float
    fault: str


def library_figures() -> list[LibraryFigures]:
    """Of each candidate; of none without a browser and npm."""
    if CHROMIUM is None or shutil.which("npm") is None:
        return []
    with tempfile.TemporaryDirectory(prefix="curator-libraries-") as folder:
        return [_figures(Path(folder) / str(place), one) for place, one in enumerate(CANDIDATES)]


def _figures(folder: Path, candidate: MapLibrary) -> LibraryFigures:
    pages = folder / "pages"
    pages.mkdir(parents=True)
    packages = [fetched(package, folder / str(place)) for place, package in enumerate(candidate.packages)]
    size = 0
    for name, (place, path) in candidate.files.items():
        text = (packages[place] / path).read_text(encoding="utf-8")
        size += len(text.encode())
        for bare, instead in candidate.bare.items():
            text = text.replace(f'"{bare}"', f'"{instead}"')
        (pages / name).write_text(text, encoding="utf-8")
    shutil.copy(Path(__file__).with_suffix(".js"), pages / "map_libraries.js")
    for name, text in {"index.html": PAGE, "page.css": STYLE, "stub.js": STUB}.items():
        (pages / name).write_text(text, encoding="utf-8")
    with _served(pages) as address:
        found = asyncio.run(_drawn(address, candidate.name.split()[0].rstrip(","), folder / "browser"))
    return LibraryFigures(candidate.name, candidate.licence, size, tuple(candidate.bare), *found)


async def _drawn(address: str, name: str, folder: Path) -> tuple[float, float, float, str]:
    async with browsing(WEBGL) as page:
        await page.look()
        await page.open(address)
        script = f"import('./map_libraries.js').then(all => all.measured({json.dumps(name)}, {POINTS}))"
        patience = f"new Promise((_, late) => setTimeout(late, {SECONDS * 1000}, new Error('no end in time')))"
        found = await page.run(f"Promise.race([{script}, {patience}]).catch(fault => String(fault))")
        if isinstance(found, str):
            return 0.0, 0.0, 0.0, found
        return found["first"], found["pan"], found["zoom"], found["fault"] or ""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The folder on loopback, under the headers of the app."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            for name, value in HEADERS.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
