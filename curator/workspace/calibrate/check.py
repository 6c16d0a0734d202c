"""Does a calibration hold what it promises? Held-out ID images, the share of them that is flagged, and drift.

Held out are images that the user names, or every second image of the reference, with cuts from the others. The share
has its exact interval. What it cannot show: how many OOD images pass; the false-discovery rate, which depends on them
(its p-values are those of `alpha`, and these are checked); and whether ID images of tomorrow are like the reference.

Drift compares distributions of scores by the two-sample Kolmogorov-Smirnov test. Between the reference and held-out
images a difference says that they are not exchangeable: the promise is void for such images. Between the reference and
the kept images of the newest night, both above the cut, it says that what passes looks otherwise than the reference
does: other ID images, another mix of classes, or OOD images that pass; which of them, it cannot tell. It sees nothing
below the cut, and nothing that leaves the scores alone. Many images make any difference certain, so that a small one
is not called drift: `SMALLEST_DRIFT`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.policy import Policy, Rule
from curator.policy.classes import POOLED, categories, own_classes
from curator.policy.conformal import Scores, sorted_scores
from curator.policy.coverage import Coverage, coverage
from curator.report.notebook import Shown
from curator.report.statistics import kolmogorov_smirnov
from curator.store import Database
from curator.store.tables import Row
from curator.workspace.calibrate.run import ReferenceScores, reference_scores
from curator.workspace.context import Context
from curator.workspace.judge.night_cuts import scores_by_class
from curator.workspace.judge.policies import policy_of, scored_by
from curator.workspace.judge.shortage import shortage
from curator.workspace.published import reading
from curator.workspace.scan.listing import open_sources
from curator.workspace.scan.request import ScanWatcher
from curator.workspace.session import writing

ALPHAS = (0.01, 0.05, 0.1)
UNLIKELY = 0.01  # as a probability: what is rarer by chance is warned of
SMALLEST_DRIFT = 0.1  # Kolmogorov-Smirnov distance from which a difference counts as drift
WORST = 5


@dataclass(frozen=True, slots=True)
class ClassCoverage:
    """One class with a cut of its own; `references` set it."""

    label: str
    references: int
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """One rule. `wanted`: the share of ID images that it may flag; `inside`: whether the interval holds that share;
    `worst`: the classes with the most flagged for their size, under a rule by class."""

    rule: str
    wanted: float
    references: int
    coverage: Coverage
    inside: bool
    worst: tuple[ClassCoverage, ...] = ()

    @property
    def fails(self) -> bool:
        """Too many flagged for chance; of classes, the worst counts as the worst of as many as there are."""
        return self.coverage.excess is not None and self.coverage.excess < UNLIKELY

    def row(self) -> dict[str, Any]:
        """For a table: the figures in one line."""
        found = self.coverage
        shares = {"rate": found.rate, "low": found.low, "high": found.high}
        return {
            "rule": self.rule,
            "wanted": self.wanted,
            "references": self.references,
            "held_out": found.held_out,
            "flagged": found.flagged,
            **{name: round(share, 6) for name, share in shares.items()},
            "inside": self.inside,
            "by_chance": None if found.excess is None else round(found.excess, 6),
        }


@dataclass(frozen=True, slots=True)
class Drift:
    """The reference against other images, by their scores."""

    compared: str
    references: int
    images: int
    statistic: float
    p_value: float

    @property
    def drifted(self) -> bool:
        return self.p_value < UNLIKELY and self.statistic >= SMALLEST_DRIFT


@dataclass(frozen=True, slots=True, repr=False)
class CalibrationCheck(Shown):
    """What a check found. `held_out`: `named`, images that were given, or `half`, every second of the reference."""

    policy: str
    calibration_id: str
    reference_images: int
    held_out: str
    left_out: int
    rules: tuple[CheckedRule, ...]
    drift: Drift | None
    warnings: tuple[str, ...]

    @property
    def tripped(self) -> frozenset[str]:
        """What may be asked to fail on: `coverage`, `drift`."""
        found = {"coverage"} if any(rule.fails for rule in self.rules) else set()
        return frozenset(found | ({"drift"} if self.drift and self.drift.drifted else set()))

    def shown(self) -> tuple[Mapping[str, object], Sequence[Row]]:
        facts = {name: value for name, value in Shown.shown(self)[0].items() if name != "drift"}
        return facts | {"drifted": self.drift and self.drift.drifted}, [rule.row() for rule in self.rules]

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"tripped": sorted(self.tripped)}


@dataclass(frozen=True, slots=True)
class _Calibrated:
    """The policy in force with the calibration that it rests on, and the labels of its bank by their index."""

    policy: Policy
    calibration_id: str
    reference: ReferenceScores
    labels: tuple[str, ...]


def check_calibration(
    context: Context, sources: Sequence[str], watcher: ScanWatcher, *, alphas: Sequence[float] = ALPHAS
) -> CalibrationCheck:
    """Check the policy in force and p-values at each alpha, on the images in `sources` or on half of the reference.

    Raises UsageError when nothing was calibrated, or no image is held out.
    """
    for alpha in alphas:
        Rule("alpha", alpha)
    opened = open_sources(sources, context.config.scan)
    if not opened:
        with reading(context.layout) as database:
            found = _calibrated(database, _selected(database))
            few = shortage(database, found.policy)
            drift = _newest_night(database, found)
        held, calibrating = _halves(found.reference)
        return _check(found, calibrating, held, alphas, drift, few, left_out=0, named=False)
    with writing(context, "calibrate check", {"sources": [item.name for item in opened]}) as ledger:
        scorer, given = reference_scores(context, ledger, opened, watcher, role="evaluation")
        found = _calibrated(ledger.database, scored_by(scorer.bank, scorer.method))
        few = shortage(ledger.database, found.policy)
    held = _without(given, found.reference)
    if not held.image_ids:
        raise UsageError("no image is held out: all of them set the threshold", hint="name other ID images")
    drift = _drift("the held-out images", found.reference.log_odds, held.log_odds)
    left_out = len(given.image_ids) - len(held.image_ids)
    return _check(found, found.reference, held, alphas, drift, few, left_out=left_out, named=True)


def _selected(database: Database) -> dict[str, str]:
    row = database.row("find_selection")
    if row is None:
        raise UsageError("nothing was scanned or calibrated yet", hint="see `curator calibrate --help`")
    return {name: str(row[name]) for name in ("encoder_id", "bank_digest", "method_id")}


def _calibrated(database: Database, scoring: dict[str, str]) -> _Calibrated:
    row = database.row("find_policy", **scoring)
    asked = {"calibration_id": row and row["calibration_id"], **scoring}
    calibration_id = (database.row("find_ruling_calibration", **asked) or {}).get("calibration_id")
    if row is None or calibration_id is None:
        raise UsageError(
            f"nothing was calibrated for {scoring['method_id']} yet", hint="curator calibrate --reference SRC"
        )
    reference = ReferenceScores.of(database.table("list_calibration_scores", calibration_id=calibration_id))
    labels = tuple(str(item["text"]) for item in database.rows("list_id_names", bank_digest=scoring["bank_digest"]))
    return _Calibrated(policy_of(row, scoring), calibration_id, reference, labels)


def _halves(reference: ReferenceScores) -> tuple[ReferenceScores, ReferenceScores]:
    """Two halves by chance, the same ones each time."""
    order = np.random.default_rng(0).permutation(len(reference.image_ids))
    middle = len(order) // 2
    if not middle:
        raise UsageError("one reference image cannot be split", hint="name held-out ID images")
    return _part(reference, order[:middle]), _part(reference, order[middle:])


def _without(given: ReferenceScores, reference: ReferenceScores) -> ReferenceScores:
    known = frozenset(reference.image_ids)
    return _part(given, np.array([n for n, name in enumerate(given.image_ids) if name not in known], dtype=np.int64))


def _part(scores: ReferenceScores, positions: NDArray[np.int64]) -> ReferenceScores:
    ids = tuple(scores.image_ids[position] for position in positions)
    return ReferenceScores(ids, scores.log_odds[positions], scores.id_labels[positions])


def _check(
    found: _Calibrated,
    calibrating: ReferenceScores,
    held: ReferenceScores,
    alphas: Sequence[float],
    drift: Drift | None,
    few: str | None,
    *,
    left_out: int,
    named: bool,
) -> CalibrationCheck:
    rules = tuple(
        _checked(rule, name, calibrating, held, found.labels) for name, rule in _rules(found, calibrating, alphas)
    )
    count = len(found.reference.image_ids)
    said = [few and f"policy {found.policy.name}: {few}", *(Rule("alpha", alpha).warning(count) for alpha in alphas)]
    check = CalibrationCheck(
        policy=found.policy.name,
        calibration_id=found.calibration_id,
        reference_images=count,
        held_out="named" if named else "half",
        left_out=left_out,
        rules=rules,
        drift=drift,
        warnings=(),
    )
    return replace(check, warnings=(*filter(None, said), *_warnings(check)))


def _rules(found: _Calibrated, calibrating: ReferenceScores, alphas: Sequence[float]) -> Iterator[tuple[str, Rule]]:
    """The policy in force, if its rule makes cuts of its own, then p-values at each alpha, plain and by class."""
    ruling = found.policy.rule
    if ruling is not None and ruling.kind != "fdr":
        yield f"policy {found.policy.name}", ruling
    for alpha in alphas:
        yield f"p <= {alpha:g}", Rule("alpha", alpha)
        by_class = Rule.chosen(alpha=alpha, by_class=True)
        if own_classes(calibrating.id_labels, minimum=by_class.minimum, label_count=len(found.labels)):
            yield f"p <= {alpha:g} by class", by_class


def _checked(
    rule: Rule, name: str, calibrating: ReferenceScores, held: ReferenceScores, labels: tuple[str, ...]
) -> CheckedRule:
    own: tuple[int, ...] = ()
    if rule.by_class:
        own = own_classes(calibrating.id_labels, minimum=rule.minimum, label_count=len(labels))
    reference = scores_by_class(calibrating.log_odds, calibrating.id_labels, own)
    category = categories(held.id_labels, own)
    parts = {key: _coverage(rule, scores, held.log_odds[category == key]) for key, scores in reference.items()}
    total = parts[POOLED]
    if own:
        total = coverage(sum(item.flagged for item in parts.values()), len(held.image_ids))
        unlikeliest = min(item.excess for item in parts.values() if item.excess is not None)
        total = replace(total, excess=min(1.0, unlikeliest * len(parts)))
    classes = [ClassCoverage(labels[key], reference[key].size, parts[key]) for key in own if parts[key].held_out]
    classes.sort(key=lambda item: (item.coverage.excess or 0.0, -item.coverage.rate, item.label))
    return CheckedRule(
        name, rule.tail, len(calibrating.image_ids), total, total.holds(rule.tail), tuple(classes[:WORST])
    )


def _coverage(rule: Rule, reference: Scores, log_odds: Scores) -> Coverage:
    """Of one category: its own cut, on its held-out images."""
    cut = rule.cut(reference) if reference.size else -np.inf
    k = int((reference < cut).sum()) + 1 if np.isfinite(cut) else 0
    return coverage(int((log_odds < cut).sum()), log_odds.size, k=k, n=reference.size)


def _newest_night(database: Database, found: _Calibrated) -> Drift | None:
    """The kept images of the newest night against the reference, both above the cut of the policy."""
    kept = database.table("list_newest_kept")
    if not kept.num_rows:
        return None
    cut = found.policy.min_log_odds
    scores, reference = kept["log_odds"].to_numpy(), found.reference.log_odds
    run_id = kept["first_run_id"][0].as_py()
    return _drift(f"the kept images that came with {run_id}", reference[reference >= cut], scores[scores >= cut])


def _drift(compared: str, reference: Scores, others: Scores) -> Drift | None:
    if not reference.size or not others.size:
        return None
    tested = kolmogorov_smirnov(sorted_scores(reference), sorted_scores(others))
    return Drift(compared, reference.size, others.size, tested.statistic, tested.p_value)


def _warnings(check: CalibrationCheck) -> Iterator[str]:
    for rule in check.rules:
        if rule.fails:
            found = rule.coverage
            yield (
                f"{rule.rule}: {found.flagged} of {found.held_out} held-out ID images are flagged, where the share "
                f"{rule.wanted:g} was promised; by chance so many or more have probability {found.excess:.2g}"
            )
    if check.drift is not None and check.drift.drifted:
        yield (
            f"the scores of {check.drift.compared} are not those of the reference: largest distance "
            f"{check.drift.statistic:.2f}, p = {check.drift.p_value:.2g}; calibrate anew with images of today"
        )
