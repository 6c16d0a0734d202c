"""What `curator doctor` says of decisions that are on the disk and not in the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from curator.errors import WorkspaceError
from curator.review.journal import ASIDE, PATTERN, kept_aside, read_journal
from curator.workspace.context import Context
from curator.workspace.keep.findings import Finding

READABLE = "decisions wait in it: make it a file that you may read and write, or move it away"


def review_findings(context: Context) -> Iterator[Finding]:
    """Journals that cannot be recorded, lines that were kept aside, and how many decisions wait."""
    folder = context.layout.reviews
    if folder.exists() and not folder.is_dir():
        yield Finding("reviews", "failed", f"{folder} is no folder", "move it away: review pages keep decisions there")
        return
    waiting = 0
    for path in sorted((*folder.glob(PATTERN), *folder.glob(ASIDE))):
        is_aside = path.match(ASIDE)
        try:
            entries = read_journal(path)
        except WorkspaceError as fault:
            yield Finding("reviews", "failed", fault.message, READABLE)
            continue
        faults = [f"line {entry.number}: {entry.fault}" for entry in entries if entry.fault is not None]
        if is_aside:
            reason = faults[0] if faults else "nothing is wrong with them now"
            message = f"{path}: {len(entries)} decisions that could not be recorded; {reason}"
            yield Finding(
                "reviews", "warning", message, f"mend it, run `curator review import {path}`, then remove the file"
            )
            continue
        waiting += len(entries) - len(faults)
        if faults:
            message = f"{path}: {len(faults)} decisions that cannot be recorded; {faults[0]}"
            remedy = f"mend it, or let the next command about reviews keep it aside in {kept_aside(path)}"
            yield Finding("reviews", "warning", message, remedy)
    if waiting:
        yield Finding("reviews", "ok", f"{waiting} decisions wait: the next command about reviews records them")
