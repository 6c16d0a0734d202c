"""Says of labels that are not proposed what they cost, and what would change that: for a proposal that is empty."""

from __future__ import annotations

from collections.abc import Sequence

from curator.workspace.learn.guard import SideFigures
from curator.workspace.review.evidence import Judged, LabelEdit


def cost_of(before: SideFigures, after: SideFigures) -> str:
    """What a change does to the flags of the images that it was tried on."""
    return (
        f"{before.id_flagged} -> {after.id_flagged} of {after.id_count} ID images flagged, "
        f"{before.ood_flagged} -> {after.ood_flagged} of {after.ood_count} OOD images"
    )


def needs_of(item: LabelEdit, before: SideFigures, after: SideFigures) -> str:
    """What reviewers would have to decide for a label that was tried to be proposed."""
    if item.against > (spoken := item.witnesses + item.noted):
        return f"{item.against - spoken} more of the groups that it flags decided ID, or as many notes that it is wrong"
    if after.id_flagged > before.id_flagged:
        return "it flags ID images: decide more of what it should flag OOD, so that a label farther from these is found"
    if after.ood_flagged < before.ood_flagged:
        return (
            "another negative for the OOD images that it flags: decide more of their kind OOD, or list a word for them"
        )
    if item.action == "remove":
        return "other labels flag the same images: decide more of these ID, so that they go together"
    return "decide more OOD images of this kind: it brings none of these nearer to the cut"


def agreement(judged: Sequence[Judged], cut: float) -> str:
    """What the decisions say where they speak against no label and for none."""
    kept = sum(item.is_id and item.log_odds >= cut for item in judged)
    flagged = sum(not item.is_id and item.log_odds < cut for item in judged)
    return (
        f"{kept} images decided ID are kept and {flagged} decided OOD are flagged: a label is proposed once an image "
        "decided ID is flagged, or one decided OOD is kept"
    )
