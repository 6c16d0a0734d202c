"""The app on a large lake, measured in a real browser: how soon the grid is there, how smoothly it scrolls, how soon a
drag over 20,000 images has selected them, and what the server takes of memory. `python -m tests.bench app`.

The lake is that of the soak. `python -m tests.bench.app WORKSPACE` measures with a workspace that is there.
"""

from __future__ import annotations

import asyncio
import math
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curator.workspace import Workspace
from tests.report.browser import CHROMIUM, browsing
from tests.soak.__main__ import BANK
from tests.soak.lake import LivingLake

SELECTED = 20_000
# Runs before the page: notes when all that is in sight has its picture, and how long what follows a release takes.
WATCH = """
(() => {
  const look = () => {
    const shown = [...document.querySelectorAll('.cell:not([hidden]) img')];
    if (shown.length > 20 && shown.every(one => one.naturalWidth > 0)) window.gridAt = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  addEventListener('pointerup', () => {
    const at = performance.now();
    requestAnimationFrame(() => requestAnimationFrame(() => { window.tookFor = performance.now() - at; }));
  }, true);
})()
"""
SCROLL = """
new Promise(done => {
  const grid = document.getElementById('grid');
  const times = [performance.now()];
  const step = now => {
    times.push(performance.now());
    grid.scrollTop += 40;
    if (times.length < 150) requestAnimationFrame(step);
    else {
      const gaps = times.slice(1).map((time, at) => time - times[at]).sort((a, b) => a - b);
      done([1000 * gaps.length / (times.at(-1) - times[0]), gaps[Math.floor(gaps.length * 0.95)]]);
    }
  };
  requestAnimationFrame(step);
})
"""
# The slowest of twenty moves of the cut, each until the frame that shows it; on the map, too, where it is open.
MOVE = """
(async () => {
  if (document.getElementById('threshold').hidden) document.getElementById('show-threshold').click();
  const cut = document.getElementById('cut');
  const frame = () => new Promise(done => requestAnimationFrame(done));
  await frame();
  let slowest = 0;
  for (let turn = 0; turn < 20; turn += 1) {
    const at = performance.now();
    cut.dispatchEvent(new KeyboardEvent('keydown', {key: turn % 2 ? 'PageDown' : 'ArrowRight', bubbles: true}));
    await frame();
    await frame();
    slowest = Math.max(slowest, performance.now() - at);
  }
  return slowest;
})()
"""
PAGE_AT = "performance.getEntriesByType('navigation')[0].responseEnd"
COLOUR_BY_FLAG = """
(f => { f.value = 'flag'; f.dispatchEvent(new Event('change')); })(document.getElementById('colour'))
"""
ZOOM = """
(async () => {
  const plane = document.getElementById('plane');
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const box = plane.getBoundingClientRect();
  const began = performance.now();
  for (let turn = 0; turn < 60; turn += 1) {
    const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
    plane.dispatchEvent(new WheelEvent('wheel', { ...at, deltaY: turn < 30 ? -20 : 20, cancelable: true }));
    await frame();
  }
  return 60000 / (performance.now() - began);
})()
"""


@dataclass(frozen=True, slots=True)
class AppFigures:
    """grid: seconds from the page's arrival to all pictures in sight, cold and with kept thumbnails. slowest: the 95th
    percentile of frames, milliseconds. memory: of the server, now and at most, MiB."""

    images: int
    grid_cold: float
    grid: float
    frames_per_second: float
    slowest: float
    selected: int
    select_milliseconds: float
    cut_milliseconds: float
    map_frames_per_second: float
    map_cut_milliseconds: float
    lassoed: int
    lasso_milliseconds: float
    memory: float
    peak_memory: float


