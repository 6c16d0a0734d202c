"""A morning after a night: 200 flags of real images decided at the page of the app, in a browser, by the keyboard.

`python -m tests.bench.morning DATA` prints what docs/app.md says of it. DATA: a folder with what KNOWN and LAKE
name. Who decides knows what every image is (by its folder), and has the time that the keystroke-level model gives to
keys and to making up one's mind (Card, Moran and Newell, Communications of the ACM 23(7), 1980), and LOOK for each
image; the seconds of the machine are measured.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curator.workspace import Workspace
from tests.bench.app import running_app
from tests.report.browser import CHROMIUM, browse, browsing

FLAGS = 200  # to be decided
LOOK = 1.0  # seconds for each image of a pile: ours, no published figure
KEY = 0.28  # seconds: K, an average typist who is no secretary
MIND = 1.35  # seconds before each decision: M

KNOWN = "objects-folder"  # a folder a class: every third image is of the reference, the others come in the night
LAKE = {"scenes.parquet": 100, "clothing.parquet": 60, "brain-mri": 30, "terminal-near-duplicates": 10}

# Whether every selected image in sight has its picture.
SHOWN = """[...document.querySelectorAll('.cell[aria-selected=true]:not([hidden]) img')]
  .every(picture => picture.src && picture.naturalWidth > 0)"""
# Of the selected images in sight, and of the active one: place in the order and id.
PILE = """(() => {
  const told = cell => [cell.ariaPosInSet - 1, cell.querySelector('img').src.split('/').pop(),
    cell.classList.contains('active')];
  const width = document.querySelector('.cell').offsetWidth;
  return {columns: Math.round(document.getElementById('grid').clientWidth / width),
    cells: [...document.querySelectorAll('.cell[aria-selected=true]:not([hidden])')].map(told)};
})()"""


@dataclass(slots=True)
class Morning:
    """What was done. truth: what each image is, by its id. machine: seconds from keys until the page had answered."""

    truth: dict[str, str]
    decided: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    keys: int = 0
    decisions: int = 0
    machine: float = 0.0
    open: float = 0.0

    @property
    def seconds(self) -> float:
        return len(self.seen) * LOOK + self.keys * KEY + self.decisions * MIND + self.machine + self.open


def make_workspace(folder: Path, data: Path) -> Workspace:
    """A workspace with a reference, calibrated, and one night of 800 ID images and 200 that do not belong."""
    lake, reference, labels = folder / "lake", folder / "reference", []
    for known in sorted((data / KNOWN).iterdir()):
        labels.append(known.name.replace("_", " "))
        for number, path in enumerate(sorted(known.iterdir())):
            place = (lake / KNOWN if number % 3 else reference) / known.name / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    for name, count in LAKE.items():
        _some_of(data / name, count, lake / Path(name).stem)
    workspace = Workspace.create(folder / "workspace", labels=labels)
    workspace.scan(lake)
    workspace.calibrate(reference, keep=0.95)
    return workspace


def _some_of(source: Path, count: int, to: Path) -> None:
    """So many images, spread evenly over a folder, or over a table with a column of images."""
    to.mkdir(parents=True)
    if source.is_dir():
        found = [(path.name, path.read_bytes()) for path in sorted(source.iterdir())]
    else:
        rows = pq.read_table(source, columns=["image"])["image"].to_pylist()
        found = [(f"{number:04}.jpg", row["bytes"]) for number, row in enumerate(rows)]
    for place in range(count):
        name, data = found[place * len(found) // count]
        (to / name).write_bytes(data)


def spend_morning(workspace: Workspace, folder: Path, *, flags: int = FLAGS) -> Morning:
    """Open the app, decide so many flags pile by pile, and close it. Raises SystemExit without a browser."""
    if CHROMIUM is None:
        raise SystemExit("no chromium on this machine")
    rows = workspace.sql("select image_id, uri from report.scores").to_pylist()
    truth = {row["image_id"]: "id" if f"/{KNOWN}/" in row["uri"] else "ood" for row in rows}
    morning = Morning(truth)
    began = time.monotonic()
    with running_app(workspace.layout.root) as (address, _):
        browse(_decide(address, folder, morning, flags, began))
    return morning


async def _decide(address: str, folder: Path, morning: Morning, flags: int, began: float) -> None:
    async with browsing() as page:
        await page.look(width=1440, height=900)
        await page.open(address)
        await _until(page, "document.documentElement.dataset.ready === 'yes'")
        morning.open = time.monotonic() - began
        # The clusters of a night are made once, in a process beside the page.
        await _until(page, "document.getElementById('filters').elements.cluster.length > 1")
        await _press(page, morning, "r")
        await _until(page, "!document.getElementById('pile').hidden")
        while len(morning.decided) < flags:
            await _until(page, SHOWN)
            pile = await page.run(PILE)
            if not pile["cells"]:
                break
            await _decide_pile(page, morning, pile)
        await _until(page, f"document.getElementById('saved').textContent === 'All {morning.decisions} saved'")
        assert page.said == [], page.said


async def _decide_pile(page: Any, morning: Morning, pile: dict[str, Any]) -> None:
    """Look at the images of a pile that were not seen before, let go of what is fewer, and decide the others."""
    cells = pile["cells"]
    by_truth: dict[str, list[int]] = {"id": [], "ood": []}
    for place, image_id, _ in cells:
        by_truth[morning.truth[image_id]].append(place)
        morning.seen.add(image_id)
    said = max(by_truth, key=lambda name: len(by_truth[name]))
    others = by_truth["ood" if said == "id" else "id"]
    at = next(place for place, _, active in cells if active)
    for place in others:
        for key in path_of(at, place, pile["columns"]):
            await _press(page, morning, key)
        await _press(page, morning, " ")
        at = place
    await _press(page, morning, said[0])
    morning.decisions += 1
    morning.decided |= {image_id: said for place, image_id, _ in cells if place not in others}


def path_of(start: int, end: int, columns: int) -> list[str]:
    """The arrows from a place of the grid to another, as few as go."""
    rows, left = divmod(abs(end - start), columns)
    forward = end > start
    if left > columns - left:
        rows, left, back = rows + 1, columns - left, True
    else:
        back = False
    across = "ArrowRight" if forward != back else "ArrowLeft"
    return ["ArrowDown" if forward else "ArrowUp"] * rows + [across] * left


async def _press(page: Any, morning: Morning, key: str) -> None:
    began = time.monotonic()
    await page.press(key)
    morning.machine += time.monotonic() - began
    morning.keys += 1


async def _until(page: Any, condition: str) -> None:
    while not await page.run(condition):
        await asyncio.sleep(0.02)


def lost(workspace: Workspace, morning: Morning) -> int:
    """How many of the images that were decided are not recorded so."""
    rows = workspace.sql("select image_id, decision from report.reviewed_images").to_pylist()
    recorded = {row["image_id"]: row["decision"] for row in rows}
    return sum(recorded.get(image_id) != said for image_id, said in morning.decided.items())


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="curator-morning-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        workspace = make_workspace(folder, Path(sys.argv[1]))
        flagged = workspace.sql("select count(*) as n from report.flagged").to_pylist()[0]["n"]
        morning = spend_morning(workspace, folder)
        wrong = sum(said == "id" for said in morning.decided.values())
        print(f"{flagged} flags; {len(morning.decided)} decided, {wrong} of them ID; lost: {lost(workspace, morning)}")
        print(f"{morning.decisions} decisions, {morning.keys} keys, {len(morning.seen)} looks at images")
        print(f"page {morning.open:.1f} s, answers to keys {morning.machine:.1f} s together")
        print(
            f"{morning.seconds:.0f} s: {LOOK} s a look, {KEY} s a key and {MIND} s a decision "
            "(keystroke-level model), and the seconds of the machine"
        )


if __name__ == "__main__":
    main()
