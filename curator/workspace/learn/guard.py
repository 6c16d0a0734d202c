"""Guards a bank that systems make: one that is worse than the bank before it is refused unless it is forced.

The bank before is the version before, or for a first version the parent that it was learnt from. Both are judged on the
same images, none of which took part in making the new one:

    ID    reference images, and images that reviewers decided are ID: no more of them may be flagged
    OOD   images that reviewers decided are OOD: no fewer of them may be flagged, nor may the AUROC against ID fall
    lake  images that look OOD in the half of the lake that is not learnt from (see excess.py): the AUROC against ID may
          not fall by more than a point, and that must be sure at 95 %; and against all images of that half, whatever
          they look like, it may not fall by more than `half_tolerance`

The last needs no label. The images are chosen by their distance to the reference, which neither bank has a part in: by
the score of the parent they would be those that it finds already. ID images among them blunt the comparison and favour
nobody. What is far from the reference is easy, though, and a bank may pay for it with OOD images that resemble ID ones:
among all images of the half those count as well, and the ID images beside them weigh on both banks alike. The
difference of the two AUROC has the variance of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988), as both are of
the same images; with few of them it is large, and then only a bank that is clearly better is kept.

Flags are those at equal terms. A version is held to the cut of the version before, on the same method, because that is
how the next night would use it: the cut of the policy that was chosen or calibrated last, of an image's class where the
policy has one for it. A version that was never calibrated has only a default cut, which may flag none of the images and
then could not tell: it is held to the cut that keeps 95 % of the ID images under the version before. Against a parent,
which another method scores on another scale, each bank gets the cut that keeps 95 % of the ID reference under it.

Small losses add up from version to version, and a version that was forced is no yardstick: a later version is compared
with the parent too, by AUROC alone, by the same measures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankRefused
from curator.methods import BankScorer, Method, resolve_method
from curator.methods.maths import Scores
from curator.metrics import auroc
from curator.policy import calibrate
from curator.store import Database
from curator.systems.settings import SystemSettings
from curator.types import Bank
from curator.workspace.judge.policies import scored_by
from curator.workspace.judge.ruling import Cuts
from curator.workspace.learn.stored import Rows, score_rows
from curator.workspace.learn.world import LedgerWorld
from curator.workspace.logs import log

KEEP = 0.95  # where nothing was calibrated
FEWEST = 20  # ID images that are held out, below which nothing is judged
FEWEST_OOD = 10  # images of the lake that look OOD, below which nothing is judged by them
MOST_LAKE_AUROC_LOST = 0.01  # on images that only look OOD, at 95 %
ONE_SIDED = 1.6449  # standard deviations
MOST_AUROC_LOST = 0.005  # on reviewed images: labels that change move every score a little


@dataclass(frozen=True, slots=True)
class SideFigures:
    """Of ID and OOD images: how many, how many flagged, and the AUROC; None where one side has no image.

    lake_auroc: of ID images against those of the lake that look OOD; None where they are not judged.
    """

    id_count: int
    id_flagged: int
    ood_count: int
    ood_flagged: int
    auroc: float | None
    lake_auroc: float | None = None

    @classmethod
    def of(
        cls, log_odds: Scores, is_id: NDArray[np.bool_], cuts: float | Scores, lake: Scores | None = None
    ) -> SideFigures:
        """log_odds, is_id: (n,); cuts: for all, or for each (n,). lake: log-odds of images of the lake."""
        inside, outside, flagged = log_odds[is_id], log_odds[~is_id], log_odds < cuts
        return cls(
            len(inside),
            int((flagged & is_id).sum()),
            len(outside),
            int((flagged & ~is_id).sum()),
            float(auroc(inside, outside)) if len(inside) and len(outside) else None,
            float(auroc(inside, lake)) if lake is not None else None,
        )

    def harm(self, before: SideFigures) -> str:
        """Which image is worse off than before; empty if none is."""
        if self.id_flagged > before.id_flagged:
            return f"flags {self.id_flagged} of {self.id_count} ID images, before {before.id_flagged}"
        if self.ood_flagged < before.ood_flagged:
            return f"flags {self.ood_flagged} of {self.ood_count} OOD images, before {before.ood_flagged}"
        return ""

    def verdict(self, before: SideFigures) -> str | None:
        """Why a bank must not take the place of the one before; None if it may."""
        return f"it {harm}" if (harm := self.harm(before)) else self.auroc_lost(before)

    def auroc_lost(self, before: SideFigures) -> str | None:
        """Of decided images, in words; None where too little to matter."""
        if before.auroc is not None and self.auroc is not None and self.auroc < before.auroc - MOST_AUROC_LOST:
            return f"its AUROC is {self.auroc:.4f}, before {before.auroc:.4f}"
        return None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What two banks are judged on. vectors: (n, d), is_id: (n,), of images whose side is known; the first `reference`
    of them are reference images. lake: (m, d), of images that look OOD; None where nothing is judged by them. half:
    (k, d), of all images of the half of the lake that they are from, where there is a lake."""

    vectors: Rows
    is_id: NDArray[np.bool_]
    reference: int
    lake: Rows | None
    half: Rows | None = None

    @classmethod
    def of(
        cls, world: LedgerWorld, used: Collection[str], lake: Sequence[str] | None, half: Sequence[str] = ()
    ) -> HeldOut | None:
        """used: ids of images that took part in making the bank. None with too few ID images that did not."""
        reference = [image.image_id for image in world.reference_images if image.image_id not in used]
        known = set(reference)
        decided = {
            name: is_id for name, is_id in sorted(world.decisions.items()) if name not in used and name not in known
        }
        if len(reference) + sum(decided.values()) < FEWEST:
            return None
        unseen = [name for name in lake or () if name not in used]
        others = [name for name in half or lake or () if name not in used]
        sides = [True] * len(reference) + list(decided.values())
        return cls(
            world.images([*reference, *decided]),
            np.array(sides, dtype=bool),
            len(reference),
            *((None, None) if lake is None or len(unseen) < FEWEST_OOD else map(world.images, (unseen, others))),
        )


