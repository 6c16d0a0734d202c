"""Methods and banks as `use` takes them: what a bare name of a method means, and how to name exactly what ruled."""

from __future__ import annotations

from collections.abc import Mapping

from curator.errors import CuratorError, UsageError
from curator.methods import MethodSpec, resolve_method
from curator.store import Database
from curator.types import Bank
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.judge.policies import without_measured


def method_meant(context: Context, database: Database, bank: Bank, asked: str) -> str:
    """The method that was calibrated last on this bank where only its name is asked for; else what is asked for."""
    name = asked.strip()
    if ":" in name or "(" in name:
        return asked
    full = context.config.scan.precision == "full"
    given = {"encoder_id": bank.encoder_id, "bank_digest": bank.digest, "begins": f"{name}(", "full": full}
    found = database.row("find_calibrated_method", **given)
    try:
        return written(found["method_id"], bank) if found else asked
    except UsageError:  # of a release that had other parameters
        return asked


def written(method_id: str, bank: Bank) -> str:
    """A canonical id as short as it still means the same on this bank. What the bank says itself is left out: later
    versions say it of themselves."""
    whole = without_measured(method_id)
    meant, kept = resolve_method(whole, bank), MethodSpec.parse(whole)
    for name in kept.parameters:
        fewer = MethodSpec(kept.name, {key: value for key, value in kept.parameters.items() if key != name})
        if resolve_method(fewer, bank) == meant:
            kept = fewer
    listed = ",".join(f"{key}={value}" for key, value in sorted(kept.parameters.items()))
    return f"{kept.name}:{listed}" if listed else kept.name


def way_back(context: Context, database: Database, ruled: InForce, *, policy_only: bool) -> Mapping[str, str] | None:
    """What `use` takes to put in force again what ruled: `bank` and `method` unless they rule still, and `policy`. None
    where it cannot rule again: a bank that is lost, a method of another release."""
    try:
        return _way_back(context, database, ruled, policy_only=policy_only)
    except CuratorError:
        return None


def _way_back(context: Context, database: Database, ruled: InForce, *, policy_only: bool) -> Mapping[str, str]:
    policy = {"policy": _policy(database, ruled)} if ruled.policy is not None else {}
    if policy_only:
        return policy
    bank = context.known_bank(database, ruled.bank_address)
    newest = database.row("find_bank", name=bank.name, digest_prefix="", encoder_id=bank.encoder_id) or {}
    address = bank.name if newest.get("bank_digest") == bank.digest else ruled.bank
    method = written(ruled.method_id, bank)
    if method_meant(context, database, bank, method) != method:
        method = f"{MethodSpec.parse(method).name}()"  # the name alone means another
    return {"bank": address, "method": method, **policy}


def _policy(database: Database, ruled: InForce) -> str:
    """Its name, or its id where a newer policy has the name."""
    found = database.row("find_named_policy", name=ruled.policy, **ruled.scoring) or {}
    return str(ruled.policy if found.get("policy_id") == ruled.policy_id else ruled.policy_id)
