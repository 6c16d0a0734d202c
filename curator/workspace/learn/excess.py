"""What there is to learn from: how many images of the lake are OOD by calibrated p-values, and which are taken for it.

P-values are of NegLabel on the parent bank, against all reference images; what they say of the lake is
`curator.policy.prevalence`. Reviewed images are known already: those decided OOD are learnt from first, those decided
ID are no part of the sample, and none of the reference here either, since they were looked at for their scores.

The images of the lake are halved by the hashes that name them. One half is learnt from; on the other the bank is judged
(see guard.py), because a bank knows the images that it was made of. Either half gives as many images as the estimate
says are OOD in it: to learn from, those below the parent's cut that lie farthest from the reference; to judge by, those
that lie farthest from it whatever the parent says of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankRefused
from curator.policy.conformal import p_values
from curator.policy.prevalence import CLEAR, OodShare, ood_share
from curator.systems.stream import batches
from curator.systems.world import Suspects
from curator.types import Vectors
from curator.workspace.learn.stored import ROWS
from curator.workspace.learn.world import LedgerWorld

KEPT_FROM = 0.5  # p-value from which an image counts as ID: it scores as well as the better half of the reference
NEAREST = 5  # reference images that an image's distance is the mean of


@dataclass(frozen=True)
class Excess:
    """share: of the lake's sample. suspects: from the half to learn from. judging: of the other half what looks OOD;
    other_half: all of it."""

    share: OodShare
    suspects: Suspects
    judging: tuple[str, ...]
    other_half: tuple[str, ...]

    def said(self, bank: str) -> str:
        """The figures in a line."""
        share = self.share
        if not share.level:
            return f"{share.references} reference images are too few to say what of {share.images} images is OOD"
        return (
            f"{share.below} of {share.images} images of the lake score as {share.level:.1%} of ID images do or lower "
            f"(bank {bank}), where {share.expected:.1f} would without any OOD: {share.share:.1%} are OOD "
            f"({share.low:.1%} to {share.high:.1%}, by {share.references} reference images)"
        )


def find_excess(world: LedgerWorld, most: int) -> Excess:
    """Of the first `most` images of the lake by id, 0 for all."""
    decided = world.decisions
    reference = [image.image_id for image in world.reference_images]
    skipped = {*reference, *(name for name, is_id in decided.items() if is_id)}
    names = [name for name in world.sample_ids(most) if name not in skipped]
    against = np.sort(_log_odds(world, world.reference_vectors, reference))
    log_odds = _log_odds(world, world.lake_vectors, names)
    known = {name for name in names if decided.get(name) is False}
    share = ood_share(against, log_odds, known=len(known))
    rows = np.array([learnt_from(name) for name in names], dtype=bool)
    learning = [name for name in names if learnt_from(name)]
    judging = [name for name in names if not learnt_from(name) and name not in known]
    values = p_values(against, log_odds[rows])
    return Excess(
        share,
        Suspects(
            tuple(_taken_for_ood(world, share, learning, log_odds[rows], known, reference)),
            tuple(name for name, p in zip(learning, values, strict=True) if p >= KEPT_FROM and name not in known),
        ),
        tuple(_farthest(world, judging, round(share.share * len(judging)), reference)),
        tuple(judging),
    )


def refuse_without_excess(world: LedgerWorld, found: Excess, system: str) -> None:
    """Raises BankRefused where the lake does not hold enough OOD images to be sure that there are any."""
    if found.share.clear:
        return
    parent = world.parent.name
    if not found.share.level:
        raise BankRefused(
            f"{system}: {found.said(parent)}, so that nothing is there to learn from for sure",
            hint="name ID images: --reference SRC, or `curator calibrate --reference SRC`; `force` learns from what "
            "the parent doubts most, whatever that is",
        )
    raise BankRefused(
        f"{system}: {found.said(parent)}; a bank is learnt where more than {CLEAR:.0%} are for sure",
        hint="scan more of what does not belong, name more ID images by --reference, or decide images by `curator "
        "review`; `force` learns from what the parent doubts most, whatever that is",
    )


def learnt_from(image_id: str) -> bool:
    """Whether an image is of the half to learn from: the last digit of its hash is even."""
    return int(image_id[-1], 16) % 2 == 0


def _taken_for_ood(
    world: LedgerWorld,
    share: OodShare,
    names: Sequence[str],
    log_odds: NDArray[np.floating],
    known: set[str],
    reference: Sequence[str],
) -> list[str]:
    """As many images as the estimate says are there: those decided OOD, then of all below the cut, whatever they score,
    those farthest from the reference images.

    Not the lowest scores: with mini and 10 % OOD among objects `tanl` got 93.6 and 96.9 of the 31 and 23 lowest, 96.5
    and 97.3 of as many farthest ones (parent 96.1, 96.7; two draws). The score says how little an image resembles the
    labels, and the images that the labels describe badly are ID images too.
    """
    sure = [name for name in names if name in known]
    count = round(share.share * len(names)) - len(sure)
    below = [name for name, score in zip(names, log_odds, strict=True) if score < share.cut and name not in known]
    return sure + _farthest(world, below, count, reference)


def _farthest(world: LedgerWorld, names: Sequence[str], count: int, reference: Sequence[str]) -> list[str]:
    """At most `count` of the images, those with the smallest mean cosine to their nearest reference images first."""
    if count <= 0 or not names:
        return []
    from curator.vectors.faiss_index import largest_products

    k, found = min(NEAREST, len(reference)), []
    for some in batches(names, ROWS):
        vectors, near = world.lake_vectors(some), np.zeros((len(some), 0), dtype=np.float32)
        for others in batches(reference, ROWS):
            near = np.concatenate([near, largest_products(vectors, world.reference_vectors(others), k)[0]], axis=1)
            near = -np.sort(-near, axis=1)[:, :k]
        found.append(near.mean(axis=1))
    return [names[place] for place in np.argsort(np.concatenate(found), kind="stable")[:count].tolist()]


def _log_odds(
    world: LedgerWorld, vectors_of: Callable[[Sequence[str]], Vectors], names: Sequence[str]
) -> NDArray[np.float64]:
    parts = (world.base_scorer.score(vectors_of(some))[0].log_odds for some in batches(names, ROWS))
    return np.concatenate([np.zeros(0), *parts])