def leave_judges(world: LedgerWorld, settings: SystemSettings, given: Collection[str]) -> SystemSettings:
    """The settings with fewer ID images of each class where the default would take so many that none judge the bank.

    given: names of the settings that are asked for, which stay. As they are, too, where no number leaves enough.
    """
    sizes, name = _class_sizes(world), settings.images_setting
    if name is None or name in given or _beyond(sizes, taken := getattr(settings, name)) >= FEWEST:
        return settings
    if not (most := _most_a_class(sizes)):
        return settings
    log.warning(
        "%s: %s is %d, not %d, so that %d of %d ID images judge the bank; `-s %s=%d` takes them, and nothing judges it",
        settings.system, name, most, taken, _beyond(sizes, most), sizes.total(), name, taken,
    )  # fmt: skip
    return replace(settings, **{name: most})


def why_unjudged(world: LedgerWorld, used: Collection[str], setting: str | None) -> str:
    """Why no ID image judges a bank, and what to type. used: ids of images that took part in making it; setting: which
    one says how many of a class do."""
    took = len({image.image_id for image in world.id_images} & set(used))
    sizes = _class_sizes(world)
    said = (
        f"not compared: {took} of {sizes.total()} ID images took part in making it, and {FEWEST} others must judge it"
    )
    if not took:
        said = f"not compared: {FEWEST} ID images must judge it, and {sizes.total()} are known"
    if took and setting and (most := _most_a_class(sizes)):
        return f"{said}: `-s {setting}={most}` leaves {_beyond(sizes, most)}, or name more by `--reference`"
    return f"{said}: name more by `--reference`"


def _class_sizes(world: LedgerWorld) -> Counter[int]:
    """How many ID images there are of each class."""
    return Counter(image.id_label for image in world.id_images)


def _beyond(sizes: Counter[int], most: int) -> int:
    """How many images classes of these sizes have beyond so many each."""
    return sum(max(0, size - most) for size in sizes.values())


def _most_a_class(sizes: Counter[int]) -> int:
    """How many images of each class may take part in making a bank; 0 where too few are left to judge it by any."""
    return max((most for most in range(1, max(sizes.values(), default=1)) if _beyond(sizes, most) >= FEWEST), default=0)


