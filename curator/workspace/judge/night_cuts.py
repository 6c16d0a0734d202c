"""The cuts of nights: under a false-discovery rate, how low a score has to be depends on what arrived with it.

A night is one completed scan, plus what interrupted scans before it took in. It is judged once, when all of its images
are scored, and its cuts are rows from then on. So a scan that is killed and run again flags what it would have flagged
at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from curator.methods import Method
from curator.policy import Policy
from curator.policy.classes import POOLED, categories
from curator.policy.conformal import Scores, cut_of_rank, ranks, sorted_scores
from curator.policy.discoveries import discovery_limit, rank_at
from curator.store import Database, Ledger
from curator.store.tables import Row

Cuts = dict[int, float]


def judge_nights(ledger: Ledger, policy: Policy | None, method: Method) -> None:
    """Find and store the cuts of the nights that have none yet, if the policy has cuts of nights."""
    if policy is None or policy.rule is None or policy.rule.kind != "fdr":
        return
    scoring = {"encoder_id": policy.encoder_id, "bank_digest": policy.bank_digest, "method_id": policy.method_id}
    unjudged = ledger.database.table("list_unjudged", policy_id=policy.policy_id, **scoring)
    if not unjudged.num_rows:
        return
    reference = reference_by_class(ledger.database, policy)
    log_odds = unjudged["log_odds"].to_numpy()
    id_labels = unjudged["id_label"].to_numpy()
    night_of = dict(zip(unjudged["night_run_id"].to_pylist(), unjudged["night"].to_pylist(), strict=True))
    run_ids = np.asarray(unjudged["night_run_id"].to_pylist())
    rows: list[Row] = []
    by_night = sorted(night_of, key=lambda run_id: (night_of[run_id] is None, night_of[run_id] or 0, run_id))
    for _, group in groupby(by_night, key=lambda run_id: night_of[run_id]):
        together = list(group)
        chosen = np.isin(run_ids, together)
        cuts = night_cuts(reference, log_odds[chosen], id_labels[chosen], policy.rule.level)
        rows += (
            {
                "policy_id": policy.policy_id,
                "night_run_id": run_id,
                "id_label": id_label,
                "image_count": int(chosen.sum()),
                "min_log_odds": cut,
                "min_id_score": float(method.id_score(np.array([cut]))[0]),
            }
            for run_id in together
            for id_label, cut in cuts.items()
        )
    ledger.add(policy_night=rows)


def reference_by_class(database: Database, policy: Policy) -> dict[int, Scores]:
    """The sorted reference scores of each category of a policy; POOLED is always one, maybe an empty one."""
    own = [row["id_label"] for row in database.rows("list_policy_classes", policy_id=policy.policy_id)]
    table = database.table("list_calibration_scores", calibration_id=policy.calibration_id)
    return scores_by_class(table["log_odds"].to_numpy(), table["id_label"].to_numpy(), tuple(own))


def scores_by_class(log_odds: Scores, id_labels: NDArray[np.integer], own: tuple[int, ...]) -> dict[int, Scores]:
    """log_odds, id_labels: (n,), of the references; own: the labels that are calibrated on their own."""
    category = categories(id_labels, own)
    found = {name: log_odds[category == name] for name in (POOLED, *own)}
    return {name: sorted_scores(values) if values.size else values for name, values in found.items()}


def night_cuts(reference: Mapping[int, Scores], log_odds: Scores, id_labels: NDArray[np.integer], rate: float) -> Cuts:
    """Benjamini-Hochberg over the images of a night, all classes together: the cut of each category."""
    own = tuple(name for name in reference if name != POOLED)
    category = categories(id_labels, own)
    found = np.empty(log_odds.size, dtype=np.int64)
    sizes = np.empty(log_odds.size, dtype=np.int64)
    for name, scores in reference.items():
        here = category == name
        found[here] = ranks(scores, log_odds[here])
        sizes[here] = scores.size
    limit = discovery_limit(found, sizes, rate)
    return {name: cut_of_rank(scores, rank_at(limit, scores.size)) for name, scores in reference.items()}
