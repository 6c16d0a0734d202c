"""What to do next in a workspace, by what was done in it: the commands that tell or change most."""

from __future__ import annotations

from dataclasses import dataclass

from curator.workspace.judge.in_force import InForce
from curator.workspace.layout import Layout
from curator.workspace.published import reading_or_empty

SHOWN = 3
REVIEWS = 10  # from which a bank can be proposed that learns from them


@dataclass(frozen=True, slots=True)
class NextStep:
    """What comes after `curator` on the command line, and what it is for."""

    command: str
    gain: str


def next_steps(layout: Layout) -> list[NextStep]:
    """The three most useful ones, the most useful first. Raises WorkspaceError for a snapshot that cannot be read."""
    with reading_or_empty(layout) as database:
        ruling, state = InForce.of(database), database.row("summarise_state") or {}
    steps = {
        NextStep("scan SOURCE", "embed, score and flag a folder, tar, Parquet file or URL"): ruling is None,
        NextStep("plan SOURCE", "what that scan would cost"): ruling is None,
        NextStep("config", "the options in force, each with what it is for"): ruling is None,
        NextStep("calibrate --reference SRC", "a threshold from images that you know to be ID"): bool(
            ruling and not ruling.calibrated
        ),
        NextStep("query flagged", "what does not belong, the least ID first"): bool(state["flagged"]),
        NextStep("report -o night.html", "the last night as a page"): state["images"] > 0,
        NextStep("bank propose", "a bank that learns from what people decided"): state["reviews"] >= REVIEWS,
        NextStep("app", "all images in a browser, to decide what is ID and what is OOD"): bool(ruling),
        NextStep("calibrate check", "whether flags keep their promise on held-out ID images"): bool(ruling),
    }
    return [step for step, wanted in steps.items() if wanted][:SHOWN]
