"""Calibration: reference images that are known to be ID are scored, kept as a version, and give a policy its cuts.

Scores and references are rows, so that another rule, another level or the policy of last week is a query and a row, and
embeds and scores nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.lake import Source
from curator.methods import Method
from curator.policy import Calibration, Policy, Rule, calibrated_policy
from curator.policy.classes import POOLED, own_classes
from curator.policy.conformal import Scores, sorted_scores
from curator.report.notebook import Shown
from curator.store import Ledger
from curator.store.ledger import utc_now
from curator.store.tables import uri_table
from curator.workspace.calibrate.advice import advise
from curator.workspace.calibrate.sources import forget, gone_sources, warn_of_lake
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce, count_flags, put_in_force
from curator.workspace.judge.night_cuts import judge_nights, scores_by_class
from curator.workspace.judge.policies import bank_label, record_policy, scored_by
from curator.workspace.judge.scoring import Scorer, score_stored
from curator.workspace.judge.shortage import shortage
from curator.workspace.reference_labels import look_at_labels
from curator.workspace.scan.listing import open_sources
from curator.workspace.scan.request import ScanRequest, ScanWatcher
from curator.workspace.scan.run import take_in
from curator.workspace.session import writing


@dataclass(frozen=True, slots=True, repr=False)
class CalibrationSummary(Shown):
    """A threshold and where it comes from. `min_id_score` and `min_log_odds` are None where nothing can be flagged, and
    for the rule `fdr` the cut above which no night's lies; `own_cuts` counts the classes with one of their own.
    `flagged`, `scored`: images of the lake under it. `ruled_by`: what rules now; `ruled_before`: what did before, where
    that was something else. `advice`: whether the method suits the encoder, what a fusion with kNN would gain, and what
    to do next. `sources`: of the reference images; `in_lake`: so many of these are images of the lake as well.
    `class_minimum`: how many reference images a class needs for a cut of its own, `largest_class`: the most that one
    has, `class_enough`: the highest minimum that gives one its own; 0 unless it is by class."""

    run_id: str
    policy_id: str
    policy: str
    rule: str
    level: float
    by_class: bool
    own_cuts: int
    calibration_id: str
    keep: float
    kept_share: float
    reference_images: int
    min_id_score: float | None
    min_log_odds: float | None
    warning: str | None
    flagged: int
    scored: int
    bank: str = ""
    method_id: str = ""
    ruled_by: InForce | None = None
    ruled_before: InForce | None = None
    advice: str = ""
    sources: tuple[str, ...] = ()
    in_lake: int = 0
    class_minimum: int = 0
    largest_class: int = 0
    class_enough: int = 0

    @property
    def rules(self) -> bool:
        """Whether the policy is in force."""
        return self.ruled_by is not None and self.ruled_by.policy_id == self.policy_id

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """Which policy is to be made. name: None for that of the rule. bank, method: None for those configured. for_night:
    by the Makefile, so nobody has chosen it by hand. forget: sources that are no reference any more."""

    rule: Rule
    name: str | None = None
    bank: str | None = None
    method: str | None = None
    for_night: bool = False
    wait_seconds: float = 0.0
    forget: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferenceScores:
    """What reference images scored under one bank and method, in the order of their ids; `id_labels`: the nearest."""

    image_ids: tuple[str, ...]
    log_odds: Scores
    id_labels: NDArray[np.int32]

    @classmethod
    def of(cls, table: pa.Table) -> ReferenceScores:
        columns = (table[name].to_numpy() for name in ("log_odds", "id_label"))
        return cls(tuple(table["image_id"].to_pylist()), *columns)

    @property
    def digest(self) -> str:
        """Names the set of images, as methods that measure against reference images do."""
        return hashlib.sha256("\n".join(self.image_ids).encode()).hexdigest()[:12]

    def calibration_id(self, scoring: dict[str, str]) -> str:
        """32 hexadecimal digits: the same images with the same scores under the same scoring, the same id."""
        head = json.dumps([scoring, self.image_ids], sort_keys=True).encode()
        body = self.log_odds.astype("<f8").tobytes() + self.id_labels.astype("<i4").tobytes()
        return hashlib.sha256(head + body).hexdigest()[:32]


def run_calibration(
    context: Context, sources: Sequence[str], watcher: ScanWatcher, request: CalibrationRequest
) -> CalibrationSummary:
    """Score reference ID images, all that are there unless sources are named, and make a policy of the rule.

    It is in force at once where it is of the configured bank and method, or of those that rule. A policy of others
    changes nothing that anybody sees until it is put in use. Raises UsageError when there are no images.
    """
    opened, asked = open_sources(sources, context.config.scan), (request.bank, request.method)
    names, rule = [item.name for item in opened], request.rule
    forgotten = gone_sources(request.forget, names)
    arguments = {"sources": names, "rule": rule.as_json(), "for_night": request.for_night}
    arguments |= {"forget": [item.name for item in forgotten]} if forgotten else {}
    with writing(context, "calibrate", arguments, wait_seconds=request.wait_seconds) as ledger:
        forget(ledger, forgotten)
        names = names or [*ledger.database.column("list_reference_sources_kept")]
        scorer, reference = reference_scores(context, ledger, opened, watcher, role="reference", asked=asked)
        values = sorted_scores(reference.log_odds)
        scoring = scored_by(scorer.bank, scorer.method)
        calibration_id = reference.calibration_id(scoring)
        own, pooled = _classes(rule, reference, scorer.bank.id_count)
        measured = _measured(rule, values, own, pooled)
        policy = calibrated_policy(
            scorer.bank,
            scorer.method,
            measured,
            name=request.name or rule.name,
            rule=rule,
            calibration_id=calibration_id,
            reference={"sources": names, "images": values.size, "run_id": ledger.run_id},
        )
        with ledger.database.transaction():
            _record_calibration(ledger, scorer, reference, calibration_id, names)
            record_policy(ledger, policy, scorer.method)
            _record_classes(ledger, policy, scorer.method, rule, own)
        judge_nights(ledger, policy, scorer.method)
        ruling, before = _ruling(ledger, scoring, policy, configured=asked == (None, None))
        measured = replace(measured, warning=shortage(ledger.database, policy))
        rules = ledger.database.row("find_policy", **scoring) or {}
        counts = count_flags(ledger.database, scoring, rules["policy_id"])
        summary = _summary(ledger.run_id, policy, scorer.method, measured, len(own), counts)
        return replace(
            summary,
            bank=bank_label(ledger.database, scorer.bank),
            ruled_by=ruling,
            ruled_before=before,
            advice=advise(context, ledger.database, scorer),
            sources=tuple(names),
            **_class_sizes(rule, reference, scorer.bank.id_count),
            in_lake=warn_of_lake(ledger.database, calibration_id, rule),
        )


def _ruling(
    ledger: Ledger, scoring: dict[str, str], policy: Policy, *, configured: bool
) -> tuple[InForce | None, InForce | None]:
    """What rules now and what did before, where that has changed: a policy of what is configured or rules already
    takes force, one of another scoring does not."""
    ruling = InForce.of(ledger.database)
    if configured or (ruling and ruling.scoring == scoring):
        return put_in_force(ledger, scoring, policy, before=ruling)
    return ruling, None


def _summary(
    run_id: str, policy: Policy, method: Method, measured: Calibration, own_cuts: int, counts: Mapping[str, int]
) -> CalibrationSummary:
    rule, calibration_id = policy.rule, policy.calibration_id
    assert rule is not None and calibration_id is not None
    cut = policy.min_log_odds if math.isfinite(policy.min_log_odds) else None
    return CalibrationSummary(
        run_id=run_id,
        policy_id=policy.policy_id,
        policy=policy.name,
        rule=rule.kind,
        level=rule.level,
        by_class=rule.by_class,
        own_cuts=own_cuts,
        calibration_id=calibration_id,
        keep=measured.keep,
        kept_share=measured.kept_share,
        reference_images=measured.n,
        min_id_score=None if cut is None else float(method.id_score(np.array([cut]))[0]),
        min_log_odds=cut,
        warning=measured.warning,
        flagged=int(counts["flagged"]),
        scored=int(counts["scored"]),
        method_id=method.method_id,
    )


def reference_scores(
    context: Context,
    ledger: Ledger,
    sources: Sequence[Source],
    watcher: ScanWatcher,
    *,
    role: str,
    asked: tuple[str | None, str | None] = (None, None),
) -> tuple[Scorer, ReferenceScores]:
    """Take the sources in and score them; without sources, what is there. `asked`: the bank and the method, None: those
    configured."""
    database, (address, method) = ledger.database, asked
    context.require_current(database)
    if sources:
        request = ScanRequest(tuple(item.name for item in sources), role=role)
        bank, listed = take_in(context, ledger, sources, request, watcher, bank=address)
    else:
        address = address or context.config.scan.bank
        bank = context.bank_for(ledger, address, encoder_id=context.encoder_id(database))
    if role == "reference":
        look_at_labels(context, database, bank)
    scorer = context.scorer(bank, method, database=database)
    score_stored(ledger, scorer, context.layout.vectors(scorer.bank.encoder_id))
    scoring = scored_by(scorer.bank, scorer.method)
    if not sources:
        return scorer, ReferenceScores.of(database.table("list_reference_scores", **scoring))
    with database.incoming(object=uri_table(uri for source in listed for uri in source.uris)):
        return scorer, ReferenceScores.of(database.table("list_scores_in_sources", role=role, **scoring))


def _class_sizes(rule: Rule, reference: ReferenceScores, label_count: int) -> dict[str, Any]:
    if not rule.by_class:
        return {}
    sizes = sorted(np.bincount(reference.id_labels).tolist(), reverse=True)
    labels = reference.id_labels
    enough = (size for size in sizes if size and own_classes(labels, minimum=size, label_count=label_count))
    return {"class_minimum": rule.minimum, "largest_class": sizes[0], "class_enough": next(enough, 1)}


def _classes(rule: Rule, reference: ReferenceScores, label_count: int) -> tuple[dict[int, Scores], Scores]:
    """The sorted scores of the classes with a cut of their own, and of the rest."""
    own = own_classes(reference.id_labels, minimum=rule.minimum, label_count=label_count) if rule.by_class else ()
    found = scores_by_class(reference.log_odds, reference.id_labels, own)
    pooled = found.pop(POOLED)
    return found, pooled


def _measured(rule: Rule, values: Scores, own: dict[int, Scores], pooled: Scores) -> Calibration:
    """The cut of what has none of its own, and what all cuts together keep of the reference."""
    measured = rule.calibrate(pooled if pooled.size else values)
    if not own:
        return measured
    kept = int((pooled >= measured.min_log_odds).sum())
    kept += sum(int((scores >= rule.cut(scores)).sum()) for scores in own.values())
    return replace(measured, n=values.size, kept_share=kept / values.size)


def _record_calibration(
    ledger: Ledger, scorer: Scorer, reference: ReferenceScores, calibration_id: str, sources: Sequence[str]
) -> None:
    count = len(reference.image_ids)
    scores = ledger.columns_table(
        "calibration_score",
        {
            "calibration_id": [calibration_id] * count,
            "image_id": reference.image_ids,
            "log_odds": reference.log_odds,
            "id_label": reference.id_labels,
        },
    )
    row = {
        "calibration_id": calibration_id,
        **scored_by(scorer.bank, scorer.method),
        "reference_digest": reference.digest,
        "image_count": count,
        "sources": json.dumps(list(sources)),
        "created_at": utc_now(),
    }
    ledger.database.append("calibration_id", calibration_score=scores)
    ledger.add("calibration_id", calibration=[row])


def _record_classes(ledger: Ledger, policy: Policy, method: Method, rule: Rule, own: dict[int, Scores]) -> None:
    cuts = {label: rule.cut(scores) for label, scores in own.items()}
    rows = [
        {
            "policy_id": policy.policy_id,
            "id_label": label,
            "image_count": own[label].size,
            "min_log_odds": cut,
            "min_id_score": float(method.id_score(np.array([cut]))[0]),
        }
        for label, cut in cuts.items()
    ]
    ledger.add("policy_id", policy_class=rows)
