"""`python -m tests.docs.running [GUIDE …]`: every command of the guides is run as it stands, in the order of its guide.

A small lake and the encoder `fake` stand in for the reader's. What wants a model, a service or a cluster is named in
ELSEWHERE with the reason, and is only parsed. Nothing here needs more than what a user installs, so that it runs where
the wheel is installed alone (`make wheel-test`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import click
from click.testing import CliRunner
from PIL import Image

from curator.cli import cli
from curator.workspace import Workspace

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"(?:^|[\s`/])curator (?=[-a-z])(.+)")

# Parts of commands that are not run here, and why.
ELSEWHERE = {
    "endpoint:": "a service",
    "transformers:": "weights",
    "diffusers:": "weights",
    "open_clip:": "weights",
    "s3://": "a bucket: tests/lake/test_lake_s3.py",
    "--engine ray": "a cluster: tests/engines",
    "app ": "ends with Ctrl-C: tests/app",
    "review serve": "ends with Ctrl-C: tests/app",
    "reproduce ": "data sets of papers: tests/workspace/test_workspace_reproduce.py",
    "--protocol": "data sets of papers: tests/workspace/test_workspace_reproduce.py",
    "recover --anew": "a ledger and a snapshot that are lost: tests/faults/test_faults_recovery.py",
}
# What is to be filled in is no command that runs.
FORM = re.compile(r"…|\b(NAME|ADDRESS|DESTINATION|FILE)\b")
# Mining all of WordNet takes the fake encoder half a minute.
SMALL = 'include = ["noun.shape", "noun.motive"]'
SMALL_BANK = """\
name = "{name}"
[id]
labels = "labels.txt"
[negatives.wordnet]
{include}
[mining]
method = "{method}"
"""
# Under an encoder of colours nothing that is learnt is better than its parent, and the guard would say so.
JUDGE = "curator.workspace.learn.run.refuse_if_worse"
# The exit codes that a command may have, by a part of it: what its condition says of a lake of colours says nothing.
CODES = {"--fail-on": (0, 3, 4), "--max-reject-rate": (0, 3), "calibrate check": (0, 4)}


def commands_of(text: str) -> list[str]:
    """What stands after `curator` in code: in back-quotes, and in lines of blocks (with continuations, of cron, of
    units)."""
    code = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    for _, block in BLOCK.findall(text):
        code += [line.partition(" #")[0] for line in block.replace("\\\n", " ").splitlines() if line[:1] != "#"]
    return [match[1] for line in code if "description" not in line.lower() and (match := CALL.search(line))]


def runnable(guide: str) -> list[list[str]]:
    """The commands of a guide as words: those of blocks in their order, then those inside sentences that say more than
    a command's name. In the table of what to run a name is a command, too."""
    names_too = "| you want | run |" in guide
    in_order = [shlex.split(line) for line in commands_of("\n".join(match[0] for match in BLOCK.finditer(guide)))]
    inside: list[list[str]] = []
    for words in map(shlex.split, commands_of(guide)):
        if words not in [*in_order, *inside] and (names_too or not is_name(words)):
            inside.append(words)
    found = [words for words in in_order + inside if not FORM.search(shlex.join(words))]
    return [words for words in found if not any(part in f"{' '.join(words)} " for part in ELSEWHERE)]


def is_name(words: list[str]) -> bool:
    """Whether they only name a command, as `bank audit` does, or a workspace."""
    command: click.Command | None = cli
    if words[0] == "-w":
        words = words[2:]
    for word in words:
        command = command.commands.get(word) if isinstance(command, click.Group) else None
    return command is not None


