"""Which policy rules for a bank and a method."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from curator.errors import UsageError
from curator.methods import Method
from curator.methods.spec import with_precision
from curator.policy import Policy
from curator.policy.default import default_policy
from curator.store import Database, Ledger
from curator.store.ledger import utc_now
from curator.store.tables import Row
from curator.types import Bank


def scored_by(bank: Bank, method: Method) -> dict[str, str]:
    """What names a scoring, as parameters of queries."""
    return {"encoder_id": bank.encoder_id, "bank_digest": bank.digest, "method_id": method.method_id}


def without_measured(method: str) -> str:
    """A method as it could have been asked for; of an id, without what was measured on the reference images."""
    if not method.endswith(")"):
        return method
    name, _, listed = method.removesuffix(")").partition("(")
    measured = ("reference", "text_", "image_", "residual_", "classes")
    kept = [item for item in listed.split(",") if item and not item.startswith(measured)]
    return f"{name}:{','.join(kept)}"


def record_policy(ledger: Ledger, policy: Policy, method: Method) -> Row:
    """Store a policy of the method as a row, which it returns."""
    row = {
        "policy_id": policy.policy_id,
        "name": policy.name,
        "encoder_id": policy.encoder_id,
        "bank_digest": policy.bank_digest,
        "method_id": policy.method_id,
        "min_log_odds": policy.min_log_odds,
        "min_id_score": float(method.id_score(np.array([policy.min_log_odds]))[0]),
        "provenance": json.dumps(dict(policy.provenance), sort_keys=True),
        "created_at": utc_now(),
        "rule": policy.rule.kind if policy.rule else "default",
        "level": policy.rule.level if policy.rule else None,
        "by_class": policy.rule is not None and policy.rule.by_class,
        "calibration_id": policy.calibration_id,
    }
    ledger.add("policy_id", policy=[row])
    return row


def policy_of(row: Mapping[str, Any], scored_by: Mapping[str, str]) -> Policy:
    """The policy of a row."""
    provenance = json.loads(row["provenance"])
    return Policy(row["name"], **scored_by, min_log_odds=row["min_log_odds"], provenance=provenance)


def policy_in_force(ledger: Ledger, bank: Bank, method: Method) -> tuple[Policy | None, str]:
    """The policy chosen or calibrated last for this bank and method, else the stated default; and a note that says
    which."""
    scoring, other = scored_by(bank, method), with_precision(method, "fast" if method.precision else "full").method_id
    found_for = ledger.database.rows("find_policies", **scoring, other_method_id=other)
    ruling = {row["method_id"]: row for row in found_for}
    if (found := ruling.get(method.method_id)) is None:
        try:
            policy = default_policy(bank, method, rule="label_for_label")
        except UsageError as fault:
            return None, f"nothing is flagged: {fault}"
        found = record_policy(ledger, policy, method)
    policy, beside = policy_of(found, scoring), ruling.get(other)
    note = policy_note(policy, found["min_id_score"])
    if policy.rule is None and beside and policy_of(beside, scoring).rule is not None:
        note += f"; policy {beside['name']} judges scores of the other precision only"
    return policy, note


def policy_note(policy: Policy, min_id_score: float) -> str:
    """What a policy flags, in words."""
    note = f"flagged below id_score {min_id_score:.4g}"
    if policy.rule is None:
        return f"{note}, a default ({policy.provenance['rule']}); see `curator calibrate`"
    if policy.rule.kind == "fdr":
        return f"flagged so that {policy.rule.level:g} of the flags of a night are false (policy {policy.name})"
    if math.isinf(policy.min_log_odds) and not policy.rule.by_class:
        return f"nothing can be flagged: policy {policy.name} has too few references"
    return f"{note}{', by class' if policy.rule.by_class else ''} (policy {policy.name})"


def bank_label(database: Database, bank: Bank) -> str:
    """The address of a bank version: `base@v2`."""
    row = database.row("find_bank", name=bank.name, digest_prefix=bank.digest, encoder_id=None) or {}
    return f"{bank.name}@v{row.get('version', '?')}"