def large_workspace(folder: Path, images: int) -> Path:
    """A workspace with a lake of the soak, scanned in one night."""
    workspace = Workspace.create(folder / "workspace", labels=["red", "green"], encoder="fake:256")
    workspace.layout.bank_spec("base").write_text(BANK, encoding="utf-8")
    lake = LivingLake(folder / "lake")
    for night in range(1, 6):
        lake.night(night, images // 5)
    command = [sys.executable, "-m", "curator", "-q", "-w", str(workspace.layout.root), "scan", str(lake.folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return workspace.layout.root


def app_speed(workspace: Path) -> AppFigures:
    """Of one server and one browser. Raises SystemExit without a browser."""
    if CHROMIUM is None:
        raise SystemExit("no chromium on this machine")
    with running_app(workspace) as (address, pid):
        return asyncio.run(_measured(address, pid))


@contextmanager
def running_app(workspace: Path) -> Iterator[tuple[str, int]]:
    """`curator app` in a process: its address and id. Ended by Ctrl-C."""
    command = [sys.executable, "-m", "curator", "-w", str(workspace), "app"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split(" at ")[1].split()[0], process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


async def _measured(address: str, pid: int) -> AppFigures:
    async with _tab() as page:
        cold = await _opened(page, address)
        # The clusters are made once the page is there; what is measured is the page, not that.
        while not await page.run("fetch('state').then(answer => answer.json()).then(state => state.landscape)"):
            await asyncio.sleep(0.5)
        warm = await _opened(page, address)
        images = await page.run("fetch('state').then(answer => answer.json()).then(state => state.images)")
        frames, slowest = await page.run(SCROLL)
        selected, milliseconds = await _select_many(page)
        moved = await page.run(MOVE)
        zoomed, map_moved, lassoed, lasso = await _on_the_map(page)
        memory = _memory_mib(pid, "VmRSS"), _memory_mib(pid, "VmHWM")
        return AppFigures(
            images,
            cold,
            warm,
            frames,
            slowest,
            selected,
            milliseconds,
            moved,
            zoomed,
            map_moved,
            lassoed,
            lasso,
            *memory,
        )


@asynccontextmanager
async def _tab() -> AsyncIterator[Any]:
    async with browsing() as page:
        await page.look()
        await page.call("Page.enable")
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        yield page


async def _opened(page: Any, address: str) -> float:
    await page.open(address)
    while (found := await page.run(f"window.gridAt - {PAGE_AT}")) is None:
        await asyncio.sleep(0.05)
    return float(found) / 1000


async def _on_the_map(page: Any) -> tuple[float, float, int, float]:
    """Frames/s while the map of all images is zoomed; milliseconds until a cut that is moved is seen there; how
    many a lasso over its middle selects, and milliseconds from the release to the frame that shows it."""
    await page.run("document.getElementById('show-map').click()")
    await page.run("document.getElementById('filters').elements.groups.click()")
    while not await page.run("document.getElementById('count').textContent.includes(' images, ')"):
        await asyncio.sleep(0.1)
    frames = await page.run(ZOOM)
    await page.run(COLOUR_BY_FLAG)
    moved = await page.run(MOVE)
    await page.run("document.getElementById('show-threshold').click()")  # the map is as large as before
    await page.settle()
    await page.run("window.tookFor = undefined")
    left, top, width, height = await page.run(
        "(b => [b.left, b.top, b.width, b.height])(document.getElementById('plane').getBoundingClientRect())"
    )
    angles = [turn / 40 * 2 * math.pi for turn in range(41)]
    reach = min(width, height) * 0.09
    points = [(left + width / 2 + reach * math.cos(a), top + height / 2 + reach * math.sin(a)) for a in angles]
    mouse = {"button": "left", "buttons": 1, "clickCount": 1}
    await page.call("Input.dispatchMouseEvent", type="mousePressed", x=points[0][0], y=points[0][1], **mouse)
    for x, y in points:
        await page.call("Input.dispatchMouseEvent", type="mouseMoved", buttons=1, x=x, y=y)
    await page.call("Input.dispatchMouseEvent", type="mouseReleased", x=points[-1][0], y=points[-1][1], **mouse)
    while (took := await page.run("window.tookFor")) is None:
        await asyncio.sleep(0.05)
    return float(frames), float(moved), await _selected(page), float(took)


async def _selected(page: Any) -> int:
    said = await page.run("document.getElementById('selected').textContent")
    return int(said.split()[0].replace(",", "").replace("Nothing", "0"))


async def _select_many(page: Any) -> tuple[int, float]:
    """A drag from the first image over so many; how many are selected, and milliseconds from the release to the frame
    that shows it."""
    await page.run("document.getElementById('grid').scrollTop = 0")
    await page.settle()
    left, top, width, height = await page.run(
        "(b => [b.left, b.top, b.width, b.height])(document.getElementById('grid').getBoundingClientRect())"
    )
    columns = await page.run(
        "Math.round(document.getElementById('grid').clientWidth / document.querySelector('.cell').offsetWidth)"
    )
    cell = await page.run("document.querySelector('.cell').offsetHeight")
    mouse = {"button": "left", "buttons": 1, "clickCount": 1}
    await page.call("Input.dispatchMouseEvent", type="mousePressed", x=left + 5, y=top + 5, **mouse)
    await page.run(f"document.getElementById('grid').scrollTop = {SELECTED / columns * cell - height / 2}")
    at = {"x": left + width - 9, "y": top + height / 2}
    await page.call("Input.dispatchMouseEvent", type="mouseMoved", buttons=1, **at)
    await page.call("Input.dispatchMouseEvent", type="mouseReleased", **mouse, **at)
    while (took := await page.run("window.tookFor")) is None:
        await asyncio.sleep(0.05)
    return await _selected(page), float(took)


def _memory_mib(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


if __name__ == "__main__":
    print(app_speed(Path(sys.argv[1])))
