"""What systems make of a model's answers: `python -m tests.bench.models [CLASSES...]`, by default 10, 100 and 1,000.

A scripted model (tests/generators/talking_model.py), which holds 4,096 tokens, stands behind OpenAI's interface on
loopback, for all roles but the painter, and ANTS, MM-OOD, EOE and SynOOD make a bank with it by their defaults. The ID
labels are common words, the images are drawn, some of each class and as many that are of none; the encoder is `mini`.
Labels: those that the bank gained of those that were asked for. Refused: requests that the model could not hold. Tokens
are what the model counted, seconds those of the whole command, in which the model takes no time to think.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curator.banks.nouns import common_nouns
from curator.workspace import Workspace
from tests.bench.__main__ import machine
from tests.generators.talking_model import TalkingModel, talking

SIZES = (10, 100, 1000)
LAKE, REFERENCE = 600, 100  # images: of no class; of the classes, at least one of each
NAMES = 5  # that ANTS asks for a class
SYSTEMS: dict[str, dict[str, object]] = {
    "ants": {"suspects": "published", "gamma": 1.0},  # images that are drawn are doubtful, whatever they score
    "mmood near": {"branch": "near"},
    "mmood far": {"branch": "far"},
    "mmood": {},
    "eoe near": {"task": "near"},
    "eoe far": {"task": "far"},
    "synood": {},
}


@dataclass(frozen=True, slots=True)
class Talked:
    """One bank. gained, wanted: labels. tokens: of prompts and of answers. largest: of the longest prompt."""

    classes: int
    system: str
    gained: int
    wanted: int
    calls: int
    refused: int
    prompt_tokens: int
    completion_tokens: int
    largest: int
    seconds: float

    @property
    def row(self) -> str:
        share = f"{self.gained:,} of {self.wanted:,}" if self.wanted else f"{self.gained:,}"
        tokens = f"{self.prompt_tokens:,} + {self.completion_tokens:,}"
        return (
            f"| {self.classes:,} | `{self.system}` | {share} | {self.calls:,} | {self.refused} | {tokens} "
            f"| {self.largest:,} | {self.seconds:.0f} |"
        )


HEAD = (
    "| ID classes | bank | labels gained | calls | refused | tokens: prompts + answers | longest prompt | seconds |\n"
    "|---|---|---|---|---|---|---|---|"
)


def talk(folder: Path, sizes: Sequence[int], systems: Sequence[str] = tuple(SYSTEMS)) -> Iterator[Talked]:
    """Every system with so many classes each."""
    words = list(common_nouns())
    for size in sizes:
        labels = words[:: len(words) // size][:size]
        others = [word for word in words if word not in set(labels)]
        scanned = drawn_workspace(folder / str(size), labels)
        for system in systems:
            workspace = shutil.copytree(scanned, scanned.with_name(system))  # each is to pay for all of its calls
            model = TalkingModel(others, labels)
            with talking(model) as url:
                yield talked(Workspace.open(workspace, overrides=service(model, url)), model, system)


def service(model: TalkingModel, url: str) -> dict[str, object]:
    roles = {f"generators.{role}": "endpoint:scripted" for role in ("describer", "reasoner")}
    return {**roles, "generators.base_url": url, "generators.context_tokens": model.context}


def talked(workspace: Workspace, model: TalkingModel, system: str) -> Talked:
    started = time.perf_counter()
    name = system.partition(" ")[0]
    summary = workspace.learn_bank(name, system.replace(" ", "-"), settings=SYSTEMS[system], force=True)
    seconds = time.perf_counter() - started
    gained, wanted = labels_of(name, summary.account)
    tokens = (model.prompt_tokens, model.completion_tokens, model.largest)
    forms = ", ".join(f"{what} {count}" for what, count in sorted(model.seen.items()))
    longest = f"the longest prompt is {model.largest_said!r}"
    print(f"{len(model.id_labels)} {system}: {forms}; {longest}", file=sys.stderr, flush=True)
    return Talked(len(model.id_labels), system, gained, wanted, summary.sent, model.refused, *tokens, seconds)


def labels_of(system: str, account: Mapping[str, Any]) -> tuple[int, int]:
    """How many labels a bank gained, and how many were asked for: of ANTS a sentence an image and five names a class,
    of SynOOD one for each painted image, many of which share theirs."""
    if system == "ants":
        return account["ens"] + account["vsnl"], account["described"]["asked"] + NAMES * account["asked"]["asked"]
    if system == "synood":
        return account["labels_used"], account["selected"]
    return account["labels_effective"], account["labels_nominal"]


# The workspace


def drawn_workspace(root: Path, labels: Sequence[str]) -> Path:
    """With the ID labels, a reference of drawn images, and a lake of others."""
    drawn = np.random.default_rng(0)
    each = -(-REFERENCE // len(labels))
    for label in labels:
        for number in range(each):
            draw(root / "known" / label.replace(" ", "_") / f"{number}.png", drawn)
    for number in range(LAKE):
        draw(root / "lake" / f"{number:04d}.png", drawn)
    workspace = Workspace.create(root / "workspace", labels=labels)
    workspace.scan(root / "lake")
    workspace.calibrate(root / "known")
    return workspace.layout.root


def draw(path: Path, drawn: np.random.Generator) -> None:
    patches = drawn.integers(0, 255, (6, 6, 3)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(patches).resize((64, 64), Image.Resampling.BICUBIC).save(path)


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:] if text.isdecimal()] or SIZES
    systems = [text for text in sys.argv[1:] if not text.isdecimal()] or list(SYSTEMS)
    print(f"Measured {date.today()} on {machine()}.\n\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory(prefix="curator-models-") as folder:
        for found in talk(Path(folder), sizes, systems):
            print(found.row, flush=True)


if __name__ == "__main__":
    main()
