"""What a policy promises: how the cut follows from the scores of reference ID images.

keep   the largest cut that keeps the share `level` of the reference
alpha  flag p <= level: a new image like the reference is flagged with at most this probability
fdr    Benjamini-Hochberg: of what one night flags, at most this share is ID, on average
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from curator.errors import UsageError
from curator.policy.calibration import MINIMUM_TAIL, Calibration, calibrate, small_tail_warning
from curator.policy.classes import class_minimum
from curator.policy.conformal import Scores, alpha_cut
from curator.policy.discoveries import fewest_discoveries, references_for_one

RuleKind = Literal["keep", "alpha", "fdr"]
SPOKEN = {"keep": "share of ID images to keep", "alpha": "false-flag rate", "fdr": "false-discovery rate"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule at one level; `by_class`: within each class that has `minimum` references or more."""

    kind: RuleKind
    level: float
    by_class: bool = False
    minimum: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise UsageError(f"the {SPOKEN[self.kind]} must lie between 0 and 1, not {self.level}")

    @classmethod
    def chosen(
        cls,
        *,
        keep: float | None = None,
        alpha: float | None = None,
        fdr: float | None = None,
        by_class: bool = False,
        minimum: int | None = None,
    ) -> Rule:
        """The rule of which the level is given; keep 0.95 where none is. Raises UsageError for several."""
        given: dict[RuleKind, float | None] = {"keep": keep, "alpha": alpha, "fdr": fdr}
        levels = [(kind, level) for kind, level in given.items() if level is not None] or [("keep", 0.95)]
        if len(levels) > 1:
            raise UsageError(f"{' and '.join(kind for kind, _ in levels)} are two rules", hint="choose one of them")
        if minimum is not None and not by_class:
            raise UsageError("a smallest class is given, but not that classes are calibrated", hint="add `by_class`")
        rule = cls(*levels[0], by_class)
        return cls(rule.kind, rule.level, by_class, minimum or class_minimum(rule.tail)) if by_class else rule

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.level:g}" + ("-by-class" if self.by_class else "")

    @property
    def options(self) -> str:
        """The options of `curator calibrate` that make a policy of this rule."""
        return f"--{self.kind} {self.level:g}" + (" --by-class" if self.by_class else "")

    @property
    def tail(self) -> float:
        """The share of reference images below the cut, for `fdr` the most that it can be."""
        return float(1 - Fraction(repr(self.level))) if self.kind == "keep" else self.level

    def cut(self, reference: Scores) -> float:
        """The cut for `log_odds < cut`, -inf where nothing can be flagged. For `fdr`: above which no night's cut lies,
        since no p-value above the rate is ever rejected. reference: (n,), sorted, not empty."""
        if self.kind == "keep":
            return calibrate(reference, keep=self.level).min_log_odds
        return alpha_cut(reference, self.level)

    @property
    def fewest(self) -> int:
        """With fewer references than so many, no score is low enough to be flagged: 1 / (n + 1) is above the level."""
        return math.ceil(round(1 / self.tail, 6)) - 1

    def warning(self, n: int, *, classes: Sequence[int] = (), night: int | None = None) -> str | None:
        """A sentence when the references are too few for the level.

        n: those of all classes without a cut of their own. classes: those of each class that has one. night: how many
        images a night brings, for the rule `fdr`: how many must be strange together depends on it.
        """
        if few := [size for size in classes if size < self.fewest]:
            return (
                f"{len(few)} of {len(classes)} classes with a cut of their own cannot flag anything at {self.level:g}, "
                f"with {min(few)} references or a few more: use {self.fewest} or more for each"
            )
        if self.kind == "keep":
            return small_tail_warning(n, Fraction(repr(float(self.level)))) if n else None
        if n and n < self.fewest:
            return f"{n} reference images cannot flag anything at {self.level:g}: use {self.fewest} or more"
        least = min(size for size in (n, *classes) if size)
        if self.kind == "fdr" and night and (together := fewest_discoveries(night, least, self.level)) > 1:
            return (
                f"{least} reference images are few for fdr {self.level:g}: of a night of {night} images nothing is "
                f"flagged unless {together} or more score below every reference; use "
                f"{references_for_one(night, self.level)} or more for one to be flagged alone, or alpha"
            )
        if n and n + 1 < (needed := math.ceil(round(MINIMUM_TAIL / self.level, 6))):
            return (
                f"{n} reference images are few for {self.kind} {self.level:g}: the share of ID images flagged may be "
                f"far from it, use {needed - 1} or more"
            )
        return None

    def calibrate(self, reference: Scores) -> Calibration:
        """The cut with what it keeps of the reference. reference: (n,), sorted, not empty."""
        if self.kind == "keep":
            return calibrate(reference, keep=self.level)
        cut = self.cut(reference)
        kept = float((reference >= cut).mean())
        return Calibration(cut, reference.size, 1 - self.level, kept, self.warning(reference.size))

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "level": self.level, "by_class": self.by_class, "minimum": self.minimum}


def rule_of(provenance: Mapping[str, Any]) -> Rule | None:
    """The rule in the provenance of a policy; those calibrated before there were others keep a share."""
    if provenance.get("kind") != "calibrated":
        return None
    return Rule(**provenance["rule"]) if "rule" in provenance else Rule("keep", float(provenance["keep"]))
