"""Guards a bank that is made again: a version that worsens the ID images held out is refused unless it is forced.

Held out are the reference images that took no part in making the bank. The new version is judged at the policy of the
version before it, the same cuts on the same method, because that is how the next night would use it: if more of the
held-out images fall below them, more of what belongs would be flagged. The cut of an image is that of the newest
calibrated policy of the version before, of its class there where the policy has one for it, else of the default; a
method without a natural cut is held to the cut that keeps 95 % of the held-out images under the version before.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from curator.errors import BankError, UsageError
from curator.methods import BankScorer, Method, resolve_method
from curator.methods.maths import Scores
from curator.policy import calibrate, default_policy
from curator.store import Database
from curator.types import Bank, Vectors
from curator.workspace.judge.policies import scored_by
from curator.workspace.judge.ruling import Cuts
from curator.workspace.learn.world import LedgerWorld

KEEP = 0.95  # for methods without a natural cut
FEWEST = 20  # held-out images below which nothing is judged


@dataclass(frozen=True, slots=True)
class GuardFigures:
    """How many of `image_count` held-out ID images each version flags, at the same cut for the same image.

    min_log_odds: the cut of images whose class has none of its own.
    """

    bank_digest: str
    previous_digest: str
    method_id: str
    min_log_odds: float
    image_count: int
    flagged_before: int
    flagged_now: int
    forced: bool = False

    @property
    def worse(self) -> bool:
        return self.flagged_now > self.flagged_before


def guard_figures(
    world: LedgerWorld, bank: Bank, previous: Bank, method: str, *, used: Collection[str]
) -> GuardFigures | None:
    """The comparison; None when there are too few reference images that are held out."""
    held_out = [image.image_id for image in world.id_images if image.image_id not in used]
    if len(held_out) < FEWEST:
        return None
    vectors = world.reference_vectors(held_out)
    asked = world.context.method_spec(method)
    before, now = resolve_method(asked, previous), resolve_method(asked, bank)
    (scored_before,) = BankScorer(previous, [before]).score(vectors)
    common = ruling_cut(world.database, previous, before, scored_before.log_odds)
    ruling = Cuts.of(world.database, scored_by(previous, before))
    labels = scored_before.id_label.tolist()  # an image's cut is that of its nearest ID label under the version
    cuts = np.array([ruling.of_label(label) if ruling else common for label in labels], dtype=np.float64)
    return GuardFigures(
        bank_digest=bank.digest,
        previous_digest=previous.digest,
        method_id=now.method_id,
        min_log_odds=common,
        image_count=len(held_out),
        flagged_before=int((scored_before.log_odds < cuts).sum()),
        flagged_now=int((log_odds(bank, now, vectors) < cuts).sum()),
    )


def refuse_if_worse(figures: GuardFigures, name: str) -> None:
    """Raises BankError for a version that flags more held-out ID images than the one before."""
    if figures.worse:
        raise BankError(
            f"bank {name}: the new version flags {figures.flagged_now} of {figures.image_count} held-out ID images, "
            f"the version before ({figures.previous_digest[:12]}) {figures.flagged_before}: it is not kept",
            hint="look at it with `force`, which keeps it, or change its settings",
        )


def ruling_cut(database: Database, bank: Bank, method: Method, held_out: Scores) -> float:
    """The cut under which a version is used, for images whose class has none of its own."""
    if (ruling := Cuts.of(database, scored_by(bank, method))) is not None:
        return ruling.common
    try:
        return default_policy(bank, method, rule="label_for_label").min_log_odds
    except UsageError:
        return calibrate(held_out, keep=KEEP).min_log_odds


def log_odds(bank: Bank, method: Method, vectors: Vectors) -> Scores:
    """(n,) of the method on the bank."""
    return BankScorer(bank, [method]).score(vectors)[0].log_odds
