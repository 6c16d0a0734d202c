"""Banks of SynOOD by the embedded painters, on images that no bank has seen: `python -m tests.bench.paintings DATA`.

The tasks are those of tests/bench/nights.py: a workspace that knows some ID images and has scanned a night of which
10 % is OOD. Each painter paints over the same ID images, and what its bank became is measured on the ID and OOD images
of the same sets that no night had, beside the parent bank. Both are scored at the temperature that suits the encoder,
which the configured method has: SynOOD's method is NegLabel's after its training.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curator.errors import BankError
from curator.workspace import Workspace
from tests.bench.nights import in_both_forms, measured, scan_night, write_task

PAINTERS = ("features", "composites")
TASKS = ("objects", "thumbnails")
OOD_SHARE = 0.1
PAINTINGS = 200  # about so many ID images are painted over, as many of each class


@dataclass(frozen=True, slots=True)
class Painted:
    """One bank. AUROC: 0-1, on images that no night had. refused: why the guard refused it, empty if it did not."""

    task: str
    saved_alike: bool
    painter: str
    paintings: int
    failed: int
    seconds: float
    labels_used: int
    parent_auroc: float
    auroc: float
    refused: str


def painted_banks(
    data: Path, folder: Path, *, tasks: Sequence[str] = TASKS, saved_alike: bool = False
) -> Iterator[Painted]:
    """Every painter on every task. data: the development data; folder: empty, to work in."""
    for task in tasks:
        root = folder / f"{task}-{saved_alike}"
        labels = write_task(data, task, root, saved_alike=saved_alike)
        workspace = Workspace.create(root / "workspace", labels=labels)
        workspace.calibrate(root / "known")
        scan_night(workspace, root, OOD_SHARE)
        parent = measured(workspace, root, "base")
        method = workspace.config.scan.method.replace("neglabel", "synood")
        for painter in PAINTERS:
            copy = shutil.copytree(workspace.layout.root, root / painter)
            night = Workspace.open(copy, overrides={"generators.painter": painter})
            settings = {"per_class": max(1, PAINTINGS // len(labels))}
            started, refused = time.perf_counter(), ""
            try:
                made = night.learn_bank("synood", "synood", settings=settings)
            except BankError as fault:
                refused = fault.message
                made = night.learn_bank("synood", "synood", settings=settings, force=True)
            seconds = time.perf_counter() - started
            calls = made.account["painted"]
            assert isinstance(calls, dict) and isinstance(made.account["labels_used"], int)
            yield Painted(
                task, saved_alike, painter, calls["answered"], calls["asked"] - calls["answered"], seconds,
                made.account["labels_used"], parent, measured(night, root, "synood", method), refused,
            )  # fmt: skip


def painting_table(found: Sequence[Painted]) -> str:
    """AUROC in percent, as Markdown; what was refused is in brackets."""
    lines = ["| ID, images | painter | paintings | labels used | parent | `synood` |", f"|{'---|' * 6}"]
    for item in found:
        name = f"{item.task}, {'saved alike' if item.saved_alike else 'as they are'}"
        own = f"{100 * item.auroc:.2f}"
        lines.append(
            f"| {name} | `{item.painter}` | {item.paintings} | {item.labels_used} | {100 * item.parent_auroc:.2f} | "
            f"{f'({own})' if item.refused else own} |"
        )
    return "\n".join(lines)


def main() -> None:
    print(painting_table(in_both_forms(painted_banks, TASKS)))


if __name__ == "__main__":
    main()
