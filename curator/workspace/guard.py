"""Guards a bank that is made again: a version that worsens the ID images held out is refused unless it is forced.

Held out are the reference images that took no part in making the bank. The new version is judged at the policy of the
version before it, the same cut on the same method, because that is how the next night would use it: if more of the
held-out images fall below the cut, more of what belongs would be flagged. The cut is that of the newest calibrated
policy of the version before, else of its default; a method without a natural cut is held to the cut that keeps 95 % of
the held-out images under the version before.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curator.errors import BankError, UsageError
from curator.methods import BankScorer, Method, resolve_method
from curator.policy import calibrate, default_policy
from curator.store import Database
from curator.types import Bank, Vectors
from curator.workspace.decisions import scored_by
from curator.workspace.world import World

KEEP = 0.95  # for methods without a natural cut
FEWEST = 20  # held-out images below which nothing is judged


@dataclass(frozen=True, slots=True)
class GuardFigures:
    """How many of `image_count` held-out ID images each version flags below the one cut."""

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

    def row(self) -> dict[str, Any]:
        return asdict(self)


def guard_figures(
    world: World, bank: Bank, previous: Bank, method: str, *, used: Collection[str]
) -> GuardFigures | None:
    """The comparison; None when there are too few reference images that are held out."""
    held_out = [image.image_id for image in world.id_images if image.image_id not in used]
    if len(held_out) < FEWEST:
        return None
    vectors = world.reference_vectors(held_out)
    before, now = resolve_method(method, previous), resolve_method(method, bank)
    scores_before, scores_now = log_odds(previous, before, vectors), log_odds(bank, now, vectors)
    cut = ruling_cut(world.database, previous, before, scores_before)
    return GuardFigures(
        bank_digest=bank.digest,
        previous_digest=previous.digest,
        method_id=now.method_id,
        min_log_odds=cut,
        image_count=len(held_out),
        flagged_before=int((scores_before < cut).sum()),
        flagged_now=int((scores_now < cut).sum()),
    )


def refuse_if_worse(figures: GuardFigures, name: str) -> None:
    """Raises BankError for a version that flags more held-out ID images than the one before."""
    if figures.worse:
        raise BankError(
            f"bank {name}: the new version flags {figures.flagged_now} of {figures.image_count} held-out ID images, "
            f"the version before ({figures.previous_digest[:12]}) {figures.flagged_before}: it is not kept",
            hint="look at it with --force, which keeps it, or change its settings",
        )


def ruling_cut(database: Database, bank: Bank, method: Method, held_out: np.ndarray[Any, Any]) -> float:
    """The cut under which the version before is used."""
    ruling = database.row("find_policy", **scored_by(bank, method))
    if ruling is not None:
        return float(ruling["min_log_odds"])
    try:
        return default_policy(bank, method, rule="label_for_label").min_log_odds
    except UsageError:
        return calibrate(held_out, keep=KEEP).min_log_odds


def log_odds(bank: Bank, method: Method, vectors: Vectors) -> np.ndarray[Any, Any]:
    """(n,) of the method on the bank."""
    scores: np.ndarray[Any, Any] = BankScorer(bank, [method]).score(vectors)[0].log_odds
    return scores
