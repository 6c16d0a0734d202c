"""What rules: a bank, a method and a policy are put in force. Nothing else changes what everybody sees by itself.

`curator.toml` names the bank and the method of every night, so that is where they are written; the policy is the one
that was chosen or calibrated last for them, a row of the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from curator.errors import ConfigError, UsageError
from curator.methods import Method, resolve_method
from curator.policy import Policy
from curator.policy.default import default_policy
from curator.report.notebook import Shown
from curator.store import Ledger
from curator.types import Bank
from curator.workspace.calibrate.asked import method_meant, way_back
from curator.workspace.config_file import write_options
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce, put_in_force
from curator.workspace.judge.naming import name_stored
from curator.workspace.judge.night_cuts import judge_nights
from curator.workspace.judge.policies import (
    bank_label,
    policy_in_force,
    policy_note,
    policy_of,
    record_policy,
    scored_by,
    without_measured,
)
from curator.workspace.judge.scoring import score_stored
from curator.workspace.judge.suited import suited_method
from curator.workspace.session import writing


@dataclass(frozen=True, slots=True, repr=False)
class UseSummary(Shown):
    """What rules now; `ruled_before`: what did before, where that was something else. `rescored`: images of the lake
    that had no score under it yet. `scored`, `flagged`: images of the lake. `method`: as `curator.toml` names it now;
    a bare name of a method is the one calibrated last. `back`: the arguments of `use` that undo this."""

    run_id: str
    ruled_by: InForce
    ruled_before: InForce | None
    rescored: int
    scored: int
    flagged: int
    policy_note: str
    method: str | None = None
    back: Mapping[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def put_in_use(
    context: Context, *, bank: str | None, method: str | None, policy: str | None, wait_seconds: float
) -> UseSummary:
    """Put a bank and a method in force, with the policy named, or else the one chosen or calibrated last for them. A
    bank alone: with the method that suits it, that of its system, or else the configured one.

    Without a bank and a method: another policy of those that rule. Raises UsageError for a policy of another bank or
    method, ConfigError where `curator.toml` cannot say so.
    """
    if bank is None and method is not None:
        raise UsageError("a method rules with a bank", hint=f"name it, too: curator use base {method}")
    if bank is None and policy is None:
        raise UsageError("nothing is named that should rule", hint="curator use BANK METHOD, or --policy NAME")
    given = {"bank": bank, "method": method}
    chosen = {key: value for key, value in given.items() if value is not None}
    _refuse_environment(chosen)
    with writing(context, "use", {**chosen, "policy": policy}, wait_seconds=wait_seconds) as ledger:
        used = _scored(context, ledger, bank, method)
        found, note = _policy(ledger, used, policy)
        judge_nights(ledger, found, used.method)
        if chosen:
            chosen["method"] = used.asked
            _refuse_environment(chosen)
            write_options(context.layout.config, "scan", chosen)
            scan = replace(context.config.scan, bank=chosen["bank"], method=chosen["method"])
            context.config = replace(context.config, scan=scan)
        now, before = put_in_force(ledger, used.scoring, found, before=used.ruled_by)
        counts = now.count_flags(ledger.database)
        return UseSummary(
            ledger.run_id,
            now,
            before,
            used.rescored,
            counts["scored"],
            counts["flagged"],
            note,
            method=chosen.get("method"),
            back=way_back(context, ledger.database, before, policy_only=not chosen) if before else None,
        )


@dataclass(frozen=True, slots=True)
class _Used:
    """A bank and a method by which all images are scored. `ruled_by`: what rules before they do. `asked`: the method,
    as it is asked for. `options`: those of `curator calibrate` that name them."""

    bank: Bank
    method: Method
    scoring: Mapping[str, str]
    ruled_by: InForce | None
    rescored: int = 0
    asked: str = ""
    options: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether the method is the one of the scoring, with what it measured on the reference images."""
        return self.method.method_id == self.scoring["method_id"]


def _refuse_environment(chosen: Mapping[str, str]) -> None:
    """What the environment says goes before the file, and the next night would go by it."""
    for key, value in chosen.items():
        name = f"CURATOR_SCAN_{key.upper()}"
        if os.environ.get(name, value) != value:
            raise ConfigError(
                f"{name} is {os.environ[name]!r} and goes before curator.toml: the next scan would put that in force",
                hint="take it out of the environment",
            )


def _scored(context: Context, ledger: Ledger, address: str | None, method: str | None) -> _Used:
    """Score what has no score yet under a bank and a method. Where none are named, those that rule: nothing lacks."""
    database, ruling = ledger.database, InForce.of(ledger.database)
    if address is not None:
        context.require_current(database)
        bank = context.bank_for(ledger, address, encoder_id=context.encoder_id(database))
        suited = method or suited_method(bank.spec, bank.id_count, context.config)
        method = method_meant(context, database, bank, suited)
        scorer = context.scorer(bank, method, database=database)
        folder = context.layout.vectors(bank.encoder_id)
        counts = score_stored(ledger, scorer, folder)
        name_stored(ledger, context.namer(bank), folder)
        scoring = scored_by(bank, scorer.method)
        options = f" --bank {address} --method {method}"
        return _Used(bank, scorer.method, scoring, ruling, counts[scorer.method.method_id], method, options)
    if ruling is None:
        raise UsageError("nothing rules yet", hint="run `curator scan SOURCE`, or name a bank and a method as well")
    bank = context.known_bank(database, ruling.bank_address)
    return _Used(bank, resolve_method(without_measured(ruling.method_id), bank), ruling.scoring, ruling)


def _policy(ledger: Ledger, used: _Used, name: str | None) -> tuple[Policy | None, str]:
    """The policy of this name, or whose id begins so; without a name, the one chosen or calibrated last."""
    if name is None:
        return policy_in_force(ledger, used.bank, used.method)
    if name == "default" and used.is_whole:
        record_policy(ledger, default_policy(used.bank, used.method, rule="label_for_label"), used.method)
    found = ledger.database.row("find_named_policy", name=name, **used.scoring)
    if found is None:
        raise UsageError(f"no policy is called {name!r}", hint="see `curator calibrate list`")
    if not found["is_of_scoring"]:
        rule = policy_of(found, {key: str(found[key]) for key in used.scoring}).rule
        raise UsageError(
            f"policy {found['name']} is of {found['method_id']} on bank {found['bank_name']}@v{found['bank_version']}, "
            f"and not of {used.scoring['method_id']} on {bank_label(ledger.database, used.bank)}",
            hint=f"make one: curator calibrate {rule.options if rule else '--keep 0.95'}{used.options}",
        )
    policy = policy_of(found, used.scoring)
    return policy, policy_note(policy, found["min_id_score"])
