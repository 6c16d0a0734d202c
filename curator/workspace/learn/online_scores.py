"""Keeps the scores that a stream gave in passing: rows under a method id that names the stream, `ants-online(…)`.

They cannot be computed again for one image: the id says which images passed, in which order and in which batches. The
views go on showing what they showed; `report.compare` has these scores beside all others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from curator.errors import UsageError
from curator.methods import BankScorer, Method, resolve_method
from curator.methods.spec import MethodSpec
from curator.policy import Policy
from curator.policy.default import default_policy
from curator.store import Ledger
from curator.store.tables import score_table
from curator.systems.proposals import Streamed
from curator.systems.stream import batches
from curator.types import Bank
from curator.workspace.judge.policies import record_policy
from curator.workspace.learn.world import LedgerWorld

ROWS = 4096


def record_streamed(
    world: LedgerWorld, ledger: Ledger, bank: Bank, system: str, streamed: Streamed
) -> dict[str, object]:
    """Stores the scores that are not stored yet, and the cut that would rule. Returns what a user is told."""
    method = resolve_method(system, bank)
    method_id = MethodSpec(f"{system}-online", {"batch": streamed.batch, "stream": streamed.digest}).method_id
    names = {"encoder_id": bank.encoder_id, "bank_digest": bank.digest, "method_id": method_id}
    lacking = set(ledger.database.table("list_unscored", **names)["image_id"].to_pylist())
    scorer, log_odds = BankScorer(bank, [method], device=world.device), streamed.log_odds
    with ledger.database.transaction():
        for places in batches(range(len(streamed.image_ids)), ROWS):
            wanted = [place for place in places if streamed.image_ids[place] in lacking]
            ids = [streamed.image_ids[place] for place in wanted]
            (table,) = scorer.score(world.lake_vectors(ids))
            columns = {name: getattr(table, name) for name in type(table).__slots__}
            columns |= {"id_score": streamed.scores[wanted], "log_odds": log_odds[wanted]}
            ledger.database.append(score=score_table(ids, columns, run_id=ledger.run_id, **names))
    cut = _record_cut(ledger, bank, method, method_id)
    cut = float(np.median(streamed.scores)) if cut is None else cut
    return {"method_id": method_id, "images": len(streamed.image_ids), "other_orders": streamed.movement(cut)}


def _record_cut(ledger: Ledger, bank: Bank, method: Method, method_id: str) -> float | None:
    """The default cut of the frozen form rules for the online scores as well; returned on the scale of `id_score`. None
    where there is none: changes are then told about the median."""
    try:
        policy: Policy = replace(default_policy(bank, method, rule="label_for_label"), method_id=method_id)
    except UsageError:
        return None
    record_policy(ledger, policy, method)
    return float(method.id_score(np.array([policy.min_log_odds]))[0])
