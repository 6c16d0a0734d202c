"""`python -m tests.docs.printed [PROGRAM]`: the commands of the README, run as they stand, print what it says.

They run on the sample lake of `curator demo`, each in a terminal of its own of 100 columns. --write puts what they
print now into the README, --pictures makes the pictures of that night anew. PROGRAM: the `curator` of an
environment, by default of the one that runs this. What was made stays where --folder names a new one.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import difflib
import errno
import fcntl
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

from curator.demo import ID_LABELS, make_sample_lake

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PICTURES = ROOT / "docs" / "pictures"
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
COLUMNS, LINES_SHOWN = 100, 12
# The pictures of the app: what is pressed or run in the page, and what holds once it is shown.
VIEWS: dict[str, tuple[str, ...]] = {
    "app": (),
    "app-piles": ("CLUSTERS", "press r", "!document.getElementById('pile').hidden"),
    "app-map": ("CLUSTERS", "press p", "press f", "press m"),
    "app-threshold": ("press p", "press f", "press t"),
    "app-image": ("press Enter", "document.querySelectorAll('#single-facts img').length > 8", "PICTURES"),
    "app-search": (
        "press p",
        "(document.getElementById('words').value = 'a cat', document.getElementById('search').requestSubmit(), true)",
        "!document.getElementById('found').hidden",
    ),
    "app-banks": ("press p", "press f", "press v", "document.querySelectorAll('#banks tr').length > 1"),
    "app-nights": ("press p", "press f", "press h", "!document.getElementById('nights').hidden"),
}
CLUSTERS = "document.getElementById('filters').elements.cluster.length > 1"
APP_IS_READY = (
    "document.documentElement.dataset.ready === 'yes'",
    "document.querySelectorAll('.cell img[src]').length >= 12",
    "[...document.querySelectorAll('.cell img[src]')].every(shown => shown.naturalWidth > 0)",
)


def in_terminal(words: list[str], folder: Path) -> str:
    """What a command prints on a terminal of COLUMNS columns. Raises SystemExit with it where the command fails."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": str(COLUMNS)}
    process = subprocess.Popen(words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    found = b"".join(chunks(ours))
    os.close(ours)
    lines = [line.rstrip() for line in found.decode().replace("\r\n", "\n").split("\n")]
    text = "\n".join(lines).strip("\n")
    if process.wait() != 0:
        raise SystemExit(f"{shlex.join(words)} exits with {process.returncode}:\n{text}")
    return text


def chunks(terminal: int) -> Iterator[bytes]:
    """What comes through a terminal, until the last process has left it."""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError as fault:
            if fault.errno != errno.EIO:
                raise
            return
        if not data:
            return
        yield data


def printed(text: str, program: Path, folder: Path) -> str:
    """The lines of a block with `$` in front, run in their order, each with what it prints; long answers are cut."""
    shown: list[str] = []
    for line in re.findall(r"^\$ .*", text, re.MULTILINE):
        shown.append(line)
        words = shlex.split(line[2:])
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        assert words[0] == "curator", line
        shown += shortened(in_terminal([str(program), *words[1:]], folder).split("\n"))
    return "\n".join(shown) + "\n"


def shortened(lines: list[str]) -> list[str]:
    """An answer without its empty lines; of one longer than LINES_SHOWN, its first paragraph or so, and an ellipsis."""
    if sum(map(bool, lines)) <= LINES_SHOWN:
        return [line for line in lines if line]
    ends = [number for number, line in enumerate(lines[: LINES_SHOWN + 1]) if not line and number > LINES_SHOWN // 2]
    return [*(line for line in lines[: min(ends, default=LINES_SHOWN)] if line), "…"]


@contextlib.contextmanager
def site(kept: Path | None) -> Iterator[Path]:
    """A folder with a sample lake, its labels and its reference; of a short name, since tables are as wide as names."""
    with contextlib.ExitStack() as stack:
        folder = kept or Path(tempfile.gettempdir()) / "demo"
        if kept is None and folder.exists():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
        elif kept is None:
            stack.callback(shutil.rmtree, folder)
        make_sample_lake(folder)
        yield folder


def facts(text: str) -> list[str]:
    """The lines of a block without what is another one on another machine: numbers, names of folders, spaces, and which
    label is the nearest to an image that is near to none."""
    told = re.sub(rf"(?<=  )({'|'.join(ID_LABELS)})(?=  )", "@", text)
    told = re.sub(r"\d{8}T\d{6}-\w+|(?<!\S)[/…]\S*|[0-9a-f]{12,}|-?\d[\d.,:e-]*", "#", told)
    return [re.sub(r"[\s─━]+", " ", line).strip() for line in told.splitlines()]


def take_pictures(folder: Path) -> None:
    """The report of a night, and the app in its views, as JPEGs."""
    from curator.workspace import Workspace
    from tests.app.serving import serving
    from tests.report.browser import browse, browsing

    async def shoot(address: str, name: str, *steps: str, height: int = 1000) -> None:
        async with browsing() as page:
            await page.look(width=1000, height=height)
            await page.open(address)
            for step in steps:
                if step.startswith("press "):
                    await page.press(step.removeprefix("press "))
                    continue
                while not await page.run({"CLUSTERS": CLUSTERS, "PICTURES": APP_IS_READY[-1]}.get(step, step)):
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)  # what comes a moment later: the picture at the side, the map
            await page.settle()
            found = await page.call("Page.captureScreenshot", format="jpeg", quality=66)
            (PICTURES / f"{name}.jpg").write_bytes(base64.b64decode(found["data"]))

    PICTURES.mkdir(exist_ok=True)
    browse(shoot((folder / "my-lake" / "night.html").as_uri(), "night"))
    with serving(Workspace.open(folder / "my-lake")) as app:
        app.desk.look_around()
        for name, steps in VIEWS.items():
            browse(shoot(app.address, name, *APP_IS_READY, *steps, height=1000 if name == "app" else 720))


def main() -> int:
    """0 where the README says what is printed, or is made to; 1 with the difference where it does not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", nargs="?", type=Path, default=Path(sys.executable).with_name("curator"))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    readme = README.read_text(encoding="utf-8")
    (block,) = BLOCK.findall(readme)
    with site(given.folder) as folder:
        now = printed(block, given.program.absolute(), folder.absolute())
        if given.pictures:
            take_pictures(folder.absolute())
    differences = list(difflib.unified_diff(facts(block), facts(now), "README.md", "printed", lineterm="", n=1))
    if differences and given.write:
        README.write_text(readme.replace(block, now), encoding="utf-8")
        return 0
    print("\n".join(differences) or f"{README.name}: {block.count('$ curator')} commands print what it says")
    return bool(differences)


if __name__ == "__main__":
    sys.exit(main())