def paint(path: Path, colour: str, number: int) -> None:
    """A picture of one colour with a mark that makes it a content of its own."""
    image = Image.new("RGB", (40, 30), colour)
    image.putpixel((number % 40, number // 40), (1, 2, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def make_data(folder: Path) -> None:
    """What the guides call /data: a lake, ID images in two folders, images that do not belong."""
    for number in range(88):
        colour = ("red", "green", "blue", "yellow")[number % 4]
        paint(folder / "incoming" / f"{colour}-{number}.png", colour, number)
    paint(folder / "incoming" / "cat-0042.jpg", "blue", 42)
    (folder / "incoming" / "cut.png").write_bytes((folder / "incoming" / "red-0.png").read_bytes()[:60])
    for number in range(48):
        colour = ("red", "green")[number % 2]
        paint(folder / "known-id" / colour / f"{number}.png", colour, 100 + number)
        paint(folder / "more-known-id" / colour / f"{number}.png", colour, 200 + number)
        paint(folder / "new" / f"{number}.png", ("blue", "yellow")[number % 2], 300 + number)
    for name in ("a", "b"):
        paint(folder / name / "one.jpg", "purple", ord(name))


def small(workspace: Workspace, name: str, method: str = "neglabel") -> None:
    spec = SMALL_BANK.format(name=name, include=SMALL, method=method)
    workspace.layout.bank_spec(name).write_text(spec, encoding="utf-8")


def make_workspace(folder: Path, data: Path) -> Workspace:
    """One that has scanned the lake once, with a bank `site` beside the first and a reference."""
    made = Workspace.create(folder, labels=["red", "green"], encoder="fake")
    for name in ("base", "site"):
        small(made, name)
    small(made, "csp-paper", "csp")
    (folder / "words.txt").write_text("graffiti\nscreenshot\n", encoding="utf-8")
    made.scan(data / "incoming")
    made.calibrate(data / "known-id", keep=0.9)
    return made


class Reader:
    """Somebody who goes through a guide in `folder`: writes the files that it shows, and types what it says."""

    def __init__(self, guide: str, folder: Path, data: Path, made: Path) -> None:
        self.folder = folder
        self.data = data
        self.root = Path(shutil.copytree(made, folder / "my-lake", symlinks=True))
        workspace = Workspace.open(self.root)
        ran = workspace.sql("select night, run_id from report.night").to_pylist()[0]
        self.places = {
            "/data/": f"{data}/",
            "/srv/": f"{folder}/",
            "/backup/": f"{folder}/backup/",
            "/var/lib/node_exporter/textfile/": f"{folder}/",
            "2026-01-31": str(ran["night"]),
            "20260131T020000": str(ran["run_id"])[:15],
        }
        for name, text in specs(guide).items():
            workspace.layout.bank_spec(name).write_text(text, encoding="utf-8")
        (self.root / "question.sql").write_text("select count(*) as images from report.images\n", encoding="utf-8")
        (self.root / "queries").mkdir(exist_ok=True)
        (self.root / "queries" / "mine.sql").write_text("-- name: my_question\nselect 1 as one\n", encoding="utf-8")

    def prepare(self, words: list[str]) -> None:
        """What is done between the commands: images arrive, and somebody decides."""
        if words[:2] == ["scan", "/data/incoming"]:
            number = len(list((self.data / "incoming").iterdir()))
            paint(self.data / "incoming" / f"new-{number}.png", "blue", 400 + number)
        if words[:2] == ["review", "import"]:
            path = self.root / words[2]
            path.write_text("".join(map(decided, path.read_text(encoding="utf-8").splitlines(keepends=True))))

    def type(self, words: list[str]) -> str:
        """What a command prints. Raises AssertionError where its exit code is none that it may have."""
        for there, here in self.places.items():
            words = [word.replace(there, here) for word in words]
        words = list(itertools.takewhile(lambda word: not re.match(r"\d?>", word), words))
        first_of_all = words[0] == "init"
        if first_of_all:
            self.root = self._bare()
        with contextlib.chdir(self.root), patch.dict(os.environ, CURATOR_ENCODER_ADDRESS="fake"), patch(JUDGE):
            result = CliRunner().invoke(cli, words, catch_exceptions=True)
        line = shlex.join(words)
        allowed = next((codes for part, codes in CODES.items() if part in " ".join(words)), (0,))
        broken = result.exception if not isinstance(result.exception, SystemExit) else None
        assert broken is None, f"curator {line}: {broken!r}"
        assert result.exit_code in allowed, f"curator {line} exits with {result.exit_code}:\n{result.output}"
        if first_of_all:
            self.root = self.root / "my-lake"
            small(Workspace.open(self.root), "base")
        return result.output

    def _bare(self) -> Path:
        """A folder with nothing but a file of labels."""
        bare = Path(tempfile.mkdtemp(dir=self.folder, prefix="bare-"))
        (bare / "labels.txt").write_text("red\ngreen\n", encoding="utf-8")
        return bare


def decided(row: str) -> str:
    """A line of the exported file with its decision: yellow belongs, other groups are as they are called."""
    what = "id" if re.search("red|green|yellow", row.split(",")[1]) else "ood"
    return row if row.startswith("why") else row.replace(",,,,,", f",{what},,,,")


def specs(guide: str) -> dict[str, str]:
    """The specs of a guide by the name in them, so written that they build at once."""
    found = {}
    for kind, text in BLOCK.findall(guide):
        if kind == "toml" and (name := re.search(r'^name = "(\w+)"', text, re.MULTILINE)) is not None:
            few = re.sub(r"^exclude = .*", SMALL, text.replace("tram =", "red ="), flags=re.MULTILINE)
            found[name[1]] = few if "parent" in text or SMALL in few else f"{text}[negatives.wordnet]\n{SMALL}\n"
    return found


def go_through(name: str, folder: Path, data: Path, made: Path) -> tuple[list[str], Path]:
    """Type all commands of a guide. Returns them, and the workspace as its reader left it."""
    guide = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    reader = Reader(guide, folder, data, made)
    commands = runnable(guide)
    for words in commands:
        reader.prepare(words)
        reader.type(words)
    return list(map(shlex.join, commands)), reader.root


@contextlib.contextmanager
def site() -> Iterator[tuple[Path, Path, Path]]:
    """A folder, the data in it, and a workspace to copy."""
    with tempfile.TemporaryDirectory(prefix="guides-") as name:
        folder = Path(name)
        make_data(folder / "data")
        made = make_workspace(folder / "made", folder / "data")
        yield folder, folder / "data", made.layout.root


def main() -> int:
    """0 where all commands of the guides that are named, or of all, end well; 1 with what some say where not."""
    names = sys.argv[1:] or sorted(path.stem for path in DOCS.glob("*.md"))
    count = 0
    failed = []
    with site() as (folder, data, made):
        for name in names:
            (folder / name).mkdir()
            try:
                count += len(go_through(name, folder / name, data, made)[0])
            except AssertionError as fault:
                failed.append(name)
                print(f"{name}: {fault}")
    print(f"{count} commands of the guides run; failed: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