@dataclass(frozen=True, slots=True)
class GuardFigures:
    """Both banks on the same images. min_log_odds: the new bank's cut, of images whose class has none of its own.

    lake_count: images of the lake that look OOD. most_lost: of AUROC against them, 0-1, at 95 %; None: not judged.
    half_count: images of the half of the lake that was not learnt from. half_lost: of AUROC against all of them.
    parent: the new bank beside the parent, where the bank before is a version: by AUROC alone.
    """

    bank_digest: str
    previous_digest: str
    method_id: str
    previous_method_id: str
    min_log_odds: float
    before: SideFigures
    now: SideFigures
    lake_count: int = 0
    most_lost: float | None = None
    forced: bool = False
    half_count: int = 0
    half_lost: float = 0.0
    parent: GuardFigures | None = None

    @property
    def verdict(self) -> str | None:
        """Why the new bank is worse; None where it is not."""
        if (verdict := self.own_verdict) is None and self.parent and (lost := self.parent.auroc_lost):
            return f"beside the parent {lost}"
        return verdict

    @property
    def own_verdict(self) -> str | None:
        """Why it is worse than the bank before."""
        return self.auroc_lost if (verdict := self.now.harm(self.before)) == "" else f"it {verdict}"

    @property
    def auroc_lost(self) -> str | None:
        """By which AUROC it is worse; None by none."""
        if (lost := self.now.auroc_lost(self.before)) is not None:
            return lost
        if self.most_lost is not None and self.most_lost > MOST_LAKE_AUROC_LOST:
            few = "that is no loss, but with so few images " if self.is_unsure else ""
            return (
                f"its AUROC against {self.lake_count} images of the lake that look OOD is {self.now.lake_auroc:.4f}, "
                f"before {self.before.lake_auroc:.4f}: {few}the loss may be {100 * self.most_lost:.1f} points"
            )
        if self.half_lost > self.half_tolerance:
            return (
                f"its AUROC against all {self.half_count} images of the half of the lake that it was not learnt from, "
                f"whatever they look like, is {100 * self.half_lost:.3f} points less, more than "
                f"{100 * self.half_tolerance:.3f}"
            )
        return None

    @property
    def is_unsure(self) -> bool:
        """Whether the new bank is no worse against what looks OOD, and too few such images can show it."""
        old, new = self.before.lake_auroc, self.now.lake_auroc
        is_open = self.most_lost is not None and self.most_lost > MOST_LAKE_AUROC_LOST
        return is_open and old is not None and new is not None and new >= old

    @property
    def half_tolerance(self) -> float:
        """How much AUROC against the whole half may be lost: what is allowed of decided OOD images, in the share of the
        half that looks OOD, and always what one image makes that goes from one end to the other."""
        return max(MOST_AUROC_LOST * self.lake_count, 1.0) / max(self.half_count, 1)

    @property
    def row(self) -> dict[str, object]:
        """Of the table `bank_guard`."""
        return {
            "bank_digest": self.bank_digest,
            "previous_digest": self.previous_digest,
            "method_id": self.method_id,
            "min_log_odds": self.min_log_odds,
            "image_count": self.now.id_count,
            "flagged_before": self.before.id_flagged,
            "flagged_now": self.now.id_flagged,
            "forced": self.forced,
        }

    def said(self, before: str) -> str:
        """The figures in a line. before: what the bank before is."""
        old, new = self.before, self.now
        parts = [f"flags {new.id_flagged} of {new.id_count} held-out ID images, {before} {old.id_flagged}"]
        if new.ood_count:
            parts.append(f"{new.ood_flagged} of {new.ood_count} decided OOD, {before} {old.ood_flagged}")
        if new.lake_auroc is not None and old.lake_auroc is not None:
            parts.append(
                f"AUROC against {self.lake_count} images of the lake that look OOD {new.lake_auroc:.4f}, {before} "
                f"{old.lake_auroc:.4f}"
            )
        elif new.ood_count < FEWEST_OOD:
            parts.append("too few OOD images to judge it by: `curator evaluate` before it rules")
        if self.parent is not None and self.parent.before.lake_auroc is not None:
            parts.append(f"the parent {self.parent.before.lake_auroc:.4f}")
        return "; ".join(parts)


