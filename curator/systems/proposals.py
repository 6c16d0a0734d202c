"""What a system learnt: negatives with their evidence, tensors, and figures. The workspace turns it into a bank."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from curator.methods.maths import Scores, logit

LARGEST = 1.0 - 2.0**-53  # what rounds to 1 has no log-odds


@dataclass(frozen=True, slots=True)
class Proposal:
    """A negative that a system proposes.

    text: as it becomes the label. prompt: what is encoded. source: such as `ants:ens`, which methods choose by.
    call_id: the generator call that gave it; None where no call did. concerns: the ID label it was asked about.
    """

    text: str
    prompt: str
    source: str
    call_id: str | None = None
    concerns: str | None = None


@dataclass(frozen=True)
class Streamed:
    """The scores that images got in passing, (n,), in the order in which they passed.

    largest: what the score may be at most, None for one that is ranked by as it stands. others: the same images in
    other orders, ids and scores of each.
    """

    image_ids: tuple[str, ...]
    scores: Scores
    largest: float | None
    batch: int
    others: tuple[tuple[tuple[str, ...], Scores], ...] = ()

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that name the order and the batches."""
        return hashlib.sha256(f"{self.batch}\n{chr(10).join(self.image_ids)}".encode()).hexdigest()[:12]

    @property
    def log_odds(self) -> Scores:
        """The logit of score / largest. Unlike the frozen forms' it saturates, at about 37: only the score is known."""
        if self.largest is None:
            return self.scores
        return logit(np.clip(self.scores / self.largest, 2.0**-53, LARGEST))

    def movement(self, cut: float) -> list[dict[str, float]]:
        """How far each other order moved the scores: mean and largest change, and the share on the other side of a
        cut."""
        found = []
        for ids, scores in self.others:
            place = {image_id: number for number, image_id in enumerate(ids)}
            other = scores[[place[image_id] for image_id in self.image_ids]]
            change = np.abs(other - self.scores)
            found.append(
                {
                    "mean_change": float(change.mean()),
                    "largest_change": float(change.max()),
                    "changed_side": float(((other < cut) != (self.scores < cut)).mean()),
                }
            )
        return found


@dataclass(frozen=True, slots=True)
class Learned:
    """negatives: in order. parameters: tensors of the bank. facts: what the bank's method reads, `learned` of its spec.

    inherited: places among the parent bank's labels that are taken over before the negatives, in this order; their
    sources get `inherited_source` in front. account: counts and choices at each step, JSON values, for the lineage.
    thinned: a line where cleaning left little of what was said; emptied: too little for a bank to judge by.
    pictures: names of artefacts with what they show. used_images: ids of ID images that took part, which are not held
    out any more. streamed: scores that the lake's images got in passing, of an online run.
    """

    negatives: tuple[Proposal, ...]
    parameters: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    account: Mapping[str, object] = field(default_factory=dict)
    pictures: tuple[Mapping[str, object], ...] = ()
    used_images: frozenset[str] = frozenset()
    streamed: Streamed | None = None
    inherited: tuple[int, ...] = ()
    inherited_source: str = ""
    thinned: str = ""
    emptied: bool = False
