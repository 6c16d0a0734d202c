"""Which policy rules for a bank and a method, and what the report views show."""

from __future__ import annotations

import json

import numpy as np

from curator.errors import UsageError
from curator.methods import Method
from curator.policy import Policy, default_policy
from curator.store import Database, Ledger
from curator.store.ledger import utc_now
from curator.types import Bank


def scored_by(bank: Bank, method: Method) -> dict[str, str]:
    """What names a scoring, as parameters of queries."""
    return {"encoder_id": bank.encoder_id, "bank_digest": bank.digest, "method_id": method.method_id}


def record_policy(ledger: Ledger, policy: Policy, method: Method) -> None:
    """Store a policy of the method as a row."""
    ledger.database.run(
        "insert_policy",
        policy_id=policy.policy_id,
        name=policy.name,
        encoder_id=policy.encoder_id,
        bank_digest=policy.bank_digest,
        method_id=policy.method_id,
        min_log_odds=policy.min_log_odds,
        min_id_score=float(method.id_score(np.array([policy.min_log_odds]))[0]),
        provenance=json.dumps(dict(policy.provenance), sort_keys=True),
        created_at=utc_now(),
        run_id=ledger.run_id,
    )


def policy_in_force(ledger: Ledger, bank: Bank, method: Method) -> tuple[Policy | None, str]:
    """The newest calibrated policy for this bank and method, else the stated default; and a note that says which."""
    if (found := ledger.database.row("find_policy", **scored_by(bank, method))) is None:
        try:
            policy = default_policy(bank, method, rule="label_for_label")
        except UsageError as fault:
            return None, f"nothing is flagged: {fault}"
        record_policy(ledger, policy, method)
        found = ledger.database.row("find_policy", **scored_by(bank, method)) or {}
    policy = Policy(
        found["name"],
        **scored_by(bank, method),
        min_log_odds=found["min_log_odds"],
        provenance=json.loads(found["provenance"]),
    )
    note = f"flagged below id_score {found['min_id_score']:.4g}"
    if policy.name == "default":
        return policy, f"{note}, a default ({policy.provenance['rule']}); see `curator calibrate`"
    return policy, f"{note} (policy {policy.name})"


def select(ledger: Ledger, bank: Bank, method: Method, policy: Policy | None) -> None:
    """Make the report views show this bank, method and policy."""
    ledger.select(**scored_by(bank, method), policy_id=policy.policy_id if policy else None)


def bank_label(database: Database, bank: Bank) -> str:
    """A bank version for a person's eye: `base v2`."""
    row = database.row("find_bank", name=bank.name, digest_prefix=bank.digest, encoder_id=None) or {}
    return f"{bank.name} v{row.get('version', '?')}"
