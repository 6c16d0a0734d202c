"""Which policy rules for a bank and a method, and what the report views show."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from curator.errors import UsageError
from curator.methods import Method
from curator.methods.spec import with_precision
from curator.policy import Policy, default_policy
from curator.store import Database, Ledger
from curator.store.ledger import utc_now
from curator.types import Bank


def scored_by(bank: Bank, method: Method) -> dict[str, str]:
    """What names a scoring, as parameters of queries."""
    return {"encoder_id": bank.encoder_id, "bank_digest": bank.digest, "method_id": method.method_id}


def record_policy(ledger: Ledger, policy: Policy, method: Method) -> None:
    """Store a policy of the method as a row."""
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


def policy_of(row: Mapping[str, Any], scored_by: Mapping[str, str]) -> Policy:
    """The policy of a row."""
    provenance = json.loads(row["provenance"])
    return Policy(row["name"], **scored_by, min_log_odds=row["min_log_odds"], provenance=provenance)


def policy_in_force(ledger: Ledger, bank: Bank, method: Method) -> tuple[Policy | None, str]:
    """The policy chosen last for this bank and method, else the newest calibrated, else the stated default; and a note
    that says which."""
    if (found := ledger.database.row("find_policy", **scored_by(bank, method))) is None:
        try:
            policy = default_policy(bank, method, rule="label_for_label")
        except UsageError as fault:
            return None, f"nothing is flagged: {fault}"
        record_policy(ledger, policy, method)
        found = ledger.database.row("find_policy", **scored_by(bank, method)) or {}
    policy = policy_of(found, scored_by(bank, method))
    note = f"flagged below id_score {found['min_id_score']:.4g}"
    if policy.rule is None:
        other = _calibrated_on_the_other_precision(ledger, bank, method)
        seen = f"policy {other} judges scores of the other precision only, " if other else ""
        return policy, f"{note}, a default ({policy.provenance['rule']}); {seen}see `curator calibrate`"
    if policy.rule.kind == "fdr":
        return policy, f"flagged so that {policy.rule.level:g} of the flags of a night are false (policy {policy.name})"
    if math.isinf(policy.min_log_odds) and not policy.rule.by_class:
        return policy, f"nothing can be flagged: policy {policy.name} has too few references"
    return policy, f"{note}{', by class' if policy.rule.by_class else ''} (policy {policy.name})"


def _calibrated_on_the_other_precision(ledger: Ledger, bank: Bank, method: Method) -> str | None:
    """The policy that was calibrated for the same method on cosines of the other precision, if there is one."""
    other = with_precision(method, "fast" if method.precision else "full")
    found = ledger.database.row("find_policy", **scored_by(bank, other))
    return str(found["name"]) if found and policy_of(found, scored_by(bank, other)).rule is not None else None


def select(ledger: Ledger, bank: Bank, method: Method, policy: Policy | None) -> None:
    """Make the report views show this bank, method and policy."""
    ledger.select(**scored_by(bank, method), policy_id=policy.policy_id if policy else None)


def bank_label(database: Database, bank: Bank) -> str:
    """A bank version for a person's eye: `base v2`."""
    row = database.row("find_bank", name=bank.name, digest_prefix=bank.digest, encoder_id=None) or {}
    return f"{bank.name} v{row.get('version', '?')}"