def guard_figures(
    world: LedgerWorld,
    bank: Bank,
    previous: Bank,
    method: str,
    judged: HeldOut,
    *,
    previous_method: str | None = None,
) -> GuardFigures:
    """The comparison. previous_method: by which the bank before is scored, where that is another one."""
    now = resolve_method(world.context.method_spec(method), bank)
    before = resolve_method(world.context.method_spec(previous_method or method), previous)
    device = world.context.config.encoder.device
    sides = ((previous, before), (bank, now))
    scored = [score_rows(BankScorer(side, [by], device=device), judged.vectors) for side, by in sides]
    old, new = (table.log_odds for table in scored)
    known = old[: judged.reference] if judged.reference else old[judged.is_id]
    both: tuple[float | Scores, float | Scores]
    if previous_method is None:
        ruling = calibrated_cuts(world.database, previous, before)
        common = ruling.common if ruling else calibrate(known, keep=KEEP).min_log_odds
        both = (cuts_of(ruling, scored[0].id_label, common),) * 2
    else:
        fresh = new[: judged.reference] if judged.reference else new[judged.is_id]
        common = calibrate(fresh, keep=KEEP).min_log_odds
        both = calibrate(known, keep=KEEP).min_log_odds, common
    lakes: list[Scores | None] = [None, None]
    lost, half_lost = None, 0.0
    if judged.lake is not None and judged.half is not None:
        inside = (old[judged.is_id], new[judged.is_id])
        far, half = ([log_odds(*side, images, device) for side in sides] for images in (judged.lake, judged.half))
        lakes = [*far]
        lost = most_lost(inside, (far[0], far[1]))
        half_lost = float(auroc(inside[0], half[0]) - auroc(inside[1], half[1]))
    return GuardFigures(
        bank_digest=bank.digest,
        previous_digest=previous.digest,
        method_id=now.method_id,
        previous_method_id=before.method_id,
        min_log_odds=common,
        before=SideFigures.of(old, judged.is_id, both[0], lakes[0]),
        now=SideFigures.of(new, judged.is_id, both[1], lakes[1]),
        lake_count=0 if judged.lake is None else len(judged.lake),
        most_lost=lost,
        half_count=0 if judged.half is None else len(judged.half),
        half_lost=half_lost,
    )


def most_lost(inside: tuple[Scores, Scores], outside: tuple[Scores, Scores]) -> float:
    """The upper bound at 95 % of how much AUROC the second score of the same images has less than the first.

    inside: (n,) each, of ID images; outside: (m,) each, of OOD images. By DeLong's variance: that of the difference of
    the two scores' placements, of each ID image among the OOD images and of each OOD image among the ID images.
    """
    of_id, of_ood = (
        _placements(a[0], b[0]) - _placements(a[1], b[1]) for a, b in ((inside, outside), (outside, inside))
    )
    variance = of_id.var(ddof=1) / len(of_id) + of_ood.var(ddof=1) / len(of_ood)
    return float(of_id.mean() + ONE_SIDED * np.sqrt(variance))


def _placements(scores: Scores, others: Scores) -> Scores:
    """(n,): of each score the share of the others (m,) below it, equal ones by half."""
    ordered = np.sort(others)
    found: Scores = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / 2
    return found / len(others)


def refuse_without_judges(judged: HeldOut | None, name: str) -> None:
    """Raises BankRefused for a bank learnt from the lake that no OOD image can speak for: neither enough images that
    look OOD nor enough decided ones."""
    if judged is None or (judged.lake is None and int((~judged.is_id).sum()) < FEWEST_OOD):
        raise BankRefused(
            f"bank {name}: the new version is not kept: fewer than {FEWEST_OOD} images of the lake look OOD in the "
            f"half that it was not learnt from, or fewer than {FEWEST} ID images are held out: nothing can judge it",
            hint="scan more, or decide images by `curator review`; `force` keeps it unjudged",
        )


def refuse_if_worse(figures: GuardFigures, name: str, before: str) -> None:
    """Raises BankRefused for a bank that is worse than the one before; before: what that is."""
    if (verdict := figures.verdict) is not None:
        beside = figures if figures.own_verdict or figures.parent is None else figures.parent
        before = before if beside is figures else "the parent"
        is_unsure = beside.is_unsure and beside.now.auroc_lost(beside.before) is None
        is_unsure = is_unsure and not figures.now.harm(figures.before)
        more = "decide images by `curator review`, or scan more, so that more of them judge it; `force` keeps it"
        raise BankRefused(
            f"bank {name}: the new version is not kept: {verdict} ({before}, {beside.previous_digest[:12]})",
            hint=more if is_unsure else "look at it with `force`, which keeps it, or change its settings",
        )


def calibrated_cuts(database: Database, bank: Bank, method: Method) -> Cuts | None:
    """Those of the policy under which a version is used; None where it was never calibrated."""
    ruling = Cuts.of(database, scored_by(bank, method))
    return None if ruling is None or ruling.policy["rule"] == "default" else ruling


def cuts_of(ruling: Cuts | None, id_labels: NDArray[np.int32], common: float) -> Scores:
    """The cut of each image under a version: that of its nearest ID label, or the common one. id_labels: (n,)."""
    return np.array([ruling.of_label(label) if ruling else common for label in id_labels.tolist()], dtype=np.float64)


def log_odds(bank: Bank, method: Method, images: Rows, device: str = "cpu") -> Scores:
    """(n,) of the method on the bank."""
    return score_rows(BankScorer(bank, [method], device=device), images).log_odds
